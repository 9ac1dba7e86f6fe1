"""The only DDL on libraries: what the declarations ask for against what the database has.

``plan`` compares, ``apply`` changes as the owner role: each step with a lock timeout and in one transaction,
because a waiting ALTER blocks every reader behind it.
Nothing is ever dropped: a field that left a contract keeps its column and its history.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from hub.errors import Mistake, Refused, Unavailable
from libraries.layout import BOX, ContributionTable, EntityLayout, layouts
from libraries.statements import run_script
from libraries.versions import lock, next_version
from libraries.views import quoted, select
from schemas.declarations import Declarations

LOCK_TIMEOUT = "3s"
TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change: what it is for, and the SQL that makes it."""

    library: str
    purpose: str
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the database has: columns with types, index definitions, stored view texts, authority in force."""

    columns: dict[tuple[str, str], dict[str, str]]
    indexes: dict[tuple[str, str], set[str]]
    views: dict[tuple[str, str], str]
    authority: set[tuple[str, str, str, str, int, str]]


def plan(declared: Declarations, connection: sa.Connection) -> tuple[Step, ...]:
    """Return the steps that bring the database to the declarations; empty when they agree.

    Raise :class:`Mistake` where a stored column has another type than the declaration: types never change in place.
    """
    return tuple(_all_steps(declared, _find(connection, set(declared.libraries))))


def _all_steps(declared: Declarations, found: _Found) -> Iterator[Step]:
    for layout in layouts(declared):
        yield from _entity_steps(layout, found)
    yield from _authority_steps(declared, found)


def require_applied(declared: Declarations, connection: sa.Connection, libraries: set[str]) -> None:
    """Raise :class:`Refused` if the tables of *libraries* differ from the declarations.

    Their publish locks are held (shared) until the transaction ends: a first load that replaces a table is seen whole or not at all.
    """
    for library in sorted(libraries):
        lock(connection, library, shared=True)
    found = _find(connection, libraries)
    waiting = [step for step in _all_steps(declared, found) if step.library in libraries]
    if waiting:
        raise Refused(
            f"declarations and library tables differ in {len(waiting)} places, first: {waiting[0].purpose}",
            remedy="look at `hub library plan`, then run `hub library apply`",
        )


def apply(declared: Declarations, engine: sa.Engine) -> tuple[Step, ...]:
    """Carry out the plan as the owner role, retrying while readers hold locks; return the steps done."""
    for attempt in range(TRIES):
        try:
            with engine.begin() as connection:
                for library in sorted(declared.libraries):
                    lock(connection, library)
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                steps = plan(declared, connection)
                for step in steps:
                    run_script(connection, step.sql)
                return steps
        except Unavailable:
            time.sleep(2**attempt * 0.1)
    raise Unavailable("the library tables are in use", remedy="run `hub library apply` again when no long read is running")


def _find(connection: sa.Connection, libraries: set[str]) -> _Found:
    within = {"libraries": sorted(libraries)}
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(_COLUMNS, within):
        columns.setdefault((schema, table), {})[column] = kind
    indexes: dict[tuple[str, str], set[str]] = {}
    for schema, table, unique, definition in connection.execute(_INDEXES, within):
        indexes.setdefault((schema, table), set()).add(("unique " if unique else "") + definition.split(" USING ", 1)[1])
    views = {(row.library, row.entity): row.definition for row in connection.execute(sa.text("SELECT * FROM hub.library_view"))}
    authority = {tuple(row) for row in connection.execute(_AUTHORITY)}
    return _Found(columns=columns, indexes=indexes, views=views, authority=authority)


_COLUMNS = sa.text(
    "SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
    "WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname = ANY(:libraries)"
)
_INDEXES = sa.text(
    "SELECT n.nspname, t.relname, i.indisunique, pg_get_indexdef(i.indexrelid) FROM pg_index i "
    "JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE n.nspname = ANY(:libraries)"
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


def create_index(qualified: str, definition: str) -> str:
    """Return the statement that makes one index of :func:`index_definitions` on *qualified*."""
    unique = "UNIQUE " if definition.startswith("unique ") else ""
    return f"CREATE {unique}INDEX ON {qualified} USING {definition.removeprefix('unique ')}"


SPINE = (("subject", "bigint"), ("key", "bytea"), ("sealed", "bytea"), ("current", "boolean"), ("since", "integer"))
SPINE_INDEXES = ("unique btree (key)", "unique btree (subject) WHERE current")


def _entity_steps(layout: EntityLayout, found: _Found) -> Iterator[Step]:
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
        yield from _table_steps(
            layout.library, table.name, table.stored, tuple(index_definitions(table)), found, writer="SELECT, INSERT, DELETE"
        )
        history = (*table.stored, ("until", "integer"))
        yield from _table_steps(
            layout.library, table.history, history, ("btree (row_key)", "btree (subject)"), found, writer="SELECT, INSERT, DELETE"
        )
    yield from _view_steps(layout, found)


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
                remedy="give the changed field a new name: stored values never change their type",
            )
    for definition in indexes:
        if definition not in found.indexes.get((library, name), set()):
            yield Step(library=library, purpose=f"index {library}.{name} by {definition}", sql=create_index(qualified, definition))


def _view_steps(layout: EntityLayout, found: _Found) -> Iterator[Step]:
    definition = select(layout)
    if found.views.get((layout.library, layout.entity)) == definition:
        return
    name = quoted(layout.library, layout.entity)
    text = definition.replace("'", "''")
    yield Step(
        library=layout.library,
        purpose=f"describe entity {layout.path}",
        sql=f"DROP VIEW IF EXISTS {name}; CREATE VIEW {name} AS {definition}; GRANT SELECT ON {name} TO hub_reader, hub_writer; "
        f"INSERT INTO hub.library_view VALUES ('{layout.library}', '{layout.entity}', '{text}') "
        "ON CONFLICT (library, entity) DO UPDATE SET definition = excluded.definition",
    )


def _authority_steps(declared: Declarations, found: _Found) -> Iterator[Step]:
    wanted = {row for name in sorted(declared.libraries) for row in _declared_authority(declared, name)}
    for library in sorted({row[0] for row in wanted ^ found.authority}):
        old = sorted(row for row in found.authority - wanted if row[0] == library)
        new = sorted(row for row in wanted - found.authority if row[0] == library)
        yield Step(
            library=library,
            purpose=f"record authority of {library}",
            sql=next_version(library, "authority") + "; " + "; ".join([*(_ended(row) for row in old), *(_begun(row) for row in new)]),
        )


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
