"""Taking a published batch back: a new version in which every row is as if the batch had never been.

What a row *is* follows from its events: each version in which it arrived, was replaced or left.
A withdrawal takes one batch's events out of that story; a row stands in the state of its last event that is left.
So a row superseded since stays, a later withdrawal passes over an earlier one, and the order of withdrawals does not matter.
History keeps everything, so ``as of`` answers before, between and after.
The caller holds the publish lock of the library and commits.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from hub.errors import Refused
from libraries.layout import ContributionTable, EntityLayout
from libraries.retention import oldest_kept
from libraries.retired import stored_columns_of
from libraries.statements import run, run_script, scalar
from libraries.views import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """What a withdrawal did to one entity, in rows.

    ``returned`` to their predecessor, ``removed`` because the batch had brought them, ``restored`` because it had deleted them;
    ``superseded`` were touched by the batch and stay, because a later batch spoke since or another row speaks for their subject.
    """

    returned: int
    removed: int
    restored: int
    superseded: int

    @property
    def anything(self) -> bool:
        """Whether the library is different now."""
        return bool(self.returned or self.removed or self.restored)


def withdraw(connection: sa.Connection, table: ContributionTable, *, batch: int, made: int, version: int) -> Withdrawn:
    """Take *batch*, which made version *made*, out of *table* as version *version*, and return what changed.

    Raise :class:`Refused` where the history that a row would return to is no longer kept.
    """
    touched = _tell_stories(connection, table, made)
    _find_concerned(connection, table, batch=batch, made=made)
    _require_history(connection, table, made)
    _find_returning(connection, table)
    leaving = _leave(connection, table, version)
    columns = ", ".join(quoted(name) for name in _every_column(connection, table) if name != "since")
    arrived = run(connection, f"INSERT INTO {_now(table)} ({columns}, since) SELECT {columns}, {version:d} FROM returning_rows")
    restored = scalar(connection, "SELECT count(*) FROM returning_rows WHERE NOT replaces")
    concerned = scalar(connection, "SELECT count(*) FROM concerned")
    run_script(connection, "DROP TABLE story, concerned, returning_rows")
    returned = arrived - restored
    return Withdrawn(returned=returned, removed=leaving - returned, restored=restored, superseded=touched - concerned)


def _every_column(connection: sa.Connection, table: ContributionTable) -> tuple[str, ...]:
    """Return all columns, those of fields that left the contract too: a row goes back, and into history, as it was."""
    return tuple(stored_columns_of(connection, table.library, table.name))


def _now(table: ContributionTable) -> str:
    return quoted(table.library, table.name)


def _history(table: ContributionTable) -> str:
    return quoted(table.library, table.history)


def _tell_stories(connection: sa.Connection, table: ContributionTable, made: int) -> int:
    """Collect all events of the rows that version *made* touched; return how many rows that are."""
    touched = (
        f"SELECT row_key FROM {_now(table)} WHERE since = {made:d} "
        f"UNION SELECT row_key FROM {_history(table)} WHERE since = {made:d} OR until = {made:d}"
    )
    run(
        connection,
        f"CREATE TEMP TABLE story ON COMMIT DROP AS WITH touched AS MATERIALIZED ({touched}) "
        f"SELECT row_key, since AS version FROM {_now(table)} JOIN touched USING (row_key) "
        f"UNION SELECT row_key, unnest(ARRAY[since, until]) FROM {_history(table)} JOIN touched USING (row_key)",
    )
    run_script(connection, "ANALYZE story")
    return scalar(connection, "SELECT count(DISTINCT row_key) FROM story")


def standing(library: str, *, but: int) -> str:
    """Select the versions of *library* whose events count: not those of withdrawals, of withdrawn batches, of the batch *but*."""
    return (
        f"SELECT v.version FROM hub.library_version v LEFT JOIN hub.batch b ON b.id = v.batch WHERE v.library = '{library}' "
        f"AND v.cause <> 'withdrawal' AND b.id IS DISTINCT FROM {but:d} AND b.state IS DISTINCT FROM 'withdrawn'"
    )


def _find_concerned(connection: sa.Connection, table: ContributionTable, *, batch: int, made: int) -> None:
    """Find the rows whose last standing event is the batch's, and the event before it."""
    run(
        connection,
        f"CREATE TEMP TABLE concerned ON COMMIT DROP AS SELECT s.row_key, max(v.version) AS earlier, min(s.version) AS first "
        f"FROM story s LEFT JOIN ({standing(table.library, but=batch)}) v USING (version) "
        f"GROUP BY s.row_key HAVING coalesce(max(v.version), 0) < {made:d}",
    )


