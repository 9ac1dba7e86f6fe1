"""How far back a library's history reaches, and removing what lies before.

What is kept is stated per contribution, in versions: its history is whole from ``oldest`` on.
The statement moves before the first row goes, so no reader ever sees half a version.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from hub.errors import Refused
from libraries.layout import ContributionTable, EntityLayout
from libraries.retired import retired_columns_of, stored_columns_of
from libraries.statements import run, scalar
from libraries.views import quoted


def oldest_kept(connection: sa.Connection, table: ContributionTable) -> int:
    """Return the oldest version of which *table*'s history is whole; 0 if nothing was ever removed."""
    query = sa.text("SELECT oldest FROM hub.history_kept WHERE library = :library AND entity = :entity AND dataset = :dataset")
    found = connection.execute(query, {"library": table.library, "entity": table.entity, "dataset": table.dataset})
    return found.scalar_one_or_none() or 0


def require_kept(connection: sa.Connection, layout: EntityLayout, version: int) -> None:
    """Raise :class:`Refused` if the entity can no longer be told as of *version*."""
    oldest = max((oldest_kept(connection, table) for table in layout.tables), default=0)
    if version < oldest:
        raise Refused(
            f"{layout.path} as of version {version} is no longer kept: its contracts state for how long, and that time is over",
            remedy=f"the earliest version that can be asked for is {oldest}",
        )


def version_at(connection: sa.Connection, library: str, moment: datetime) -> int:
    """Return the version that *library* had at *moment*; 0 before its first."""
    query = sa.text("SELECT coalesce(max(version), 0) FROM hub.library_version WHERE library = :library AND made_at <= :moment")
    return int(connection.execute(query, {"library": library, "moment": moment}).scalar_one())


def begin_pruning(connection: sa.Connection, table: ContributionTable, oldest: int) -> int:
    """State that *table*'s history is whole from version *oldest* on, if anything before it can go; return what then holds.

    The statement never moves back.
    """
    over = f"SELECT count(*) FROM (SELECT FROM {quoted(table.library, table.history)} WHERE until <= {oldest:d} LIMIT 1) one"
    if scalar(connection, over):
        _keep_from(connection, table, oldest)
    return oldest_kept(connection, table)


def _keep_from(connection: sa.Connection, table: ContributionTable, oldest: int) -> None:
    statement = sa.text(
        "INSERT INTO hub.history_kept AS k (library, entity, dataset, oldest) VALUES (:library, :entity, :dataset, :oldest) "
        "ON CONFLICT (library, entity, dataset) DO UPDATE SET oldest = excluded.oldest WHERE k.oldest < excluded.oldest"
    )
    named = {"library": table.library, "entity": table.entity, "dataset": table.dataset, "oldest": oldest}
    connection.execute(statement, named)


def prune(connection: sa.Connection, layout: EntityLayout, table: ContributionTable, *, limit: int) -> int:
    """Remove at most *limit* rows that ended before the oldest kept version, but for subjects under a legal hold; return how many."""
    history = quoted(table.library, table.history)
    over = f"h.until <= {oldest_kept(connection, table):d} AND NOT EXISTS ({_held(layout, 'h')})"
    return run(connection, f"DELETE FROM {history} WHERE ctid = ANY(ARRAY(SELECT h.ctid FROM {history} h WHERE {over} LIMIT {limit:d}))")


def prune_retired(connection: sa.Connection, layout: EntityLayout, table: ContributionTable, *, oldest: int, limit: int) -> int:
    """Empty what fields that left the contract say in at most *limit* current rows from before version *oldest*; return how many.

    Subjects under a legal hold keep it. Nobody is shown it, so the rows stay the versions they are.
    """
    retired, columns = retired_columns_of(connection, table), stored_columns_of(connection, table.library, table.name)
    if not retired:
        return 0
    now, names = quoted(table.library, table.name), ", ".join(map(quoted, columns))
    said = " OR ".join(f"t.{quoted(name)} IS NOT NULL" for name in retired)
    due = f"SELECT t.ctid FROM {now} t WHERE t.since < {oldest:d} AND ({said}) AND NOT EXISTS ({_held(layout, 't')}) LIMIT {limit:d}"
    values = ", ".join("NULL" if name in retired else quoted(name) for name in columns)
    old = f"WITH old AS (DELETE FROM {now} WHERE ctid = ANY(ARRAY({due})) RETURNING *)"
    return run(connection, f"{old} INSERT INTO {now} ({names}) SELECT {values} FROM old")


def prune_spine(connection: sa.Connection, layouts: Sequence[EntityLayout], *, oldest: int, limit: int) -> int:
    """Remove identifiers of subjects of which no row is left, now or in history; return how many.

    *layouts* are all entities of one spine. Identifiers younger than version *oldest* stay: their rows may be on their way.
    """
    spine = layouts[0].spine
    spoken = " AND ".join(
        f"NOT EXISTS (SELECT FROM {quoted(table.library, name)} t WHERE t.subject = k.subject)"
        for layout in layouts
        for table in layout.tables
        for name in (table.name, table.history)
    )
    idle = f"SELECT k.key FROM {spine} k WHERE k.since <= {oldest:d} AND {spoken or 'true'} AND NOT EXISTS ({_held(layouts[0], 'k')})"
    return run(connection, f"DELETE FROM {spine} WHERE key IN ({idle} LIMIT {limit:d})")


def held_rows(layouts: Sequence[EntityLayout], dataset: str) -> str:
    """Return the query whether a row ``q`` of *dataset* belongs to a subject under a legal hold: now, or ever in history."""
    held = (
        f"SELECT FROM {quoted(table.library, name)} t WHERE t.row_key = q.row_key AND EXISTS ({_held(layout, 't')})"
        for layout in layouts
        for table in layout.tables
        if table.dataset == dataset
        for name in (table.name, table.history)
    )
    return " UNION ALL ".join(held) or "SELECT WHERE false"


def _held(layout: EntityLayout, alias: str) -> str:
    return (
        "SELECT FROM hub.held_subject s JOIN hub.hold o ON o.id = s.hold WHERE o.released_at IS NULL "
        f"AND s.library = '{layout.library}' AND s.entity = '{layout.parent or layout.entity}' AND s.subject = {alias}.subject"
    )
