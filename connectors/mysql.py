"""MySQL and MariaDB, streamed unbuffered in one read-only transaction with a consistent snapshot."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pymysql
from pymysql.constants import CR, ER
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from connectors import failures, mysql_types, sql
from connectors.cursors import earlier
from connectors.protocol import Session, Window, parts_between
from connectors.registry import connector
from hub.errors import HubError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pymysql.connections import MySQLResult

    from connectors.protocol import Connector, Part, Place
    from schemas.source import Source

CONNECT_SECONDS = 10
MARK = "`"
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")

# Codes are in MariaDB's and MySQL's error references; pymysql names most of them.
_TIMED_OUT = {ER.STATEMENT_TIMEOUT, ER.QUERY_TIMEOUT}
_TURNED_AWAY = {ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.BAD_DB_ERROR, 1698}
_NOT_PERMITTED = {ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR}
_GONE = {
    0, ER.CON_COUNT_ERROR, ER.SERVER_SHUTDOWN, ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK, ER.QUERY_INTERRUPTED, 1927,
    ER.HOST_IS_BLOCKED, ER.TOO_MANY_USER_CONNECTIONS, ER.NET_READ_ERROR, ER.NET_READ_INTERRUPTED,
}  # fmt: skip


@connector("mysql")
@contextmanager
def open_mysql(source: Source, place: Place, *, password: str | None, order_by: Sequence[str] = ()) -> Iterator[Connector]:
    """Open a session whose every read sees one snapshot, as far as the tables are InnoDB.

    ``snapshot`` is None where the table, or for a query any table this user sees, is of another engine.
    Without ``order_by`` a table comes in the order of its primary key, a query in the order of its plan.
    ``TIMESTAMP`` is an instant (UTC), ``DATETIME`` a naive time. Zero and impossible dates are read as null and counted.
    ``statement_timeout_seconds`` bounds each pass as a whole.
    """
    connection = _connected(source, place, password)
    session = MysqlSession(source, place, connection, order_by)
    try:
        session.begin()
        yield session
    finally:
        session.end()


class _Stream(SSCursor):
    """An unbuffered cursor that tells what the DB-API's description leaves out: flags and character set."""

    _result: MySQLResult | None  # pymysql's own; its published types leave it out

    @property
    def described(self) -> list[mysql_types.Described]:
        fields = self._result.fields if self._result is not None else []  # type: ignore[attr-defined]  # its types leave it out
        return [mysql_types.Described(f.name, f.type_code, f.charsetnr, f.flags, f.length, f.scale) for f in fields]


def give_up(cursor: SSCursor) -> None:
    """Forget the rest of an unbuffered cursor's result: closing would first fetch all of it. Its connection is of no use after."""
    result = cursor._result  # type: ignore[attr-defined]  # noqa: SLF001  pymysql's own; it has no public way
    if result is not None:
        result.unbuffered_active = False
        result.connection = None
    cursor.connection = None  # type: ignore[assignment]  # as its own close() does


