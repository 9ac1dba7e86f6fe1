"""Removing a person from the libraries: every state of every row that is about them, now and in history.

What is about a person is a *source row*: where one share of a contract's row speaks of them, its other shares go too.
Rows are told by state, from ``since`` to ``until``, so that a row which later came to speak of somebody else keeps its later states.
The caller holds the publish locks, has judged legal holds, and commits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from libraries.layout import ContributionTable, EntityLayout
from libraries.retired import retired_columns_of, stored_columns_of
from libraries.statements import run, run_script
from libraries.views import quoted

ENDLESS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Under which subject ids (by spine, ``library.entity``) and keys the libraries know a person."""

    subjects: dict[str, tuple[int, ...]]
    keys: frozenset[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """A token column by which rows of other subjects name a person."""

    table: ContributionTable
    column: str


def known_as(connection: sa.Connection, spines: Iterable[EntityLayout], keys: Iterable[bytes]) -> Known:
    """Return who is known by *keys* in *spines* of one identity domain, with all former and current keys of theirs.

    One library may know a person by a number that another has corrected, so keys and subjects are followed until nothing is new.
    """
    spines, found = tuple(spines), frozenset(keys)
    while True:
        subjects = {f"{spine.library}.{spine.entity}": _subjects(connection, spine, found) for spine in spines}
        more = found | {key for spine in spines for key in _keys(connection, spine, subjects[f"{spine.library}.{spine.entity}"])}
        if more == found:
            return Known(subjects={path: ids for path, ids in subjects.items() if ids}, keys=found)
        found = more


def _subjects(connection: sa.Connection, spine: EntityLayout, keys: frozenset[bytes]) -> tuple[int, ...]:
    query = sa.text(f"SELECT DISTINCT subject FROM {spine.spine} WHERE key = ANY(:keys) ORDER BY 1")
    return tuple(connection.execute(query, {"keys": list(keys)}).scalars())


def _keys(connection: sa.Connection, spine: EntityLayout, subjects: tuple[int, ...]) -> set[bytes]:
    query = sa.text(f"SELECT key FROM {spine.spine} WHERE subject = ANY(:subjects)")
    return {bytes(key) for key in connection.execute(query, {"subjects": list(subjects)}).scalars()}


def collect(connection: sa.Connection, layouts: Sequence[EntityLayout], known: Known, naming: Sequence[Naming]) -> dict[str, int]:
    """Note every state of a row that is about the person in a temporary table, and return how many there are by dataset."""
    run_script(
        connection,
        "CREATE TEMP TABLE erased_state (library text, dataset text, row_key bytea, since integer, until integer) ON COMMIT DROP",
    )
    for layout in layouts:
        ids = known.subjects.get(f"{layout.library}.{layout.parent or layout.entity}", ())
        for table in layout.tables if ids else ():
            _note(connection, table, "t.subject = ANY(:given)", list(ids))
    for one in naming:
        _note(connection, one.table, f"t.{quoted(one.column)} = ANY(:given)", list(known.keys))
    counted = "SELECT dataset, count(*) AS states FROM erased_state GROUP BY dataset ORDER BY dataset"
    return {row.dataset: row.states for row in connection.execute(sa.text(counted))}


def _note(connection: sa.Connection, table: ContributionTable, condition: str, given: list[int] | list[bytes]) -> None:
    for name, until in ((table.name, str(ENDLESS)), (table.history, "t.until")):
        statement = (
            f"INSERT INTO erased_state SELECT '{table.library}', '{table.dataset}', t.row_key, t.since, {until} "
            f"FROM {quoted(table.library, name)} t WHERE {condition}"
        )
        connection.execute(sa.text(statement), {"given": given})


def remove(connection: sa.Connection, table: ContributionTable) -> int:
    """Remove from *table* and its history every state of the collected rows, and return how many there were."""
    removed = 0
    for name, until in ((table.name, str(ENDLESS)), (table.history, "t.until")):
        overlaps = f"(e.library <> '{table.library}' OR (t.since < e.until AND {until} > e.since))"
        collected = f"SELECT FROM erased_state e WHERE e.dataset = '{table.dataset}' AND e.row_key = t.row_key AND {overlaps}"
        removed += run(connection, f"DELETE FROM {quoted(table.library, name)} t WHERE EXISTS ({collected})")
    return removed


def clear(connection: sa.Connection, one: Naming, keys: frozenset[bytes], version: int) -> int:
    """Empty the column in every row that names the person, as version *version*; return how many rows.

    Their hash becomes a random one: the next sync sees a difference and writes the row as it is without the name.
    """
    table, given = one.table, {"keys": list(keys)}
    emptied = {one.column: "NULL", f"{one.column}__sealed": "NULL", "row_hash": "uuid_send(gen_random_uuid())"}
    names = list(stored_columns_of(connection, table.library, table.name))
    columns = ", ".join(quoted(name) for name in names)
    values = ", ".join(emptied.get(name, quoted(name)) for name in names)
    now, history = quoted(table.library, table.name), quoted(table.library, table.history)
    named = f"{quoted(one.column)} = ANY(:keys)"
    past = (
        f"WITH old AS (DELETE FROM {history} WHERE {named} RETURNING *) "
        f"INSERT INTO {history} ({columns}, until) SELECT {values}, until FROM old"
    )
    touched = connection.execute(sa.text(past), given).rowcount
    later = ", ".join(str(version) if name == "since" else emptied.get(name, quoted(name)) for name in names)
    present = (
        f"WITH old AS (DELETE FROM {now} WHERE {named} RETURNING *), "
        f"kept AS (INSERT INTO {history} ({columns}, until) SELECT {values}, {version:d} FROM old) "
        f"INSERT INTO {now} ({columns}) SELECT {later} FROM old"
    )
    return touched + connection.execute(sa.text(present), given).rowcount


def clear_retired(connection: sa.Connection, table: ContributionTable, keys: frozenset[bytes]) -> int:
    """Empty the columns of fields that left the contract where they name the person, now and in history; return how many values.

    Nobody is shown them, so the rows stay the versions they are.
    """
    retired, cleared = retired_columns_of(connection, table), 0
    for name in (table.name, table.history):
        target, columns = quoted(table.library, name), list(stored_columns_of(connection, table.library, name))
        for column in [one for one, kind in retired.items() if kind == "bytea" and one in columns]:
            emptied = {column, f"{column}__sealed"}
            values = ", ".join("NULL" if one in emptied else quoted(one) for one in columns)
            statement = (
                f"WITH old AS (DELETE FROM {target} WHERE {quoted(column)} = ANY(:keys) RETURNING *) "
                f"INSERT INTO {target} ({', '.join(map(quoted, columns))}) SELECT {values} FROM old"
            )
            cleared += connection.execute(sa.text(statement), {"keys": list(keys)}).rowcount
    return cleared


def naming_rows(connection: sa.Connection, one: Naming, keys: frozenset[bytes]) -> int:
    """Count the current rows of other subjects that name the person in this column."""
    query = sa.text(f"SELECT count(*) FROM {quoted(one.table.library, one.table.name)} WHERE {quoted(one.column)} = ANY(:keys)")
    return int(connection.execute(query, {"keys": list(keys)}).scalar_one())


def bury(connection: sa.Connection, spine: EntityLayout, subjects: tuple[int, ...], *, erasure: int, version: int) -> None:
    """Replace the person's keys and sealed identifiers in *spine* by a tombstone."""
    given = {"library": spine.library, "entity": spine.entity, "erasure": erasure, "version": version, "subjects": list(subjects)}
    stone = (
        f"INSERT INTO hub.tombstone (library, entity, subject, erasure, founded, version) "
        f"SELECT :library, :entity, subject, :erasure, min(since), :version FROM {spine.spine} "
        f"WHERE subject = ANY(:subjects) GROUP BY subject"
    )
    connection.execute(sa.text(stone), given)
    connection.execute(sa.text(f"DELETE FROM {spine.spine} WHERE subject = ANY(:subjects)"), {"subjects": list(subjects)})


def erased(layout: EntityLayout, *, after: int, until: int) -> str:
    """Select the ids of subjects that were known in version *after* and erased by *until*: ``as of`` says "erased" of them, no more."""
    return (
        f"SELECT subject FROM hub.tombstone WHERE library = '{layout.library}' AND entity = '{layout.parent or layout.entity}' "
        f"AND founded <= {after:d} AND version > {after:d} AND version <= {until:d}"
    )
