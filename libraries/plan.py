"""The only DDL on libraries: what the declarations ask for against what the database has.

``plan`` compares, ``apply`` changes as the owner role (``libraries.applying``).
A field that left a contract keeps its column and its history; a dataset that left an entity moves to its history whole.
Only what may no longer rest, or not as it does, is dropped, and only when asked to.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from hub.errors import Mistake, Refused
from libraries.applying import Step, carry_out
from libraries.layout import BOX, SQL_TYPES, ContributionTable, EntityLayout, StoredColumn, layouts, treatment
from libraries.statements import scalar
from libraries.versions import lock, next_version
from libraries.views import quoted, select
from schemas.declarations import Declarations
from schemas.library import EntityField
from schemas.vocabulary import Treatment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the database has: columns with types, index definitions, stored view texts, authority in force.

    ``broken`` lists indexes whose building was cut off, ``filled`` tables that have pages, ``left`` tables with rows of no declaration;
    ``treatments`` says how the fields of an entity rest, ``keys`` by what the published rows of a dataset are known.
    """

    columns: dict[tuple[str, str], dict[str, str]]
    indexes: dict[tuple[str, str], set[str]]
    views: dict[tuple[str, str], str]
    treatments: dict[tuple[str, str], dict[str, str]]
    keys: dict[str, str]
    authority: set[tuple[str, str, str, str, int, str]]
    broken: tuple[tuple[str, str], ...]
    filled: frozenset[tuple[str, str]]
    left: tuple[tuple[str, str], ...]


def plan(declared: Declarations, connection: sa.Connection) -> tuple[Step, ...]:
    """Return the steps that bring the database to the declarations; empty when they agree.

    Raise :class:`Mistake` where a stored column has another type than the declaration and it does not say what it was,
    and where a contract's key is not the one by which its published rows are known.
    """
    return tuple(_all_steps(declared, _find(connection, declared, set(declared.libraries))))


def _all_steps(declared: Declarations, found: _Found) -> Iterator[Step]:
    for schema, index in found.broken:
        sql = f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(schema, index)}"
        yield Step(library=schema, purpose=f"clear away the unfinished index {schema}.{index}", sql=sql, beside=True)
    for layout in layouts(declared):
        _require_same_keys(declared, layout, found)
        yield from _entity_steps(declared, layout, found)
    for schema, table in found.left:
        yield _withdrawn(schema, table, found)
    yield from _authority_steps(declared, found)


def _require_same_keys(declared: Declarations, layout: EntityLayout, found: _Found) -> None:
    for table in layout.tables:
        known, now = found.keys.get(table.dataset), declared.contracts[table.dataset].row_key
        if known not in {None, now} and (table.library, table.name) in found.filled:
            raise Mistake(
                f"the key of {table.dataset} is `{now}` in its contract, but rows of {table.library}.{table.name} are known by `{known}`",
                remedy="a row key names a row for good: put the key back, or declare a new dataset and take this one out",
            )


def unraised(declared: Declarations, connection: sa.Connection) -> tuple[str, ...]:
    """Return the datasets whose contract promises something else than when they were last published, under the same version."""
    return tuple(
        row.dataset
        for row in connection.execute(_PUBLISHED)
        if (contract := declared.contracts.get(row.dataset)) is not None
        and (contract.version, contract.digest) != (row.contract_version, row.contract_digest)
        and contract.version <= row.contract_version
    )


def require_applied(declared: Declarations, connection: sa.Connection, libraries: set[str]) -> None:
    """Raise :class:`Refused` if the tables of *libraries* differ from the declarations.

    Their publish locks are held (shared) until the transaction ends: a first load that replaces a table is seen whole or not at all.
    """
    for library in sorted(libraries):
        lock(connection, library, shared=True)
    found = _find(connection, declared, libraries)
    waiting = [step for step in _all_steps(declared, found) if step.library in libraries]
    if waiting:
        raise Refused(
            f"declarations and library tables differ in {len(waiting)} places, first: {waiting[0].purpose}",
            remedy="look at `hub library plan`, then run `hub library apply`",
        )


