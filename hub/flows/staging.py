"""Where a batch lies between its source and its libraries: staging tables, filled by COPY in one transaction.

Killed before the commit, nothing of the batch is left.
A first load is staged in durable tables, because they become the library's own; others are unlogged.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import adbc_driver_manager
import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from hub.database.engine import adbc
from hub.database.roles import Role
from hub.errors import HubError, Unavailable
from hub.flows.shares import Share
from libraries.publishing import Staged
from libraries.statements import run_script
from libraries.views import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names of one batch's staging tables."""

    batch: int

    @property
    def keys(self) -> str:
        """Every row key of the source, with the columns that set-level rules need."""
        return f"b{self.batch}_keys"

    def rows(self, share: int) -> str:
        """Protected rows of one share."""
        return f"b{self.batch}_{share}"

    def subjects(self, share: int) -> str:
        """Natural keys of one share's provisional subjects."""
        return f"b{self.batch}_{share}_key"

    def absent(self, share: int) -> str:
        """Row keys of valid rows that say nothing of one share's entity."""
        return f"b{self.batch}_{share}_absent"


def staged(names: Names, shares: tuple[Share, ...], *, reprotected: bool) -> tuple[Staged, ...]:
    """Return what merging needs to know of each share's staging tables."""
    return tuple(
        Staged(
            layout=share.layout,
            table=share.table,
            rows=names.rows(number),
            keys=names.subjects(number),
            absent=names.absent(number),
            all_keys=names.keys,
            pick=share.pick,
            reprotected=reprotected,
        )
        for number, share in enumerate(shares)
    )


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


class Stage:
    """The open staging area of one batch; everything in it commits or vanishes together."""

    def __init__(self, names: Names, shares: tuple[Share, ...], *, first: tuple[bool, ...], key_columns: tuple[str, ...]) -> None:
        """Create the tables of *shares*; *first* says which of them are first loads."""
        self.names = names
        self._shares = shares
        self._connection = adbc(Role.WRITER)
        self._cursor = self._connection.cursor()
        self._create_keys(key_columns)
        for number, share in enumerate(shares):
            self._create_share(number, share, durable=first[number])

    def _create_keys(self, columns: tuple[str, ...]) -> None:
        body = ", ".join(f"{quoted(name)} bytea" for name in ("row_key", *columns))
        self.run(f"CREATE UNLOGGED TABLE {quoted('staging', self.names.keys)} ({body})")

    def _create_share(self, number: int, share: Share, *, durable: bool) -> None:
        kind = "TABLE" if durable else "UNLOGGED TABLE"
        body = ", ".join(f"{quoted(name)} {sql_type}" for name, sql_type in share.table.stored if name != "since")
        self.run(f"CREATE {kind} {quoted('staging', self.names.rows(number))} ({body})")
        self.run(f"CREATE {kind} {quoted('staging', self.names.subjects(number))} (subject bigint, key bytea, sealed bytea)")
        self.run(f"CREATE UNLOGGED TABLE {quoted('staging', self.names.absent(number))} (row_key bytea)")

    def run(self, sql: str) -> None:
        """Run one statement in the batch's transaction."""
        try:
            self._cursor.execute(sql)
        except adbc_driver_manager.Error as error:
            raise _in_our_words(error) from None

    def query(self, sql: str) -> pa.Table:
        """Return the answer to one query in the batch's transaction."""
        try:
            self._cursor.execute(sql)
            return self._cursor.fetch_arrow_table()
        except adbc_driver_manager.Error as error:
            raise _in_our_words(error) from None

    def write(self, table: str, rows: pa.RecordBatch, *, schema: str = "staging") -> None:
        """Append *rows* to one table by COPY; columns are matched by name."""
        if not rows.num_rows:
            return
        try:
            self._cursor.adbc_ingest(table, rows, mode="append", db_schema_name=schema)
        except adbc_driver_manager.Error as error:
            raise _in_our_words(error) from None

    def write_share(self, number: int, protected: pa.RecordBatch) -> None:
        """Append protected rows: a provisional random subject links each row to its natural key."""
        speaking = protected.filter(protected.column("subject_key").is_valid())
        silent = protected.filter(protected.column("subject_key").is_null())
        subjects = _provisional(speaking.num_rows)
        sealed = (
            speaking.column("subject_sealed") if "subject_sealed" in speaking.schema.names else pa.nulls(speaking.num_rows, pa.binary())
        )
        keys = {"subject": subjects, "key": speaking.column("subject_key"), "sealed": sealed}
        kept = [name for name in speaking.schema.names if name not in {"subject_key", "subject_sealed"}]
        rows = {name: speaking.column(name) for name in kept} | {"subject": subjects}
        self.write(self.names.rows(number), pa.RecordBatch.from_pydict(rows))
        self.write(self.names.subjects(number), pa.RecordBatch.from_pydict(keys))
        self.write(self.names.absent(number), silent.select(["row_key"]))

    def empty(self) -> None:
        """Forget what was staged of the shares and quarantined, to read them again; the keys stay."""
        for number in range(len(self._shares)):
            for name in (self.names.rows(number), self.names.subjects(number), self.names.absent(number)):
                self.run(f"TRUNCATE {quoted('staging', name)}")
        self.run(f"DELETE FROM hub.quarantine WHERE batch = {self.names.batch:d}")

    def analyze(self, tables: Iterable[str]) -> None:
        """Let the planner know what was written."""
        for table in tables:
            self.run(f"ANALYZE {quoted('staging', table)}")

    def commit(self) -> None:
        """Make the batch's staging visible to publishing."""
        try:
            self._connection.commit()
        except adbc_driver_manager.Error as error:
            raise _in_our_words(error) from None

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        self._cursor.close()
        self._connection.close()


def _provisional(count: int) -> pa.Array:
    """Return random 63-bit subject ids: no order of rows or people can be read from them."""
    drawn = np.frombuffer(os.urandom(8 * count), np.int64) & np.int64(0x7FFF_FFFF_FFFF_FFFF)
    return pa.array(drawn)


def _in_our_words(error: adbc_driver_manager.Error) -> HubError:
    code = error.sqlstate or "none"
    return Unavailable(
        f"the hub database refused to stage rows (SQLSTATE {code})", remedy="see the server's log for that code, then run the job again"
    )
