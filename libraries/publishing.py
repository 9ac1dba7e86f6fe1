"""Merging a staged batch into a library: all of it or nothing, in the caller's transaction.

A first load is indexed where it lies and *becomes* the contribution table.
Later loads are one hash join on row key and row hash, and only differences are written.
The caller holds the publish lock of the library and commits.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from libraries.layout import ContributionTable, EntityLayout
from libraries.plan import SPINE_INDEXES, create_index, index_definitions
from libraries.retired import keep_retired_columns, stored_columns_of
from libraries.statements import run, run_script, scalar
from libraries.views import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One entity's share of a batch, as it lies in the staging schema.

    ``rows`` has the columns of the contribution table without ``since``, with a *provisional* random subject:
    all that differs from the table (more may be there, and is recognised); ``staged`` counts them, ``unchanged`` the rows left out;
    ``keys`` gives the natural key (and its seal) of each provisional subject, ``current`` in every row;
    ``absent`` lists row keys that were read and valid but say nothing of this entity;
    ``gone`` lists the fingerprints of the table's rows whose key the source no longer has.
    """

    layout: EntityLayout
    table: ContributionTable
    rows: str
    keys: str
    absent: str
    gone: str
    staged: int
    unchanged: int = 0
    pick: str | None = None
    reprotected: bool = False

    @property
    def superseded(self) -> str:
        """Temporary table, made by :func:`merge`: keys of rows that another row of their subject speaks for."""
        return f"{self.rows}_superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What merging one entity's share did, in rows. ``staged`` is new + changed + reprotected + unchanged + superseded."""

    staged: int
    new: int
    changed: int
    reprotected: int
    unchanged: int
    superseded: int
    deleted: int

    @property
    def come(self) -> int:
        """How many rows of the table are of this version."""
        return self.new + self.changed + self.reprotected

    @property
    def left(self) -> int:
        """How many rows this version ended."""
        return self.changed + self.reprotected + self.deleted

    @property
    def anything(self) -> bool:
        """Whether the library is different now."""
        return bool(self.come or self.left)


def merge(connection: sa.Connection, staged: Staged, version: int) -> Merged:
    """Merge *staged* as library version *version* and return what changed."""
    run_script(connection, f"CREATE TEMP TABLE {quoted(staged.superseded)} (row_key bytea) ON COMMIT DROP")
    superseded = _pick_latest(connection, staged)
    rows = staged.staged - superseded
    if _is_empty(connection, staged) and rows:
        return _load_first(connection, staged, version, rows=rows, superseded=superseded)
    return _merge_differences(connection, staged, version, rows=rows, superseded=superseded)


def _staging(name: str) -> str:
    return quoted("staging", name)


def _target(staged: Staged) -> str:
    return quoted(staged.table.library, staged.table.name)


def _is_empty(connection: sa.Connection, staged: Staged) -> bool:
    return not scalar(connection, f"SELECT count(*) FROM (SELECT FROM {_target(staged)} LIMIT 1) one")


def _pick_latest(connection: sa.Connection, staged: Staged) -> int:
    """Keep, of several rows for one subject, the latest by the declared field; the others contribute nothing."""
    if staged.pick is None:
        return 0
    ranked = (
        f"SELECT s.row_key, row_number() OVER (PARTITION BY p.key ORDER BY s.{quoted(staged.pick)} DESC NULLS LAST, s.row_key) AS place "
        f"FROM {_staging(staged.rows)} s JOIN {_staging(staged.keys)} p USING (subject)"
    )
    losers = f"DELETE FROM {_staging(staged.rows)} s USING ({ranked}) r WHERE r.row_key = s.row_key AND r.place > 1 RETURNING s.row_key"
    return run(connection, f"WITH losers AS ({losers}) INSERT INTO {quoted(staged.superseded)} SELECT row_key FROM losers")


def _load_first(connection: sa.Connection, staged: Staged, version: int, *, rows: int, superseded: int) -> Merged:
    """Let the staged table become the contribution table; where the spine is empty too, its keys become the spine."""
    # With `pick` several rows bring one key, and the staged keys are no spine.
    founding = staged.layout.parent is None and staged.table.unique_subject and staged.pick is None
    if founding and not scalar(connection, f"SELECT count(*) FROM (SELECT FROM {staged.layout.spine} LIMIT 1) one"):
        _adopt_spine(connection, staged, version)
        adopted, kept = staged.rows, rows
    else:
        _extend_spine(connection, staged, version, of=_staging(staged.rows))
        adopted = f"{staged.rows}__resolved"
        kept = run(connection, f"CREATE TABLE {_staging(adopted)} AS {_resolved(connection, staged, of=_staging(staged.rows))}")
    qualified = _staging(adopted)
    run_script(connection, f"ALTER TABLE {qualified} ADD COLUMN since integer DEFAULT {version:d}")
    index(connection, adopted, index_definitions(staged.table))
    keep_retired_columns(connection, staged.table, qualified)
    _adopt(connection, staged.layout, staged.table.name, adopted)
    if kept < rows:
        _note_superseded(connection, staged)
    superseded += rows - kept
    return Merged(staged=rows, new=kept, changed=0, reprotected=0, unchanged=0, superseded=superseded, deleted=0)