def apply(declared: Declarations, engine: sa.Engine, *, forget: bool = False) -> tuple[Step, ...]:
    """Carry out the plan as the owner role, one apply at a time; return the steps done.

    Readers go on meanwhile. Steps that lose stored values are :class:`Refused` unless *forget*.
    """
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(hashtextextended('hub library apply', 0))"))
        steps = plan(declared, connection)
        connection.commit()
        if (losing := [step.purpose for step in steps if step.forgets]) and not forget:
            raise Refused(
                "; ".join(losing), remedy="run `hub library apply --forget` if these values may be lost, or give the field a new name"
            )
        carry_out(engine, steps)
        return steps


def _find(connection: sa.Connection, declared: Declarations, libraries: set[str]) -> _Found:
    within = {"libraries": sorted(libraries)}
    columns: dict[tuple[str, str], dict[str, str]] = {}
    filled: set[tuple[str, str]] = set()
    for schema, table, column, kind, pages in connection.execute(_COLUMNS, within):
        columns.setdefault((schema, table), {})[column] = kind
        filled |= {(schema, table)} if pages else set()
    indexes: dict[tuple[str, str], set[str]] = {}
    broken: list[tuple[str, str]] = []
    for schema, table, unique, definition, index, valid in connection.execute(_INDEXES, within):
        if not valid:
            broken.append((schema, index))
            continue
        indexes.setdefault((schema, table), set()).add(("unique " if unique else "") + definition.split(" USING ", 1)[1])
    described = connection.execute(sa.text("SELECT library, entity, definition, treatments FROM hub.library_view")).all()
    authority = {tuple(row) for row in connection.execute(_AUTHORITY)}
    return _Found(
        columns=columns, indexes=indexes, authority=authority, broken=tuple(broken), filled=frozenset(filled),
        views={(row.library, row.entity): row.definition for row in described},
        treatments={(row.library, row.entity): row.treatments for row in described},
        keys={row.dataset: row.contract_key for row in connection.execute(_PUBLISHED)},
        left=tuple(sorted(_left(connection, declared, columns, filled))),
    )  # fmt: skip