class MysqlSession(Session):
    """One read-only transaction on one table or query."""

    def __init__(self, source: Source, place: Place, connection: pymysql.Connection[_Stream], order_by: Sequence[str]) -> None:
        """Wrap *connection*; :meth:`begin` must come next."""
        super().__init__()
        self._source, self._place, self._connection = source, place, connection
        self._relation, self._order = sql.relation(place, MARK), tuple(order_by)
        self._streaming: _Stream | None = None

    def begin(self) -> None:
        """Take the snapshot and learn the columns."""
        with self._in_our_words():
            self._limit_time()
            for statement in (
                "SET SESSION time_zone = '+00:00'",
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "SET SESSION TRANSACTION READ ONLY",
                "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            ):
                self._rows(statement)
            names = self._readable() if self._place.table else []
            if self._all_transactional():
                self.snapshot = "consistent snapshot, repeatable read"
            self._readings = {reading.name: reading for reading in self._described(names)}
            self._order = self._order or self._primary_key()
        sql.checked(self._source, self._place, self.columns(), self._order)

    def end(self) -> None:
        """Close the connection, in the middle of a read if need be."""
        if self._streaming is not None:
            give_up(self._streaming)
        if self._connection.open:
            self._connection.close()

    def columns(self) -> pa.Schema:
        """Return the columns this user may read, in the table's order; nullable throughout. Text tells its declared length."""
        told = {one.name: {"declared": one.declared} for one in self._readings.values() if one.declared}
        return pa.schema([pa.field(one.name, one.type, metadata=told.get(one.name)) for one in self._readings.values()])

    def count(self, window: Window) -> int:
        """Return the rows of *window* in the snapshot."""
        where = self._where(window)
        with self._in_our_words():
            return int(self._rows(f"SELECT count(*) FROM {self._relation}{where}")[0][0])

    def newest(self, cursor: str) -> str | None:
        """Return the greatest value as the server prints it (``TIMESTAMP`` in UTC)."""
        sql.checked(self._source, self._place, self.columns(), [cursor])
        name = sql.column(cursor, MARK)
        with self._in_our_words():
            rows = self._rows(f"SELECT {name} FROM {self._relation} WHERE {name} IS NOT NULL ORDER BY {name} DESC LIMIT 1")
        return rows[0][0].decode() if rows else None

    def earlier(self, value: str, seconds: int) -> str:
        """Return the time *seconds* before *value* in the form of :meth:`newest`."""
        return earlier(value, seconds)

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the rows, ``fetch_rows`` at a time; a read given up half-way ends the session."""
        sql.checked(self._source, self._place, self.columns(), columns)
        readings = [self._readings[name] for name in columns]
        schema = pa.schema([pa.field(reading.name, reading.type) for reading in readings])
        expressions = ", ".join(reading.expression for reading in readings)
        statement = f"SELECT {expressions} FROM {self._relation}{self._where(window)}{sql.ordering(self._order, MARK)}"
        for rows in self._streamed(statement):
            yield pa.record_batch(list(self._taken(readings, rows)), schema=schema)

    def _taken(self, readings: Sequence[mysql_types.Reading], rows: Sequence[tuple[bytes | None, ...]]) -> Iterator[pa.Array]:
        for reading, values in zip(readings, zip(*rows, strict=True), strict=True):
            array, oddities = mysql_types.taken(reading, pa.array(values, pa.binary()))
            self.oddities.update(oddities)
            yield array

    def _streamed(self, statement: str) -> Iterator[Sequence[tuple[bytes | None, ...]]]:
        with self._in_our_words():
            cursor = self._streaming = self._connection.cursor()
            cursor.execute(statement)
            while rows := cursor.fetchmany(self._source.fetch_rows):
                yield rows
            self._streaming = None
            cursor.close()

    def parts(self, key: Sequence[str], number: int) -> list[Part]:
        """Return the parts by a walk along the first key column, one for a type that orders otherwise than it compares."""
        sql.checked(self._source, self._place, self.columns(), key[:1])
        reading = self._readings[key[0]]
        if not reading.divisible:
            return super().parts(key, number)
        name = sql.column(key[0], MARK)

        def step(low: object, offset: int) -> object:
            where = f"{name} > {self._bound(key[0], low)}" if low is not None else f"{name} IS NOT NULL"
            rows = self._rows(f"SELECT {reading.expression} FROM {self._relation} WHERE {where} ORDER BY {name} LIMIT 1 OFFSET {offset}")
            return rows[0][0] if rows else None

        rows = self.count(Window())
        with self._in_our_words():
            return parts_between(key[0], sql.walked(rows, number, step))

    def seconds_behind(self) -> float | None:
        """Return what the server says of its replication; None where it has none or the user lacks the right to ask."""
        statement = "SHOW ALL REPLICAS STATUS" if self._mariadb else "SHOW REPLICA STATUS"
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(statement)
                names = [column.name for column in cursor.described]
                rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except pymysql.Error:
            return None
        behind = [row.get("Seconds_Behind_Source", row.get("Seconds_Behind_Master")) for row in rows]
        return max((float("inf") if seconds is None else float(seconds) for seconds in behind), default=None)

    @property
    def _mariadb(self) -> bool:
        return "mariadb" in str(self._connection.get_server_info()).lower()  # type: ignore[no-untyped-call]

    def _where(self, window: Window) -> str:
        sql.checked(self._source, self._place, self.columns(), window.columns)
        return sql.condition(window, self._bound, MARK)

    def _bound(self, column: str, bound: object) -> str:
        """Write a bound; a number bare, for the server compares numbers with text as floating point."""
        kind = self._readings[column].type
        if pa.types.is_binary(kind) and isinstance(bound, bytes):
            return f"x'{bound.hex()}'"
        text = bound.decode() if isinstance(bound, bytes) else str(bound)
        if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind):
            if not _NUMBER.fullmatch(text):
                raise Mistake(
                    f"source {self._source.source!r}: the cursor is a number, the bound is not", remedy="run the job in full once"
                )
            return text
        return str(self._connection.escape(text))

    def _rows(self, statement: str, *values: str) -> list[tuple[bytes, ...]]:
        if self._streaming is not None:
            raise failures.down(self._source, "the session ended with a read that was given up")
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def _limit_time(self) -> None:
        seconds = self._source.statement_timeout_seconds
        # The server waits this long for a slow reader; the default of 60 s would cut off a pipeline that pauses.
        self._rows(f"SET SESSION net_write_timeout = {seconds}")
        if self._mariadb:
            self._rows(f"SET SESSION max_statement_time = {seconds}")
        else:
            self._rows(f"SET SESSION max_execution_time = {seconds * 1000}")

    def _readable(self) -> list[str]:
        rows = self._rows(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = coalesce(nullif(%s, ''), database()) "
            "AND table_name = %s AND find_in_set('select', privileges) ORDER BY ordinal_position",
            *self._schema_and_table(),
        )
        if not rows:
            tables = self._rows(
                "SELECT if(table_schema = database(), table_name, concat(table_schema, '.', table_name)) FROM information_schema.tables "
                "WHERE table_schema NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys') "
                "ORDER BY table_schema <> coalesce(database(), ''), 1"
            )
            raise failures.no_such_table(self._source, self._place, [row[0].decode() for row in tables])
        return [row[0].decode() for row in rows]

    def _described(self, names: Sequence[str]) -> list[mysql_types.Reading]:
        selected = ", ".join(sql.column(name, MARK) for name in names) or "*"
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"SELECT {selected} FROM {self._relation} LIMIT 0")
            described = cursor.described
        if len({column.name for column in described}) < len(described):
            raise failures.column_named_twice(self._source, self._place, [column.name for column in described])
        return [mysql_types.reading(column) for column in described]

    def _all_transactional(self) -> bool:
        which = "table_schema = coalesce(nullif(%s, ''), database()) AND table_name = %s"
        if not self._place.table:
            which = "table_type = 'BASE TABLE' AND table_schema NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')"
        statement = f"SELECT count(*) FROM information_schema.tables WHERE {which} AND coalesce(engine, '') <> 'InnoDB'"
        return int(self._rows(statement, *(self._schema_and_table() if self._place.table else ()))[0][0]) == 0

    def _primary_key(self) -> tuple[str, ...]:
        if not self._place.table:
            return ()
        rows = self._rows(
            "SELECT column_name FROM information_schema.statistics WHERE table_schema = coalesce(nullif(%s, ''), database()) "
            "AND table_name = %s AND index_name = 'PRIMARY' ORDER BY seq_in_index",
            *self._schema_and_table(),
        )
        return tuple(name for row in rows if (name := row[0].decode()) in self._readings)

    def _schema_and_table(self) -> tuple[str, str]:
        schema, _, table = (self._place.table or "").rpartition(".")
        return schema, table

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except pymysql.Error as error:
            code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        except (OSError, pa.ArrowException):
            code = 0
        else:
            return
        raise failure(self._source, self._place, code)


def failure(source: Source, place: Place, code: int) -> HubError:
    """Return what the server's or client's error *code* (0 if none) means to the reader of *place*."""
    if code in _TIMED_OUT:
        return failures.timed_out(source, place)
    if code in _NOT_PERMITTED:
        return failures.not_permitted(source, place)
    if code in _TURNED_AWAY:
        return failures.turned_away(source)
    if code in _GONE or (CR.CR_ERROR_FIRST <= code <= CR.CR_ERROR_LAST):
        return failures.down(source, f"the server does not answer or ended the connection (error {code})")
    return failures.query_refused(source, place, code)


def _connected(source: Source, place: Place, password: str | None) -> pymysql.Connection[_Stream]:
    parts = urlsplit(source.url or "")
    if parts.scheme not in ("mysql", "mariadb") or not parts.hostname or parts.password:
        raise Mistake(
            f"source {source.source!r}: `url` is not of the form mysql://user@host:3306/database, or holds a password",
            remedy="write the URL in that form and put the password in the source's secret file",
        )
    authority = parse_qs(parts.query).get("ssl_ca", [None])[0]
    try:
        return pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=password or "",
            database=unquote(parts.path.lstrip("/")) or None,
            charset="utf8mb4",
            use_unicode=False,
            conv={key: value for key, value in encoders.items() if not isinstance(key, int)},  # type: ignore[redundant-expr]  # the stubs forget them
            cursorclass=_Stream,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=source.statement_timeout_seconds + CONNECT_SECONDS,
            ssl_ca=authority,
            ssl_verify_cert=authority is not None,
            ssl_verify_identity=authority is not None,
        )
    except pymysql.Error as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    raise failure(source, place, code)
