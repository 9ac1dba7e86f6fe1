"""Where a batch lies between its source and its libraries: staging tables, filled by COPY on two connections.

Only rows that differ from what the library holds are staged. They count when the batch is recorded as staged, and not before:
what a killed run left is dropped by the next.
A first load is staged in durable tables, because they become the library's own; others are unlogged.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import adbc_driver_manager
import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from hub.database.engine import adbc, engine
from hub.database.failures import refused_by_adbc
from hub.database.roles import Role
from hub.flows.shares import Share
from libraries.publishing import Staged, founding_indexes, index
from libraries.statements import run_script
from libraries.views import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names of one batch's staging tables."""

    batch: int

    @property
    def closing(self) -> str:
        """Row keys whose open quarantined rows of earlier batches close with this one."""
        return f"b{self.batch}_closing"

    @property
    def doubtful(self) -> str:
        """Row keys that were staged before it was known that they break a set-level rule."""
        return f"b{self.batch}_doubtful"

    @property
    def parts(self) -> str:
        """What was taken of each part of a divided source, and where the parts begin."""
        return f"b{self.batch}_part"

    def rows(self, share: int) -> str:
        """Protected rows of one share."""
        return f"b{self.batch}_{share}"

    def subjects(self, share: int) -> str:
        """Natural keys of one share's provisional subjects."""
        return f"b{self.batch}_{share}_key"

    def absent(self, share: int) -> str:
        """Row keys of valid rows that say nothing of one share's entity."""
        return f"b{self.batch}_{share}_absent"

    def gone(self, share: int) -> str:
        """Fingerprints of the library's rows whose key the source no longer has."""
        return f"b{self.batch}_{share}_gone"

    def all(self, shares: int) -> tuple[str, ...]:
        """Return every table of a batch with so many shares that publishing needs."""
        each = (self.rows, self.subjects, self.absent, self.gone)
        return (self.closing, *(name(share) for share in range(shares) for name in each))


def staged(
    names: Names, shares: tuple[Share, ...], *, reprotected: bool, unchanged: Mapping[str, int], counted: Mapping[str, int]
) -> tuple[Staged, ...]:
    """Return what merging needs to know of each share's staging tables.

    *unchanged* counts, by path, the rows not staged; *counted*, by table, those that are.
    """
    return tuple(
        Staged(
            layout=share.layout,
            table=share.table,
            rows=names.rows(number),
            keys=names.subjects(number),
            absent=names.absent(number),
            gone=names.gone(number),
            staged=counted[names.rows(number)],
            unchanged=unchanged.get(share.path, 0),
            pick=share.pick,
            reprotected=reprotected,
        )
        for number, share in enumerate(shares)
    )


@contextmanager
def indexing(stagings: Iterable[Staged]) -> Iterator[None]:
    """Index first loads where they lie, two indexes at a time on connections of their own, while the caller does other work.

    Publishing makes what is missing: this only shortens it, and the time that it keeps others waiting.
    """

    def make(table: str, definitions: tuple[str, ...]) -> None:
        with engine(Role.WRITER).begin() as connection:
            connection.execute(sa.text("SET LOCAL max_parallel_maintenance_workers = 0"))  # two at a time are two cores' work
            index(connection, table, definitions)

    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="index") as threads:
        begun = [threads.submit(make, *wanted) for one in stagings for wanted in founding_indexes(one)]
        yield
        for each in begun:
            each.result()


def drop(connection: sa.Connection, batch: int) -> None:
    """Drop what is left of a batch's staging tables."""
    like = sa.text("SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relkind = 'r' AND relname LIKE :like")
    for (name,) in connection.execute(like, {"like": f"b{batch}\\_%"}).all():
        run_script(connection, f"DROP TABLE {quoted('staging', name)}")


def make_durable(connection: sa.Connection, batch: int) -> None:
    """Let a held batch survive a crash of the database server."""
    like = sa.text(
        "SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relpersistence = 'u' AND relname LIKE :like"
    )
    for (name,) in connection.execute(like, {"like": f"b{batch}\\_%"}).all():
        run_script(connection, f"ALTER TABLE {quoted('staging', name)} SET LOGGED")


_SUBJECTS = "subject bigint, key bytea, sealed bytea, current boolean DEFAULT true"