def founding_indexes(staged: Staged) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return what can be indexed in the staging schema before a first load is published: tables with index definitions."""
    if staged.pick is not None or staged.layout.parent is not None or not staged.table.unique_subject:
        return ()
    rows = tuple((staged.rows, (definition,)) for definition in index_definitions(staged.table))
    return (*rows, *((staged.keys, (definition,)) for definition in SPINE_INDEXES))


def index(connection: sa.Connection, table: str, definitions: Iterable[str]) -> None:
    """Make those of *definitions* that the staged *table* lacks."""
    query = sa.text("SELECT i.indisunique, pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = to_regclass(:name)")
    found = connection.execute(query, {"name": _staging(table)}).all()
    have = {("unique " if unique else "") + definition.split(" USING ", 1)[1] for unique, definition in found}
    for definition in definitions:
        if definition not in have:
            run_script(connection, create_index(_staging(table), definition))


def _adopt(connection: sa.Connection, layout: EntityLayout, table: str, adopted: str) -> None:
    call = sa.text("SELECT hub.adopt(:library, :entity, :table, :staged)")
    connection.execute(call, {"library": layout.library, "entity": layout.entity, "table": table, "staged": adopted})


def _adopt_spine(connection: sa.Connection, staged: Staged, version: int) -> None:
    keys = _staging(staged.keys)
    run_script(connection, f"ALTER TABLE {keys} ADD COLUMN since integer DEFAULT {version:d}")
    index(connection, staged.keys, SPINE_INDEXES)
    _adopt(connection, staged.layout, f"{staged.layout.entity}__key", staged.keys)


def _extend_spine(connection: sa.Connection, staged: Staged, version: int, *, of: str) -> None:
    """Give every natural key of the rows *of* a subject; known keys keep theirs."""
    run(
        connection,
        f"INSERT INTO {staged.layout.spine} (subject, key, sealed, current, since) "
        f"SELECT DISTINCT ON (p.key) p.subject, p.key, p.sealed, true, {version:d} "
        f"FROM {of} r JOIN {_staging(staged.keys)} p USING (subject) "
        f"LEFT JOIN {staged.layout.spine} k ON k.key = p.key WHERE k.key IS NULL ORDER BY p.key ON CONFLICT (key) DO NOTHING",
    )


def _resolved(connection: sa.Connection, staged: Staged, *, of: str) -> str:
    """Return the SELECT of the rows *of* with their lasting subject.

    Where a corrected identifier lets two rows speak of one subject, the row under the current identifier stands.
    """
    columns = ", ".join("k.subject" if name == "subject" else f"s.{quoted(name)}" for name, _ in staged.table.stored if name != "since")
    body = f"FROM {of} s JOIN {_staging(staged.keys)} p USING (subject) JOIN {staged.layout.spine} k ON k.key = p.key"
    corrected = scalar(connection, f"SELECT count(*) FROM (SELECT FROM {staged.layout.spine} WHERE NOT current LIMIT 1) one")
    if not (corrected and staged.table.unique_subject):
        return f"SELECT {columns} {body}"
    return f"SELECT DISTINCT ON (k.subject) {columns} {body} ORDER BY k.subject, k.current DESC, s.row_key"


def _merge_differences(connection: sa.Connection, staged: Staged, version: int, *, rows: int, superseded: int) -> Merged:
    different = scalar(connection, _find_differences(connection, staged))
    if staged.table.dataset in staged.layout.exists_by:
        _follow_corrections(connection, staged, version)
    _extend_spine(connection, staged, version, of="differing")
    run(connection, f"CREATE TEMP TABLE arriving ON COMMIT DROP AS {_resolved(connection, staged, of='differing')}")
    superseded += different - scalar(connection, "SELECT count(*) FROM arriving") + _drop_former(connection, staged)
    deleted = _leave_gone(connection, staged, version)
    changed = _leave(connection, staged, version, "SELECT row_key FROM arriving")
    replaced = _replace(connection, staged, version) if staged.table.unique_subject else 0
    columns = ", ".join(quoted(name) for name, _ in staged.table.stored if name != "since")
    arrived = run(connection, f"INSERT INTO {_target(staged)} ({columns}, since) SELECT {columns}, {version:d} FROM arriving")
    run_script(connection, "DROP TABLE differing, arriving")
    _note_superseded(connection, staged)
    return Merged(
        staged=rows + staged.unchanged,
        new=arrived - changed,
        changed=0 if staged.reprotected else changed,
        reprotected=changed if staged.reprotected else 0,
        unchanged=rows - different + staged.unchanged,
        superseded=superseded,
        deleted=deleted + replaced,
    )


def _find_differences(connection: sa.Connection, staged: Staged) -> str:
    run(
        connection,
        f"CREATE TEMP TABLE differing ON COMMIT DROP AS SELECT s.*, t.subject AS earlier FROM {_staging(staged.rows)} s "
        f"LEFT JOIN {_target(staged)} t USING (row_key) WHERE t.row_hash IS DISTINCT FROM s.row_hash",
    )
    run_script(connection, "ANALYZE differing")
    return "SELECT count(*) FROM differing"


def _follow_corrections(connection: sa.Connection, staged: Staged, version: int) -> None:
    """Let a subject keep its id when the department that makes it exist corrects its identifier.

    The same row key under a number nobody has used yet is a correction: the old number stays as a former key,
    so that departments which still hold it go on speaking of the same subject.
    """
    spine = staged.layout.spine
    run(
        connection,
        f"CREATE TEMP TABLE corrected ON COMMIT DROP AS SELECT d.earlier AS subject, p.key, p.sealed FROM differing d "
        f"JOIN {_staging(staged.keys)} p ON p.subject = d.subject JOIN {spine} k ON k.subject = d.earlier AND k.current "
        f"WHERE k.key <> p.key AND NOT EXISTS (SELECT FROM {spine} x WHERE x.key = p.key)",
    )
    run(connection, f"UPDATE {spine} k SET current = false FROM corrected c WHERE k.subject = c.subject AND k.current")
    run(
        connection,
        f"INSERT INTO {spine} (subject, key, sealed, current, since) SELECT subject, key, sealed, true, {version:d} FROM corrected",
    )
    run_script(connection, "DROP TABLE corrected")


def _drop_former(connection: sa.Connection, staged: Staged) -> int:
    """Leave out arriving rows under a former identifier whose subject another row already speaks for."""
    if not staged.table.unique_subject:
        return 0
    return run(
        connection,
        f"DELETE FROM arriving a USING {_staging(staged.rows)} s JOIN {_staging(staged.keys)} p USING (subject) "
        f"JOIN {staged.layout.spine} k ON k.key = p.key WHERE s.row_key = a.row_key AND NOT k.current AND EXISTS "
        f"(SELECT FROM {_target(staged)} t WHERE t.subject = a.subject AND t.row_key <> a.row_key)",
    )


def _leave_gone(connection: sa.Connection, staged: Staged, version: int) -> int:
    """Let rows go that the source no longer has, that say nothing of this entity any more, or that were not picked."""
    joins = {_staging(staged.gone): "row_hash", _staging(staged.absent): "row_key", quoted(staged.superseded): "row_key"}
    some = [table for table in joins if connection.execute(sa.text(f"SELECT EXISTS (SELECT FROM {table})")).scalar_one()]
    if not some:
        return 0
    left = (f"SELECT t.row_key FROM {_target(staged)} t JOIN {table} USING ({joins[table]})" for table in some)
    return _leave(connection, staged, version, " UNION ".join(left))


def _replace(connection: sa.Connection, staged: Staged, version: int) -> int:
    """Let rows go whose subject an arriving row under another key speaks for now."""
    outlived = f"SELECT t.row_key FROM {_target(staged)} t JOIN arriving a ON a.subject = t.subject AND a.row_key <> t.row_key"
    run(connection, f"INSERT INTO {quoted(staged.superseded)} {outlived}")
    return _leave(connection, staged, version, outlived)


def _note_superseded(connection: sa.Connection, staged: Staged) -> None:
    """Note the staged keys that have no row in the table because another row speaks for their subject."""
    if not staged.table.unique_subject:
        return
    target = _target(staged)
    nowhere = (
        f"SELECT s.row_key FROM {_staging(staged.rows)} s JOIN {_staging(staged.keys)} p USING (subject) "
        f"JOIN {staged.layout.spine} k ON k.key = p.key WHERE NOT EXISTS (SELECT FROM {target} t WHERE t.row_key = s.row_key) "
        f"AND EXISTS (SELECT FROM {target} t WHERE t.subject = k.subject)"
    )
    run(connection, f"INSERT INTO {quoted(staged.superseded)} {nowhere}")


def _leave(connection: sa.Connection, staged: Staged, version: int, row_keys: str) -> int:
    """Move the current rows with these keys to the history; return how many there were."""
    columns = ", ".join(quoted(name) for name in stored_columns_of(connection, staged.table.library, staged.table.name))
    history = quoted(staged.table.library, staged.table.history)
    return run(
        connection,
        f"WITH leaving AS (DELETE FROM {_target(staged)} WHERE row_key IN ({row_keys}) RETURNING {columns}) "
        f"INSERT INTO {history} ({columns}, until) SELECT {columns}, {version:d} FROM leaving",
    )
