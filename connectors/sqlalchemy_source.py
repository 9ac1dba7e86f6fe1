"""Any database that SQLAlchemy has a dialect for, streamed by its driver's own cursor."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from time import monotonic
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from connectors import failures, sql
from connectors.cursors import earlier
from connectors.protocol import Session, Window, parts_between
from connectors.registry import connector
from connectors.sqlalchemy_dialects import failure, guard, listens, read_only
from connectors.text import as_binary, as_text, written_out
from hub.errors import HubError, Mistake, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import URL

    from connectors.protocol import Connector, Part, Place
    from schemas.source import Source

MYSQL_TIMESTAMP = 7  # the type's number in the protocol
# They are ordered by number and compared as text.
_ORDERED_OTHERWISE = {"ENUM", "SET", "JSON"}


@connector("sqlalchemy")
@contextmanager
def open_sqlalchemy(source: Source, place: Place, *, password: str | None, order_by: Sequence[str] = ()) -> Iterator[Connector]:
    """Open a session with any database whose dialect and driver are installed, by its SQLAlchemy URL.

    Every column is text (numbers digit by digit, times as ISO 8601), a table's binary columns are bytes:
    drivers differ too much to promise more.
    Read-only, snapshot and statement timeout as far as the database has them (``sqlalchemy_dialects.guard``);
    a pass over its time is ended here in any case. Without ``order_by`` a table comes in the order of its primary key.
    """
    engine = _engine(source, password)
    connection = _connected(source, place, engine)
    session = SqlalchemySession(source, place, connection, order_by)
    try:
        session.begin()
        yield session
    finally:
        session.end()


class SqlalchemySession(Session):
    """One transaction on one table or query."""

    def __init__(self, source: Source, place: Place, connection: sa.Connection, order_by: Sequence[str]) -> None:
        """Wrap *connection*; :meth:`begin` must come next."""
        super().__init__()
        self._source, self._place, self._connection, self._order = source, place, connection, tuple(order_by)
        self._types: dict[str, sa.types.TypeEngine[Any]] = {}
        self._instants: set[str] = set()  # of MySQL, whose drivers give them without their zone: the session's, UTC
        self._streaming: sa.CursorResult[Any] | None = None

    def begin(self) -> None:
        """Begin the transaction and learn the columns."""
        with self._in_our_words():
            self.snapshot = guard(self._connection, self._source.statement_timeout_seconds)
            self._relation = self._described()
        sql.checked(self._source, self._place, self.columns(), self._order)

    def end(self) -> None:
        """Close the connection, in the middle of a read if need be."""
        if self._streaming is not None:
            if self._connection.dialect.driver == "pymysql":
                from connectors.mysql import give_up  # noqa: PLC0415 (it loads the driver)

                give_up(self._streaming.cursor)  # type: ignore[arg-type]  # it is that driver's
            with suppress(sa.exc.SQLAlchemyError):
                self._streaming.close()
        self._connection.invalidate()
        self._connection.close()

    def columns(self) -> pa.Schema:
        """Return the columns: text, or bytes where a table declares them; a table's declared types stand beside."""
        return pa.schema([_field(name, kind, self._connection.dialect) for name, kind in self._types.items()])

    def count(self, window: Window) -> int:
        """Return the rows of *window*."""
        return int(self._one(self._narrowed(sa.select(sa.func.count()).select_from(self._relation), window)))  # type: ignore[call-overload]

    def newest(self, cursor: str) -> str | None:
        """Return the greatest value, as text: numbers plainly, times as ISO 8601."""
        self._known([cursor])
        return _as_bound(self._one(sa.select(sa.func.max(self._column(cursor))).select_from(self._relation)))

    def earlier(self, value: str, seconds: int) -> str:
        """Return the time *seconds* before *value* in the form of :meth:`newest`."""
        return earlier(value, seconds)

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the rows, ``fetch_rows`` at a time; a read given up half-way ends the session."""
        self._known(columns)
        schema = pa.schema([self.columns().field(name) for name in columns])
        statement = sa.select(*map(self._column, columns)).select_from(self._relation).order_by(*map(self._column, self._order))
        ends = monotonic() + self._source.statement_timeout_seconds
        with self._in_our_words(columns):
            result = self._streaming = self._connection.execute(
                self._narrowed(statement, window), execution_options={"yield_per": self._source.fetch_rows}
            )
            for rows in result.partitions():
                yield self._batch(rows, schema)
                if monotonic() > ends:
                    raise failures.timed_out(self._source, self._place)
            self._streaming = None

    def parts(self, key: Sequence[str], number: int) -> list[Part]:
        """Return the parts by a walk along the first key column, one for a type that orders otherwise than it compares."""
        self._known(key[:1])
        if type(self._types[key[0]]).__name__.upper() in _ORDERED_OTHERWISE:
            return super().parts(key, number)
        name = self._column(key[0])

        def step(low: object, offset: int) -> object:
            beyond = name.is_not(None) if low is None else name > self._literal(key[0], low)
            return self._one(sa.select(name).select_from(self._relation).where(beyond).order_by(name).limit(1).offset(offset))

        return parts_between(key[0], sql.walked(self.count(Window()), number, step))

    def _narrowed(self, statement: sa.Select[Any], window: Window) -> sa.Select[Any]:
        self._known(window.columns)
        if window.cursor is not None:
            name = self._column(window.cursor)
            statement = statement.where(name > self._bound(window.cursor, window.after)) if window.after is not None else statement
            statement = statement.where(name <= self._bound(window.cursor, window.until)) if window.until is not None else statement
        part = window.part
        if part is None or part.whole:
            return statement
        name = self._column(part.column)
        if part.low is None:
            return statement.where((name < self._literal(part.column, part.high)) | name.is_(None))
        statement = statement.where(name >= self._literal(part.column, part.low))
        return statement if part.high is None else statement.where(name < self._literal(part.column, part.high))

    def _batch(self, rows: Sequence[sa.Row[Any]], schema: pa.Schema) -> pa.RecordBatch:
        arrays = []
        for field, values in zip(schema, zip(*rows, strict=True), strict=True):
            plain = [bytes(value) if isinstance(value, memoryview | bytearray) else value for value in values]
            if field.name in self._instants:
                plain = [value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in plain]
            array, oddities = (as_binary if pa.types.is_binary(field.type) else as_text)(plain, field.name)
            self.oddities.update(oddities)
            arrays.append(array)
        return pa.record_batch(arrays, schema=schema)

    def _bound(self, name: str, text: str) -> sa.ColumnElement[Any]:
        """Give a bound the type that the driver gives the column's values."""
        column = self._column(name)
        sample = self._one(sa.select(column).select_from(self._relation).where(column.is_not(None)).limit(1))
        try:
            return self._literal(name, _typed(text, sample))
        except (ValueError, InvalidOperation):
            raise Mistake(
                f"source {self._source.source!r}, {self._place}: the cursor {name!r} and its bound are of different types",
                remedy="run the job in full once",
            ) from None

    def _literal(self, name: str, value: object) -> sa.ColumnElement[Any]:
        kind = self._types[name]
        fitting = kind if isinstance(value, _python_type(kind)) else None
        return sa.literal(value, fitting)

    def _column(self, name: str) -> sa.ColumnElement[Any]:
        # Without a type, values come as the driver gives them.
        return sa.column(name, _selectable=self._relation)

    def _known(self, names: Sequence[str]) -> None:
        sql.checked(self._source, self._place, self.columns(), names)

    def _one(self, statement: sa.Select[Any]) -> object:
        if self._streaming is not None:
            raise failures.down(self._source, "the session ended with a read that was given up")
        with self._in_our_words():
            return self._connection.execute(statement).scalar()

    def _described(self) -> Any:  # noqa: ANN401  a table or a subquery: SQLAlchemy has no common type that both selects and aliases accept
        if self._place.table:
            return self._described_table(self._place.table)
        if self._place.query is None:
            return sql.relation(self._place)  # which raises
        # A colon would be read as a parameter.
        query = sa.text(self._place.query.strip().rstrip(";").replace(":", r"\:"))
        result = self._connection.execute(sa.select(sa.text("*")).select_from(query.columns().subquery("place")).where(sa.false()))
        names = list(result.keys())
        if self._connection.dialect.driver == "pymysql":
            self._instants = {name for name, code, *_ in result.cursor.description if code == MYSQL_TIMESTAMP}
        result.close()
        if len(set(names)) < len(names):
            raise failures.column_named_twice(self._source, self._place, names)
        self._types = {name: sa.types.NullType() for name in names}
        return query.columns(*map(sa.column, names)).subquery("place")

    def _described_table(self, written: str) -> Any:  # noqa: ANN401  as above
        schema, _, name = written.rpartition(".")
        inspector = sa.inspect(self._connection)
        if not inspector.has_table(name, schema=schema or None):
            raise failures.no_such_table(
                self._source, self._place, sorted([*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)])
            )
        self._types = {column["name"]: column["type"] for column in inspector.get_columns(name, schema=schema or None)}
        if self._connection.dialect.name in ("mysql", "mariadb"):
            self._instants = {column for column, kind in self._types.items() if isinstance(kind, sa.TIMESTAMP)}
        key = inspector.get_pk_constraint(name, schema=schema or None).get("constrained_columns") or []
        self._order = self._order or tuple(key)
        return sa.table(name, *map(sa.column, self._types), schema=schema or None).alias("place")

    @contextmanager
    def _in_our_words(self, columns: Sequence[str] = ()) -> Iterator[None]:
        problem = None
        try:
            yield
        except sa.exc.DBAPIError as error:
            problem = failure(self._source, self._place, error, self._connection.dialect.name)
        except (sa.exc.SQLAlchemyError, UnicodeError, OverflowError):
            problem = failures.query_refused(self._source, self._place, "of its driver")
        if problem is not None:
            raise self._naming_columns(problem, columns) from None

    def _naming_columns(self, problem: HubError, columns: Sequence[str]) -> HubError:
        """Return *problem*, or which of *columns* the user may not read, if that is why."""
        if not isinstance(problem, Mistake):
            return problem
        with self._connection.engine.connect() as other:
            refused = [name for name in columns if not self._readable(other, name)]
        return failures.columns_not_permitted(self._source, self._place, refused) if 0 < len(refused) < len(columns) else problem

    def _readable(self, connection: sa.Connection, name: str) -> bool:
        try:
            connection.execute(sa.select(self._column(name)).select_from(self._relation).where(sa.false())).close()
        except sa.exc.DBAPIError:
            readable = False
        else:
            readable = True
        connection.rollback()
        return readable


