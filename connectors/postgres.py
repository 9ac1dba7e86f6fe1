"""PostgreSQL, read by Arrow-native COPY in one read-only, repeatable-read transaction."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import adbc_driver_postgresql
import pyarrow as pa
from adbc_driver_manager import dbapi as adbc
from adbc_driver_postgresql.dbapi import connect

from connectors import failures, postgres_types, sql
from connectors.cursors import earlier
from connectors.protocol import Session, parts_between
from connectors.registry import connector
from hub.errors import HubError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.protocol import Connector, Part, Place, Window
    from schemas.source import Source

CONNECT_SECONDS = "10"
BYTES_PER_ROW = 256  # a guess that keeps the driver's batches near `fetch_rows`
SAMPLED_PAGES = 2000  # 16 MB: of a larger table this much tells where its parts begin
_SHARED = re.compile(r"[0-9A-F-]+")  # how PostgreSQL names the file of a snapshot

_TOO_MANY = re.compile(r"too many|reserved|太多|保留", re.IGNORECASE)
_TIMED_OUT = {"57014", "25P03"}
_TURNED_AWAY = {"28000", "28P01", "3D000"}
_GONE_CLASSES = {"08", "53", "57", "58", "40", "55"}


@connector("postgres")
@contextmanager
def open_postgres(source: Source, place: Place, *, password: str | None, order_by: Sequence[str] = ()) -> Iterator[Connector]:
    """Open a session whose every read sees one snapshot.

    Without ``order_by`` rows come in the order of the plan, which the session keeps plain
    (no parallel workers, no synchronised or index-only scans) so that it repeats.
    ``statement_timeout_seconds`` bounds each pass as a whole: COPY is one statement.
    """
    connection = _connected(source, _address(source, password))
    try:
        session = PostgresSession(source, place, connection, order_by)
        session.begin()
        yield session
    finally:
        # Closing cuts a COPY still running and rolls the transaction back.
        connection.close()


class PostgresSession(Session):
    """One read-only transaction on one table or query."""

    def __init__(self, source: Source, place: Place, connection: adbc.Connection, order_by: Sequence[str]) -> None:
        """Wrap *connection*; :meth:`begin` must come next."""
        super().__init__()
        self._source, self._place, self._connection = source, place, connection
        self._relation, self._order = sql.relation(place), tuple(order_by)
        self._closed: set[str] = set()
        self._declared: dict[str, dict[str, str]] = {}

    def begin(self) -> None:
        """Take the snapshot and learn the columns."""
        self._transaction()
        self._learn()

    def _transaction(self, *first: str) -> None:
        with self._in_our_words():
            for statement in (
                "SET default_transaction_read_only = on",
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                *first,
                f"SET LOCAL statement_timeout = '{self._source.statement_timeout_seconds}s'",
                "SET LOCAL datestyle = 'ISO, YMD'",
                "SET LOCAL timezone = 'UTC'",
                "SET LOCAL standard_conforming_strings = on",
                # One reader, and the same order at each read of the session.
                "SET LOCAL max_parallel_workers_per_gather = 0",
                "SET LOCAL synchronize_seqscans = off",
                "SET LOCAL enable_indexonlyscan = off",
            ):
                self._run(statement)

    def _learn(self) -> None:
        with self._in_our_words():
            self.snapshot = f"repeatable read, {self._one('SELECT pg_current_snapshot()::text')}"
            self._readings = {reading.name: reading for reading in self._described()}
        self._known(self._order)

    def columns(self) -> pa.Schema:
        """Return the columns this user may read, in the table's order; nullable throughout. A table's declared types stand beside."""
        return pa.schema([pa.field(one.name, one.type, metadata=self._declared.get(one.name)) for one in self._readings.values()])

    def count(self, window: Window) -> int:
        """Return the rows of *window* in the snapshot."""
        where = self._where(window)
        with self._in_our_words():
            return int(self._one(f"SELECT count(*) FROM {self._relation}{where}") or 0)

    def newest(self, cursor: str) -> str | None:
        """Return the greatest value as PostgreSQL prints it (instants in UTC)."""
        self._known([cursor])
        name = sql.column(cursor)
        with self._in_our_words():
            return self._one(f"SELECT {name}::text FROM {self._relation} WHERE {name} IS NOT NULL ORDER BY {name} DESC LIMIT 1")

    def earlier(self, value: str, seconds: int) -> str:
        """Return the time *seconds* before *value* in the form of :meth:`newest`."""
        return earlier(value, seconds)

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the rows by COPY: memory is bounded by a batch."""
        self._known(columns)
        readings = [self._readings[name] for name in columns]
        expressions = ", ".join(reading.expression for reading in readings)
        statement = f"SELECT {expressions} FROM {self._relation}{self._where(window)}{sql.ordering(self._order)}"
        schema = pa.schema([pa.field(reading.name, reading.type) for reading in readings])
        for batch in self._streamed(statement):
            arrays = [self._taken(reading, batch.column(at)) for at, reading in enumerate(readings)]
            taken = pa.record_batch(arrays, schema=schema)
            for start in range(0, taken.num_rows, self._source.fetch_rows):
                yield taken.slice(start, self._source.fetch_rows)

    def parts(self, key: Sequence[str], number: int) -> list[Part]:
        """Return the parts by percentiles of the first key column; of a large table by those of a repeatable sample of its pages."""
        self._known(key[:1])
        name = sql.column(key[0])
        cuts = ", ".join(str(cut / number) for cut in range(1, number))
        with self._in_our_words():
            sampled = f"FROM {self._relation}{self._sample()}"
            found = self._rows(
                f"SELECT bound::text FROM (SELECT DISTINCT bound FROM unnest((SELECT percentile_disc(ARRAY[{cuts}]::float8[]) "
                f"WITHIN GROUP (ORDER BY {name}) {sampled} WHERE {name} IS NOT NULL)) AS bound) AS bounds "
                f"WHERE bound > (SELECT min({name}) {sampled}) ORDER BY bounds.bound"
            )
        return parts_between(key[0], [row[0] for row in found])

    def seconds_behind(self) -> float | None:
        """Return the age of what was last replayed; 0 if all that was received is replayed and the primary is still connected."""
        with self._in_our_words():
            behind = self._one(
                "SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL "
                "WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0 "
                "ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 'infinity') END::float8::text"
            )
        return None if behind is None else float(behind)

    def share(self) -> str | None:
        """Return the name of this transaction's snapshot, exported until the session ends."""
        with self._in_our_words():
            return self._one("SELECT pg_export_snapshot()")

    def join(self, shared: str) -> None:
        """Begin again in the snapshot that another session shared; ``Unavailable`` if that session has ended."""
        if not _SHARED.fullmatch(shared):
            raise Mistake("that is no name of a shared snapshot", remedy="pass on what `share` gave")
        with self._in_our_words():
            self._run("ROLLBACK")
        try:
            self._transaction(f"SET TRANSACTION SNAPSHOT '{shared}'")
        except Mistake:
            raise failures.down(self._source, "the session that shared its snapshot has ended") from None
        self._learn()

    def _sample(self) -> str:
        if not self._place.table:
            return ""
        name = literal(sql.table(self._place.table))
        pages = int(
            self._one(
                f"SELECT coalesce((SELECT sum(pg_relation_size(relid))::bigint FROM pg_partition_tree({name}::regclass)), "
                f"pg_relation_size({name}::regclass)) / current_setting('block_size')::bigint FROM pg_class "
                f"WHERE oid = {name}::regclass AND relkind IN ('r', 'p', 'm')"
            )
            or 0
        )
        return f" TABLESAMPLE SYSTEM ({100 * SAMPLED_PAGES / pages}) REPEATABLE (0)" if pages > 10 * SAMPLED_PAGES else ""

    def _where(self, window: Window) -> str:
        self._known(window.columns)
        return sql.condition(window, lambda _, bound: literal(bound))

    def _known(self, names: Sequence[str]) -> None:
        if closed := [name for name in names if name in self._closed]:
            raise failures.columns_not_permitted(self._source, self._place, closed)
        sql.checked(self._source, self._place, self.columns(), names)

    def _taken(self, reading: postgres_types.Reading, column: pa.Array) -> pa.Array:
        values, oddities = postgres_types.taken(reading, column)
        self.oddities.update(oddities)
        return values

    def _streamed(self, statement: str) -> Iterator[pa.RecordBatch]:
        hint = {adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(self._source.fetch_rows * BYTES_PER_ROW)}
        with self._in_our_words(), closing(self._connection.cursor(adbc_stmt_kwargs=hint)) as cursor:
            cursor.execute(statement)
            yield from cursor.fetch_record_batch()

    def _run(self, statement: str) -> None:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement)

    def _rows(self, statement: str) -> list[tuple[str, ...]]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def _one(self, statement: str) -> str | None:
        rows = self._rows(statement)
        return None if not rows or rows[0][0] is None else str(rows[0][0])

    def _described(self) -> list[postgres_types.Reading]:
        if self._place.table:
            self._declared = {name: {"declared": written} for name, written in self._readable().items()}
        names = ", ".join(map(sql.column, self._declared)) if self._place.table else "*"
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"SELECT {names} FROM {self._relation} LIMIT 0")
            schema = cursor.fetch_record_batch().schema
        if len(set(schema.names)) < len(schema.names):
            raise failures.column_named_twice(self._source, self._place, schema.names)
        return [postgres_types.reading(field) for field in schema]

    def _readable(self) -> dict[str, str]:
        """Name the columns this user may read, and their types as declared; asking for others would fail the whole statement."""
        name = literal(sql.table(self._place.table or ""))
        if self._one(f"SELECT to_regclass({name})::oid") is None:
            tables = self._rows(
                "SELECT CASE WHEN pg_table_is_visible(oid) THEN relname::text ELSE relnamespace::regnamespace || '.' || relname END "
                "FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace NOT IN "
                "('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND has_any_column_privilege(oid, 'SELECT') ORDER BY 1"
            )
            raise failures.no_such_table(self._source, self._place, [row[0] for row in tables])
        rows = self._rows(
            "SELECT attname::text, CASE WHEN has_column_privilege(attrelid, attnum, 'SELECT') THEN 'open' ELSE 'closed' END, "
            "format_type(atttypid, atttypmod) "
            f"FROM pg_attribute WHERE attrelid = to_regclass({name}) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        readable = {column: written for column, state, written in rows if state == "open"}
        self._closed = {column for column, state, _ in rows if state == "closed"}
        if not readable:
            raise failures.not_permitted(self._source, self._place)
        return readable

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except adbc.Error as error:
            raise failure(self._source, self._place, error.sqlstate or "") from None
        except (OSError, pa.ArrowException):
            # The stream's errors carry no code: a timeout, a lost server, a cancelled statement.
            what = "reading broke off (time limit reached, connection lost, or the statement was cancelled)"
            raise failures.down(self._source, what) from None


def failure(source: Source, place: Place, code: str) -> HubError:
    """Return what the error *code* (SQLSTATE, empty if none) means to the reader of *place*."""
    if code in _TIMED_OUT:
        return failures.timed_out(source, place)
    if code == "42501":
        return failures.not_permitted(source, place)
    if not code or code[:2] in _GONE_CLASSES:
        return failures.down(source, f"the server ended the request (error {code or 'without a code'})")
    return failures.query_refused(source, place, code)


def literal(text: object) -> str:
    """Return *text* as an SQL literal of no type yet: PostgreSQL gives it the type of what it is compared with."""
    if not isinstance(text, str) or "\0" in text:
        raise Mistake("a cursor's bound is missing or holds a NUL character", remedy="run the job in full once")
    return "'" + text.replace("'", "''") + "'"


def _address(source: Source, password: str | None) -> str:
    parts = urlsplit(source.url or "")
    if parts.scheme not in ("postgresql", "postgres") or parts.password:
        raise Mistake(
            f"source {source.source!r}: `url` is not of the form postgresql://user@host:5432/database, or holds a password",
            remedy="write the URL in that form and put the password in the source's secret file",
        )
    user, _, host = parts.netloc.rpartition("@")
    login = user.rstrip(":") + (f":{quote(password, safe='')}" if password else "")
    options = {"connect_timeout": CONNECT_SECONDS, "application_name": "exchange-hub", **dict(parse_qsl(parts.query))}
    return urlunsplit(parts._replace(netloc=f"{login}@{host}" if login else host, query=urlencode(options, quote_via=quote)))


def _connected(source: Source, address: str) -> adbc.Connection:
    try:
        connection: adbc.Connection = connect(address, autocommit=True)
    except adbc.Error as error:
        full, said = answers(address), str(error)
    else:
        return connection
    if full and not _TOO_MANY.search(said):
        raise failures.turned_away(source)
    raise failures.down(source, "the server has no connection free" if full else "the server does not answer")


def answers(address: str) -> bool:
    """Whether a server listens there: libpq's errors at connecting have no code, and speak the server's language."""
    from psycopg import pq  # noqa: PLC0415 (only on the way to an error)

    return pq.PGconn.ping(address.encode()) == pq.Ping.OK
