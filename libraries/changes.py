"""What changed between two versions of a library: a query over since and until, not a table.

A change is stated per subject and compares what the library said before with what it says after,
so that a value that went and came back between the two versions is no change.
"""

import sqlalchemy as sa

from libraries.erasure import erased
from libraries.layout import EntityLayout
from libraries.retention import require_kept
from libraries.retired import with_withdrawn
from libraries.views import as_of, quoted, select

Ranks = dict[str, tuple[str, ...]]


def ranks_at(connection: sa.Connection, layout: EntityLayout, version: int) -> Ranks:
    """Return whose word counted for each field in library version *version*."""
    query = sa.text(
        "SELECT field, dataset FROM hub.authority WHERE library = :library AND entity = :entity "
        "AND since <= :version AND (until IS NULL OR until > :version) ORDER BY field, rank"
    )
    found: dict[str, list[str]] = {field: [] for field in layout.ranks}
    for field, dataset in connection.execute(query, {"library": layout.library, "entity": layout.entity, "version": version}):
        found.setdefault(field, []).append(dataset)
    feeding = {(table.dataset, column.field) for table in layout.tables for column in table.columns}
    return {field: tuple(dataset for dataset in names if (dataset, field) in feeding) for field, names in found.items()}


def state_at(connection: sa.Connection, layout: EntityLayout, version: int) -> str:
    """Return the SELECT of the entity as the library described it in *version*; ``Refused`` if that is no longer kept."""
    layout = with_withdrawn(connection, layout)
    require_kept(connection, layout, version)
    return select(layout, as_of(version), ranks_at(connection, layout, version))


def changes(connection: sa.Connection, layout: EntityLayout, *, after: int, until: int) -> str:
    """Return the SELECT of all changes in versions *after* < v ≤ *until*.

    Its columns are ``change`` (``insert``, ``update``, ``delete``, ``erase``) and those of the entity:
    the new state, or the last one before a delete. Of an erased person nothing is left but the subject id:
    who holds something of them under that id must erase it too.
    """
    names = ["subject", *(["dataset", "row_key"] if layout.form.value == "collected" else ["subject_key"])]
    names += [column.name for column in layout.columns]
    identity = "subject" if layout.form.value == "composed" else "(subject, dataset, row_key)"
    columns = ", ".join(quoted(name) for name in names)
    touched = (
        " UNION ".join(_touched(table_name, after, until) for table_name in _tables(with_withdrawn(connection, layout)))
        or "SELECT NULL::bigint AS subject WHERE false"
    )
    before = f"SELECT {columns} FROM ({state_at(connection, layout, after)}) b WHERE subject IN (SELECT subject FROM touched)"
    now = f"SELECT {columns} FROM ({state_at(connection, layout, until)}) n WHERE subject IN (SELECT subject FROM touched)"
    return (
        f"WITH touched AS ({touched}), before AS MATERIALIZED ({before}), now AS MATERIALIZED ({now}) "
        f"SELECT CASE WHEN {identity} IN (SELECT {identity} FROM before) THEN 'update' ELSE 'insert' END AS change, {columns} "
        f"FROM (SELECT {columns} FROM now EXCEPT SELECT {columns} FROM before) arrived "
        f"UNION ALL SELECT 'delete', {columns} FROM before WHERE {identity} NOT IN (SELECT {identity} FROM now) "
        f"UNION ALL SELECT 'erase', subject{', NULL' * (len(names) - 1)} FROM ({erased(layout, after=after, until=until)}) gone"
    )


def _tables(layout: EntityLayout) -> list[tuple[str, str]]:
    return [(quoted(table.library, table.name), quoted(table.library, table.history)) for table in layout.tables]


def _touched(names: tuple[str, str], after: int, until: int) -> str:
    now, history = names
    return (
        f"SELECT subject FROM {now} WHERE since > {after:d} AND since <= {until:d} "
        f"UNION SELECT subject FROM {history} "
        f"WHERE (since > {after:d} AND since <= {until:d}) OR (until > {after:d} AND until <= {until:d})"
    )