def _require_history(connection: sa.Connection, table: ContributionTable, made: int) -> None:
    oldest = oldest_kept(connection, table)
    lost = made <= oldest or scalar(connection, f"SELECT count(*) FROM concerned WHERE earlier IS NULL AND first <= {oldest:d}")
    if oldest and lost:
        raise Refused(
            f"the history of {table.library}.{table.name} is kept from version {oldest} on, and rows would return to what was before",
            remedy="run the job in full instead: what the source says replaces what the batch brought",
        )


def _find_returning(connection: sa.Connection, table: ContributionTable) -> None:
    """Find the state each concerned row returns to, and leave rows alone that stand in it already."""
    columns = ", ".join(f"h.{quoted(name)}" for name in _every_column(connection, table))
    run(
        connection,
        f"CREATE TEMP TABLE returning_rows ON COMMIT DROP AS SELECT {columns}, t.row_key IS NOT NULL AS replaces "
        f"FROM concerned c JOIN {_history(table)} h ON h.row_key = c.row_key AND h.since = c.earlier "
        f"LEFT JOIN {_now(table)} t ON t.row_key = c.row_key",
    )
    run(
        connection,
        f"WITH standing AS (DELETE FROM returning_rows r USING {_now(table)} t WHERE t.row_key = r.row_key "
        f"AND t.row_hash = r.row_hash AND t.subject = r.subject RETURNING r.row_key) "
        f"DELETE FROM concerned c USING standing s WHERE s.row_key = c.row_key",
    )
    if table.unique_subject:
        _one_voice_each(connection, table)


def _one_voice_each(connection: sa.Connection, table: ContributionTable) -> None:
    """Let no row return for whose subject another row speaks: one that stays, or one that spoke later."""
    stays = f"SELECT FROM {_now(table)} t WHERE t.subject = r.subject AND t.row_key NOT IN (SELECT row_key FROM concerned)"
    later = (
        "SELECT FROM returning_rows o WHERE o.subject = r.subject AND o.row_key <> r.row_key "
        "AND (o.since > r.since OR (o.since = r.since AND o.row_key < r.row_key))"
    )
    run(connection, f"DELETE FROM returning_rows r WHERE EXISTS ({stays}) OR EXISTS ({later})")


def _leave(connection: sa.Connection, table: ContributionTable, version: int) -> int:
    columns = ", ".join(quoted(name) for name in _every_column(connection, table))
    return run(
        connection,
        f"WITH leaving AS (DELETE FROM {_now(table)} t USING concerned c WHERE t.row_key = c.row_key RETURNING t.*) "
        f"INSERT INTO {_history(table)} ({columns}, until) SELECT {columns}, {version:d} FROM leaving",
    )


def undo_corrections(connection: sa.Connection, layouts: tuple[EntityLayout, ...], *, batch: int, made: int) -> int:
    """Give subjects whose identifier the batch corrected their former one back; return how many.

    *layouts* are all entities of one spine. A correction stays where a later batch spoke of the subject,
    for then it cannot be told any more under which identifier. Subjects that the batch founded stay in the spine,
    unseen, as long as history speaks of them: without them ``as of`` could not answer.
    """
    spine, library = layouts[0].spine, layouts[0].library
    later = " UNION ALL ".join(
        f"SELECT FROM {name} t WHERE t.subject = k.subject AND t.since > {made:d} AND t.since IN (SELECT version FROM standing)"
        for layout in layouts
        for table in layout.tables
        for name in (_now(table), _history(table))
    )
    return run(
        connection,
        f"WITH standing AS ({standing(library, but=batch)}), "
        f"wrong AS (DELETE FROM {spine} k WHERE k.since = {made:d} AND k.current "
        f"AND EXISTS (SELECT FROM {spine} f WHERE f.subject = k.subject AND f.since < {made:d}) AND NOT EXISTS ({later}) "
        f"RETURNING k.subject) SELECT subject FROM wrong",
    ) and _revive(connection, spine)


def _revive(connection: sa.Connection, spine: str) -> int:
    """Make the newest former identifier of each subject without a current one current again."""
    newest = f"SELECT DISTINCT ON (subject) key FROM {spine} ORDER BY subject, current DESC, since DESC"
    return run(connection, f"UPDATE {spine} k SET current = true WHERE NOT k.current AND k.key IN (SELECT key FROM ({newest}) n)")