def _engine(source: Source, password: str | None) -> sa.Engine:
    wrong = Mistake(
        f"source {source.source!r}: `url` is no SQLAlchemy URL (dialect+driver://user@host:port/database), or holds a password",
        remedy="write the URL in the form its dialect documents, and put the password in the source's secret file",
    )
    try:
        url = sa.make_url(source.url or "")
    except sa.exc.ArgumentError:
        raise wrong from None
    if url.password or any("pwd" in key.lower() or "password" in key.lower() for key in url.query):
        raise wrong
    try:
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except (sa.exc.NoSuchModuleError, ImportError):
        raise Mistake(
            f"source {source.source!r}: no dialect or driver for {url.drivername!r} is installed",
            remedy="install the packages that docs/how-to/add-a-source.md names for this kind of database beside the hub",
        ) from None
    if dialect.is_async:
        raise Mistake(f"source {source.source!r}: {url.drivername!r} is asynchronous", remedy="write the URL of a synchronous driver")
    return sa.create_engine(_addressed(read_only(url), password), poolclass=NullPool, hide_parameters=True)


def _addressed(url: URL, password: str | None) -> URL:
    return url.set(password=password) if password and url.username else url


def _connected(source: Source, place: Place, engine: sa.Engine) -> sa.Connection:
    try:
        return engine.connect()
    except sa.exc.DBAPIError as error:
        problem = failure(source, place, error, engine.dialect.name)
    except (sa.exc.SQLAlchemyError, OSError, TypeError, ValueError):
        problem = failures.turned_away(source)
    # Most drivers give no code at connecting; whether a server listens tells a wrong login from a server that is away.
    if isinstance(problem, Unavailable) and listens(engine.url):
        raise failures.turned_away(source)
    raise problem


def _python_type(kind: sa.types.TypeEngine[Any]) -> type:
    try:
        return kind.python_type
    except NotImplementedError:
        return type(None)


def _holds_bytes(kind: sa.types.TypeEngine[Any]) -> bool:
    return _python_type(kind) is bytes


def _typed(text: str, sample: object) -> object:
    match sample:
        case bool() | None | str():
            return text
        case int() | Decimal():
            return int(text) if text.lstrip("+-").isdigit() else Decimal(text)
        case float():
            return float(text)
        case datetime():
            return datetime.fromisoformat(text)
        case date():
            return date.fromisoformat(text)
        case bytes():
            return text.encode()
    return text


def _as_bound(value: object) -> str | None:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else written_out(value)


def _field(name: str, kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> pa.Field:
    arrow = pa.binary() if _holds_bytes(kind) else pa.string()
    if isinstance(kind, sa.types.NullType):
        return pa.field(name, arrow)
    with suppress(sa.exc.CompileError):
        return pa.field(name, arrow, metadata={"declared": kind.compile(dialect)})
    return pa.field(name, arrow)