class _Lane:
    """One connection that writes in the background, one stretch of rows at a time."""

    def __init__(self) -> None:
        self.connection = adbc(Role.WRITER)
        self.cursor = self.connection.cursor()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="copy")
        self._pending: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Begin *work* when what was begun before is done; its error is raised at the next call."""
        self.wait()
        self._pending = self._thread.submit(work)

    def wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def commit(self) -> None:
        self.wait()
        with _in_our_words():
            self.connection.commit()

    def close(self) -> None:
        self._thread.shutdown()
        self.cursor.close()
        self.connection.close()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except adbc_driver_manager.Error as error:
        raise refused_by_adbc(error) from None


class Stage:
    """The open staging area of one batch."""

    def __init__(self, names: Names, shares: tuple[Share, ...], *, lanes: int = 2) -> None:
        """Open *lanes* connections to the staging area; with a single one all that is written is one transaction."""
        self.names = names
        self._shares = shares
        self._lanes = tuple(_Lane() for _ in range(lanes))
        self._turn = 0

    def create(self, *, first: tuple[bool, ...]) -> None:
        """Create the tables of the shares; *first* says which of them are first loads."""
        for name in (self.names.closing, self.names.doubtful):
            self.run(f"CREATE UNLOGGED TABLE {quoted('staging', name)} (row_key bytea)")
        for number, share in enumerate(self._shares):
            self._create_share(number, share, durable=first[number])
        self._settle()

    def _create_share(self, number: int, share: Share, *, durable: bool) -> None:
        kind = "TABLE" if durable else "UNLOGGED TABLE"
        body = ", ".join(f"{quoted(name)} {sql_type}" for name, sql_type in share.table.stored if name != "since")
        self.run(f"CREATE {kind} {quoted('staging', self.names.rows(number))} ({body})")
        self.run(f"CREATE {kind} {quoted('staging', self.names.subjects(number))} ({_SUBJECTS})")
        self.run(f"CREATE UNLOGGED TABLE {quoted('staging', self.names.absent(number))} (row_key bytea)")
        self.run(f"CREATE UNLOGGED TABLE {quoted('staging', self.names.gone(number))} (row_hash bytea)")

    def _settle(self) -> None:
        """Let each connection see what the other has written."""
        for lane in self._lanes:
            lane.wait() if len(self._lanes) == 1 else lane.commit()

    def run(self, sql: str) -> None:
        """Run one statement; whoever reads what was written calls it after :meth:`commit`."""
        with _in_our_words():
            self._lanes[0].cursor.execute(sql)

    def write(self, table: str, rows: pa.RecordBatch, *, schema: str = "staging") -> None:
        """Append *rows* to one table by COPY; columns are matched by name."""
        if rows.num_rows:
            lane = self._lanes[0]
            lane.wait()
            self._copy(lane, table, rows, schema)

    def _copy(self, lane: _Lane, table: str, rows: pa.RecordBatch, schema: str = "staging") -> None:
        if rows.num_rows:
            with _in_our_words():
                lane.cursor.adbc_ingest(table, rows, mode="append", db_schema_name=schema)

    def write_share(self, number: int, protected: pa.RecordBatch) -> None:
        """Begin to append protected rows: a provisional random subject links each row to its natural key.

        Stretches of rows take turns on the two connections; an error is raised by a later call, at the latest by :meth:`commit`.
        """
        speaking = protected.filter(protected.column("subject_key").is_valid())
        silent = protected.filter(protected.column("subject_key").is_null())
        subjects = _provisional(speaking.num_rows)
        sealed = (
            speaking.column("subject_sealed") if "subject_sealed" in speaking.schema.names else pa.nulls(speaking.num_rows, pa.binary())
        )
        keys = {"subject": subjects, "key": speaking.column("subject_key"), "sealed": sealed}
        kept = [name for name in speaking.schema.names if name not in {"subject_key", "subject_sealed"}]
        rows = {name: speaking.column(name) for name in kept} | {"subject": subjects}
        parts = {
            self.names.rows(number): pa.RecordBatch.from_pydict(rows),
            self.names.subjects(number): pa.RecordBatch.from_pydict(keys),
            self.names.absent(number): silent.select(["row_key"]),
        }
        self._turn = (self._turn + 1) % len(self._lanes)
        lane = self._lanes[self._turn]

        def copy() -> None:
            for table, part in parts.items():
                self._copy(lane, table, part)

        if any(part.num_rows for part in parts.values()):
            lane.start(copy)

    def take_back(self) -> None:
        """Take back the staged rows, and the quarantined ones, whose keys are in the table of doubtful keys."""
        self._settle()
        doubtful = quoted("staging", self.names.doubtful)
        self.run(f"ANALYZE {doubtful}")
        for number in range(len(self._shares)):
            rows, subjects = quoted("staging", self.names.rows(number)), quoted("staging", self.names.subjects(number))
            taken = f"SELECT s.subject FROM {rows} s JOIN {doubtful} USING (row_key)"
            self.run(f"DELETE FROM {subjects} p USING ({taken}) t WHERE p.subject = t.subject")
            for table in (rows, quoted("staging", self.names.absent(number))):
                self.run(f"DELETE FROM {table} s USING {doubtful} d WHERE s.row_key = d.row_key")
        self.run(f"DELETE FROM hub.quarantine q USING {doubtful} d WHERE q.batch = {self.names.batch:d} AND q.row_key = d.row_key")
        self.run(f"DELETE FROM {doubtful}")
        self._settle()

    def empty(self) -> None:
        """Forget what was staged and quarantined, to read it again."""
        self._settle()
        for name in (*self.names.all(len(self._shares)), self.names.doubtful):
            self.run(f"TRUNCATE {quoted('staging', name)}")
        self.run(f"DELETE FROM hub.quarantine WHERE batch = {self.names.batch:d}")
        self._settle()

    def forget_account(self) -> None:
        """Forget what leaves the library and what closes in quarantine; rows stay."""
        for name in (self.names.closing, *map(self.names.gone, range(len(self._shares)))):
            self.run(f"TRUNCATE {quoted('staging', name)}")

    def commit(self) -> None:
        """Make all that was written visible to others."""
        for lane in self._lanes:
            lane.commit()

    def finish(self) -> None:
        """Make all that was written visible to publishing, and let the planner know how much there is of what is not a first load."""
        self._settle()
        for name in self.names.all(len(self._shares)):
            self.run(f"ANALYZE {quoted('staging', name)}")
        self.commit()

    def close(self) -> None:
        """Close the connections; what was not committed is gone."""
        for lane in self._lanes:
            lane.close()


def _provisional(count: int) -> pa.Array:
    """Return random 63-bit subject ids: no order of rows or people can be read from them."""
    drawn = np.frombuffer(os.urandom(8 * count), np.int64) & np.int64(0x7FFF_FFFF_FFFF_FFFF)
    return pa.array(drawn)
