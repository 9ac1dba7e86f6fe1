"""SQLite, read through the standard library: one read-only transaction on a file opened read-only."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors import failures, sql
from connectors.cursors import earlier
from connectors.files import not_there, source_path
from connectors.protocol import Session, Window, parts_between
from connectors.registry import connector
from connectors.text import as_binary, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from connectors.protocol import Connector, Part, Place
    from hub.errors import HubError
    from schemas.source import Source

WAIT_SECONDS = 10
STEPS_BETWEEN_LOOKS = 100_000
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


@connector("sqlite")
@contextmanager
def open_sqlite(source: Source, place: Place, *, password: str | None, order_by: Sequence[str] = ()) -> Iterator[Connector]:
    """Open a session whose every read sees one snapshot. There is no password.

    SQLite holds no column to its declared type, so every column but a BLOB arrives as text,
    exactly as stored; the declared type is in the field's metadata (``declared``).
    Without ``order_by`` rows come in the order of ``rowid`` where the table has one.
    While the session lasts a writer of a file in rollback-journal mode waits at its commit; in WAL mode nobody waits.
    """
    del password
    path = source_path(source, None)
    if not path.exists():
        raise not_there(source, path)
    with closing(_connected(source, place, path)) as connection:
        session = SqliteSession(source, place, connection, order_by)
        session.begin()
        yield session


class SqliteSession(Session):
    """One read transaction on one table or query."""

    def __init__(self, source: Source, place: Place, connection: sqlite3.Connection, order_by: Sequence[str]) -> None:
        """Wrap *connection*; :meth:`begin` must come next."""
        super().__init__()
        self._source, self._place, self._connection = source, place, connection
        self._relation, self._order = sql.relation(place), tuple(order_by)
        self._deadline, self._rows_read = 0.0, 0

    def begin(self) -> None:
        """Take the snapshot and learn the columns."""
        self._connection.set_progress_handler(lambda: monotonic() > self._deadline, STEPS_BETWEEN_LOOKS)
        with self._in_our_words():
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("PRAGMA trusted_schema = OFF")
            self._connection.execute("BEGIN")
            # A deferred transaction takes its snapshot at the first read.
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            tables = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            self.snapshot = f"read transaction (data version {version}, {tables} schema entries)"
            self._schema = self._described()
            self._order_sql = sql.ordering(self._order) or self._by_rowid()
        sql.checked(self._source, self._place, self._schema, self._order)

    def columns(self) -> pa.Schema:
        """Return the columns: binary where declared BLOB, else text with the declared type beside it."""
        return self._schema

    def count(self, window: Window) -> int:
        """Return the rows of *window* in the snapshot."""
        where, values = self._where(window)
        with self._in_our_words():
            return int(self._connection.execute(f"SELECT count(*) FROM {self._relation}{where}", values).fetchone()[0])

    def newest(self, cursor: str) -> str | None:
        """Return the greatest value by SQLite's order (numbers before text), as text."""
        sql.checked(self._source, self._place, self._schema, [cursor])
        with self._in_our_words():
            row = self._connection.execute(f"SELECT max({sql.column(cursor)}) FROM {self._relation}").fetchone()
        return as_text([row[0]])[0][0].as_py()

    def earlier(self, value: str, seconds: int) -> str:
        """Return the time *seconds* before *value*, in the form it is stored in."""
        return earlier(value, seconds)

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the rows, ``fetch_rows`` at a time."""
        sql.checked(self._source, self._place, self._schema, columns)
        schema = pa.schema([self._schema.field(name) for name in columns])
        where, values = self._where(window)
        names = ", ".join(map(sql.column, columns))
        self._rows_read = 0
        with self._in_our_words(), closing(self._connection.cursor()) as cursor:
            cursor.execute(f"SELECT {names} FROM {self._relation}{where}{self._order_sql}", values)
            while rows := cursor.fetchmany(self._source.fetch_rows):
                self._rows_read += len(rows)
                yield self._batch(rows, schema)

    def _batch(self, rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.RecordBatch:
        arrays = []
        for field, values in zip(schema, zip(*rows, strict=True), strict=True):
            array, oddities = (as_binary if pa.types.is_binary(field.type) else as_text)(values, field.name)
            self.oddities.update(oddities)
            arrays.append(array)
        return pa.record_batch(arrays, schema=schema)

    def parts(self, key: Sequence[str], number: int) -> list[Part]:
        """Return the parts by a walk along the first key column, which should have an index."""
        sql.checked(self._source, self._place, self._schema, key[:1])
        name = sql.column(key[0])

        def step(low: object, offset: int) -> object:
            where = f"{name} > :low" if low is not None else f"{name} IS NOT NULL"
            statement = f"SELECT {name} FROM {self._relation} WHERE {where} ORDER BY {name} LIMIT 1 OFFSET :offset"
            row = self._connection.execute(statement, {"low": low, "offset": offset}).fetchone()
            return row[0] if row else None

        rows = self.count(Window())
        with self._in_our_words():
            return parts_between(key[0], sql.walked(rows, number, step))

    def _where(self, window: Window) -> tuple[str, dict[str, object]]:
        sql.checked(self._source, self._place, self._schema, window.columns)
        values: dict[str, object] = {}

        def stored(_column: str, value: object) -> str:
            name = f"bound{len(values)}"
            values[name] = value
            return f":{name}"

        def bound(column: str, value: object) -> str:
            return stored(column, self._bound(column, str(value)))

        return sql.condition(window, bound, stored=stored), values

    def _bound(self, column: str, value: str) -> object:
        """Give a bound the type its column stores: SQLite sorts every number before every text."""
        if not _NUMBER.fullmatch(value):
            return value
        name = sql.column(column)
        with self._in_our_words():
            kind = self._connection.execute(f"SELECT typeof({name}) FROM {self._relation} WHERE {name} IS NOT NULL LIMIT 1").fetchone()
        if kind is None or kind[0] not in ("integer", "real"):
            return value
        return int(value) if value.lstrip("+-").isdigit() else float(value)

    def _described(self) -> pa.Schema:
        if self._place.table and not self._table_exists():
            rows = self._connection.execute(
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1"
            )
            raise failures.no_such_table(self._source, self._place, [row[0] for row in rows])
        described = self._connection.execute(f"SELECT * FROM {self._relation} LIMIT 0").description
        names = [entry[0] for entry in described]
        if len(set(names)) < len(names):
            raise failures.column_named_twice(self._source, self._place, names)
        declared = self._declared()
        return pa.schema([_field(name, declared.get(name, "")) for name in names])

    def _table_exists(self) -> bool:
        name = (self._place.table or "").rpartition(".")[2]
        found = self._connection.execute("SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND lower(name) = lower(?)", [name])
        return found.fetchone() is not None

    def _declared(self) -> dict[str, str]:
        name = (self._place.table or "").rpartition(".")[2]
        return dict(self._connection.execute("SELECT name, type FROM pragma_table_xinfo(?)", [name]).fetchall())

    def _by_rowid(self) -> str:
        """Order by rowid: a key pass might otherwise follow an index, the rows the table."""
        if not self._place.table:
            return ""
        try:
            self._connection.execute(f"SELECT place.rowid FROM {self._relation} LIMIT 0")
        except sqlite3.OperationalError:  # a view, or a table WITHOUT ROWID, which is stored in key order
            return ""
        return " ORDER BY place.rowid"

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        self._deadline = monotonic() + self._source.statement_timeout_seconds
        try:
            yield
        except sqlite3.Error as error:
            # Undecodable text has no code of SQLite's; its message holds the text.
            code, undecodable = getattr(error, "sqlite_errorname", ""), "decode to UTF-8" in str(error)
        else:
            return
        raise self._undecodable() if undecodable else failure(self._source, self._place, code)

    def _undecodable(self) -> HubError:
        return failures.broken(
            self._source,
            self._place,
            f"text that is not UTF-8 within {self._source.fetch_rows} rows after row {self._rows_read}",
            "have the department store the text as UTF-8",
        )


def failure(source: Source, place: Place, code: str) -> HubError:
    """Return what SQLite's error *code* (by name, empty if none) means to the reader of *place*."""
    if code == "SQLITE_INTERRUPT":
        return failures.timed_out(source, place)
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL")):
        return failures.down(source, f"the database file is locked or cannot be opened ({code})")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return failures.broken(
            source, place, "the file is no SQLite database, or a damaged or encrypted one", "have the department supply it anew"
        )
    if code.startswith(("SQLITE_AUTH", "SQLITE_PERM")):
        return failures.not_permitted(source, place)
    return failures.query_refused(source, place, code or "without a code")


def _connected(source: Source, place: Place, path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=WAIT_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorname", "")
    raise failure(source, place, code)


def _field(name: str, declared: str) -> pa.Field:
    kind = pa.binary() if "BLOB" in declared.upper() else pa.string()
    return pa.field(name, kind, metadata={"declared": declared} if declared else None)