def _left(
    connection: sa.Connection, declared: Declarations, columns: dict[tuple[str, str], dict[str, str]], filled: set[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Yield the contribution tables that have current rows though no contract contributes to them any more."""
    wanted = {(layout.library, table.name) for layout in layouts(declared) for table in layout.tables}
    for schema, table in filled - wanted:
        own = {"row_key", "row_hash", "since"} <= set(columns[(schema, table)]) and "until" not in columns[(schema, table)]
        if own and (schema, f"{table}__history") in columns and scalar(connection, _any_row(schema, table)):
            yield schema, table


def _any_row(schema: str, table: str) -> str:
    return f"SELECT count(*) FROM (SELECT FROM {quoted(schema, table)} LIMIT 1) one"


def _withdrawn(schema: str, table: str, found: _Found) -> Step:
    """Move the current rows of a dataset that left its entity to their history, as a version of the library."""
    columns = ", ".join(quoted(name) for name in found.columns[(schema, table)])
    newest = f"(SELECT max(version) FROM hub.library_version WHERE library = '{schema}')"
    now, history = quoted(schema, table), quoted(schema, f"{table}__history")
    sql = (
        f"{next_version(schema, 'withdrawal')}; WITH leaving AS (DELETE FROM {now} RETURNING {columns}) "
        f"INSERT INTO {history} ({columns}, until) SELECT {columns}, {newest} FROM leaving"
    )
    return Step(library=schema, purpose=f"move the rows of {schema}.{table} to its history: no contract gives them any more", sql=sql)


_COLUMNS = sa.text(
    "SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, NULL), pg_relation_size(c.oid) > 0 FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
    "WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname = ANY(:libraries)"
)
_INDEXES = sa.text(
    "SELECT n.nspname, t.relname, i.indisunique, pg_get_indexdef(i.indexrelid), x.relname, i.indisvalid FROM pg_index i "
    "JOIN pg_class x ON x.oid = i.indexrelid "
    "JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE n.nspname = ANY(:libraries)"
)
_PUBLISHED = sa.text(
    "SELECT DISTINCT ON (dataset) dataset, contract_version, contract_key, contract_digest FROM hub.batch "
    "WHERE state = 'published' AND contract_key IS NOT NULL ORDER BY dataset, id DESC"
)
_AUTHORITY = sa.text("SELECT library, entity, field, dataset, rank, basis FROM hub.authority WHERE until IS NULL")


def index_definitions(table: ContributionTable) -> list[str]:
    """Return what is indexed in the current table, as PostgreSQL writes it after USING; ``unique`` in front."""
    subject = "unique btree (subject)" if table.unique_subject else "btree (subject)"
    return ["unique btree (row_key)", subject, *(_indexed(names) for names in table.indexed)]


def _indexed(names: tuple[str, ...]) -> str:
    if len(names) == len(BOX):
        west, south, east, north = names
        return f"gist (box(point({west}, {south}), point({east}, {north})))"
    return f"btree ({', '.join(names)})"


def create_index(qualified: str, definition: str, *, beside: bool = False) -> str:
    """Return the statement that makes one index of :func:`index_definitions` on *qualified*, *beside* its readers and writers or not."""
    unique = "UNIQUE " if definition.startswith("unique ") else ""
    how = "CONCURRENTLY " if beside else ""
    return f"CREATE {unique}INDEX {how}ON {qualified} USING {definition.removeprefix('unique ')}"


PROTECTED = "bytea"
_SUFFIXES = ("", "__sealed", "__tag", *(f"__{side}" for side in BOX), *(f"__{kind.replace(' ', '_')}" for kind in SQL_TYPES.values()))
SPINE = (("subject", "bigint"), ("key", "bytea"), ("sealed", "bytea"), ("current", "boolean"), ("since", "integer"))
SPINE_INDEXES = ("unique btree (key)", "unique btree (subject) WHERE current")


def _entity_steps(declared: Declarations, layout: EntityLayout, found: _Found) -> Iterator[Step]:
    schemas = {schema for schema, _ in found.columns}
    if layout.library not in schemas:
        name = quoted(layout.library)
        yield Step(
            library=layout.library,
            purpose=f"make room for library {layout.library}",
            sql=f"CREATE SCHEMA IF NOT EXISTS {name}; GRANT USAGE ON SCHEMA {name} TO hub_writer, hub_reader, hub_auditor",
        )
    if layout.parent is None:
        yield from _table_steps(
            layout.library, f"{layout.entity}__key", SPINE, SPINE_INDEXES, found, writer="SELECT, INSERT, DELETE, UPDATE (current)"
        )
    for table in layout.tables:
        by_name = {column.name: column for column in table.columns}
        for name in (table.name, table.history):
            yield from _migrated(layout.library, name, by_name, found)
    lapsed, forgotten = _forgotten(declared, layout, found)
    for table in layout.tables:
        for name, columns, indexes in (
            (table.name, table.stored, tuple(index_definitions(table))),
            (table.history, (*table.stored, ("until", "integer")), ("btree (row_key)", "btree (subject)")),
        ):
            yield from _table_steps(layout.library, name, columns, indexes, found, writer="SELECT, INSERT, DELETE")
    yield from _view_steps(layout, found, _treatments(declared, layout), lapsed, forgotten)


def _migrated(library: str, name: str, columns: dict[str, StoredColumn], found: _Found) -> Iterator[Step]:
    """Let stored columns follow their fields: by another name, or aside where the type changed. No row is written."""
    have, qualified = found.columns.get((library, name), {}), quoted(library, name)
    for column in columns.values():
        former = next((was for was in reversed(column.was) if was in have), None)
        if column.name not in have and former is not None:
            have[column.name] = have.pop(former)
            sql = f"ALTER TABLE {qualified} RENAME COLUMN {quoted(former)} TO {quoted(column.name)}"
            yield Step(library=library, purpose=f"rename column {library}.{name}.{former} to {column.name}", sql=sql)
        stored = have.get(column.name)
        if column.earlier is not None and stored == column.earlier != column.sql_type and column.earlier_name not in have:
            have |= {column.earlier_name: stored, column.name: column.sql_type}
            sql = (
                f"ALTER TABLE {qualified} RENAME COLUMN {quoted(column.name)} TO {quoted(column.earlier_name)}; "
                f"ALTER TABLE {qualified} ADD COLUMN {quoted(column.name)} {column.sql_type}"
            )
            purpose = f"keep {library}.{name}.{column.name} as {column.earlier_name}, and begin it anew as {column.sql_type}"
            yield Step(library=library, purpose=purpose, sql=sql)


def _treatments(declared: Declarations, layout: EntityLayout) -> dict[str, str]:
    """Return how each field of the entity is treated, as it is remembered beside its view."""
    return {field.name: _treatment(declared, field) for field in declared.entity(layout.path)[1].fields}


def _treatment(declared: Declarations, field: EntityField) -> str:
    chosen = treatment(declared, field)
    return chosen.treatment.value + (f" {chosen.how}" if chosen.how else "")


def _may_not_stay(now: str, was: str | None) -> bool:
    """Whether values that were stored under the treatment *was* may not rest any more: none of a field that is dropped, or clear ones."""
    in_clear = was is not None and was.startswith((Treatment.KEEP, Treatment.GENERALISE))
    return now == Treatment.DROP or (in_clear and now not in {was, Treatment.KEEP})


def _forgotten(declared: Declarations, layout: EntityLayout, found: _Found) -> tuple[list[str], list[str]]:
    """Return the fields whose stored values may not stay, and the statements that write every table that has them anew without.

    Current rows and history, of datasets that left the entity too.
    """
    known = found.treatments.get((layout.library, layout.entity), {})
    ours = {name: table for table in layout.tables for name in (table.name, table.history)}
    lapsed: dict[str, None] = {}
    statements: list[str] = []
    for library, name in sorted(found.columns):
        have = found.columns[(library, name)]
        if library != layout.library or not name.startswith(f"{layout.entity}__") or "row_hash" not in have:
            continue
        wanted = dict(ours[name].stored) if name in ours else {}
        gone: list[str] = []
        for field in declared.entity(layout.path)[1].fields:
            was = next((known[one] for one in (field.name, *field.was) if one in known), None)
            names = {one + suffix for one in (field.name, *field.was) for suffix in _SUFFIXES} & have.keys()
            unprotected = {one for one in names if wanted.get(one) == PROTECTED != have[one]}
            if chosen := names if _may_not_stay(_treatment(declared, field), was) else unprotected:
                lapsed[field.name] = None
                gone += sorted(chosen)
        if gone:
            statements += _written_without(ours.get(name), library, name, gone, wanted)
            found.columns[(library, name)] = {column: kind for column, kind in have.items() if column not in gone} | {
                column: wanted[column] for column in gone if column in wanted
            }
    return list(lapsed), statements


def _written_without(table: ContributionTable | None, library: str, name: str, gone: list[str], wanted: dict[str, str]) -> Iterator[str]:
    """Yield the statements that take columns out of a table, and put those that go on in again, empty, with their indexes."""
    changes = [f"DROP COLUMN {quoted(column)}" for column in gone]
    changes += [f"ADD COLUMN {quoted(column)} {wanted[column]}" for column in gone if column in wanted]
    # USING makes PostgreSQL write every row anew, so that nothing of the columns is left in the table's file.
    yield f"ALTER TABLE {quoted(library, name)} {', '.join(changes)}, ALTER COLUMN since TYPE integer USING since + 0"
    if table is not None and table.name == name:
        for columns in table.indexed:
            if set(columns) & set(gone):
                yield create_index(quoted(library, name), _indexed(columns))


def _table_steps(
    library: str, name: str, columns: tuple[tuple[str, str], ...], indexes: tuple[str, ...], found: _Found, *, writer: str
) -> Iterator[Step]:
    qualified = quoted(library, name)
    have = found.columns.get((library, name))
    if have is None:
        body = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns)
        grants = f"GRANT {writer} ON {qualified} TO hub_writer; GRANT SELECT ON {qualified} TO hub_reader"
        yield Step(library=library, purpose=f"create table {library}.{name}", sql=f"CREATE TABLE {qualified} ({body}); {grants}")
        have = dict(columns)
    for column, kind in columns:
        if column not in have:
            yield Step(
                library=library,
                purpose=f"add column {library}.{name}.{column}",
                sql=f"ALTER TABLE {qualified} ADD COLUMN {quoted(column)} {kind}",
            )
        elif have[column] != kind:
            raise Mistake(
                f"column {library}.{name}.{column} is {have[column]} in the database, the declaration makes it {kind}",
                remedy="declare the field's earlier type beside it (`type_was`), or give it a new name: stored values never change",
            )
    for definition in indexes:
        if definition not in found.indexes.get((library, name), set()):
            filled = (library, name) in found.filled
            sql = create_index(qualified, definition, beside=filled)
            yield Step(library=library, purpose=f"index {library}.{name} by {definition}", sql=sql, beside=filled)


def _view_steps(layout: EntityLayout, found: _Found, treatments: dict[str, str], lapsed: list[str], forgotten: list[str]) -> Iterator[Step]:
    definition, described = select(layout), (layout.library, layout.entity)
    if found.views.get(described) == definition and found.treatments[described] == treatments and not forgotten:
        return
    name = quoted(layout.library, layout.entity)
    first = "".join(f"{one}; " for one in forgotten)
    yield Step(
        library=layout.library,
        purpose=f"forget what of {layout.path} was stored in clear or may not be stored any more: {', '.join(lapsed)}"
        if forgotten
        else f"describe entity {layout.path}",
        forgets=bool(forgotten),
        sql=f"DROP VIEW IF EXISTS {name}; {first}CREATE VIEW {name} AS {definition}; GRANT SELECT ON {name} TO hub_reader, hub_writer; "
        "INSERT INTO hub.library_view (library, entity, definition, treatments) "
        f"VALUES ('{layout.library}', '{layout.entity}', {_text(definition)}, {_text(json.dumps(treatments, sort_keys=True))}) "
        "ON CONFLICT (library, entity) DO UPDATE SET definition = excluded.definition, treatments = excluded.treatments",
    )


def _authority_steps(declared: Declarations, found: _Found) -> Iterator[Step]:
    wanted = {row for name in sorted(declared.libraries) for row in _declared_authority(declared, name)}
    renamed = dict(_renamed(declared))
    for library, entity, field in sorted({row[:3] for row in found.authority} & set(renamed)):
        names = f"library = {_text(library)} AND entity = {_text(entity)} AND field = {_text(field)}"
        sql = f"UPDATE hub.authority SET field = {_text(renamed[(library, entity, field)])} WHERE {names}"
        yield Step(library=library, purpose=f"rename the authority of {library}.{entity}.{field}", sql=sql)
    now = {(*row[:2], renamed.get(row[:3], row[2]), *row[3:]) for row in found.authority}
    for library in sorted({row[0] for row in wanted ^ now}):
        old = sorted(row for row in now - wanted if row[0] == library)
        new = sorted(row for row in wanted - now if row[0] == library)
        yield Step(
            library=library,
            purpose=f"record authority of {library}",
            sql=next_version(library, "authority") + "; " + "; ".join([*(_ended(row) for row in old), *(_begun(row) for row in new)]),
        )


def _renamed(declared: Declarations) -> Iterator[tuple[tuple[str, str, str], str]]:
    for name, library in declared.libraries.items():
        for entity in library.entities:
            for field in entity.fields:
                yield from (((name, entity.entity, was), field.name) for was in field.was)


def _declared_authority(declared: Declarations, name: str) -> Iterator[tuple[str, str, str, str, int, str]]:
    for entity in declared.libraries[name].entities:
        for field in entity.fields:
            for authority in field.authority or entity.authority:
                yield (name, entity.entity, field.name, authority.dataset, authority.rank, authority.basis)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _ended(row: tuple[str, str, str, str, int, str]) -> str:
    library, entity, field, dataset, _, _ = (_text(str(part)) for part in row)
    newest = f"(SELECT max(version) FROM hub.library_version WHERE library = {library})"
    return (
        f"UPDATE hub.authority SET until = {newest} WHERE library = {library} AND entity = {entity} "
        f"AND field = {field} AND dataset = {dataset} AND until IS NULL"
    )


def _begun(row: tuple[str, str, str, str, int, str]) -> str:
    library, entity, field, dataset, _, basis = (_text(str(part)) for part in row)
    newest = f"(SELECT max(version) FROM hub.library_version WHERE library = {library})"
    return f"INSERT INTO hub.authority VALUES ({library}, {entity}, {field}, {dataset}, {row[4]:d}, {basis}, {newest}, NULL)"
