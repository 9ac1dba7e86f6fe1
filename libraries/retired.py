"""What the declarations no longer name and the tables still hold: columns of fields that left, tables of datasets that left."""

from collections.abc import Iterator
from dataclasses import replace

import sqlalchemy as sa

from libraries.layout import ContributionTable, EntityLayout
from libraries.statements import run_script
from libraries.views import quoted
from schemas.library import Form

_COLUMNS = sa.text(
    "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute "
    "WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
_TABLES = sa.text(
    "SELECT c.relname::text FROM pg_class c JOIN pg_class h ON h.relnamespace = c.relnamespace AND h.relname = c.relname || '__history' "
    "WHERE c.relnamespace = to_regnamespace(:library) AND c.relkind = 'r' AND starts_with(c.relname, :entity || '__') ORDER BY 1"
)


def stored_columns_of(connection: sa.Connection, library: str, table: str) -> dict[str, str]:
    """Return the columns a table really has, in order, with their SQL types: declared ones and those of fields that left."""
    return {name: kind for name, kind in connection.execute(_COLUMNS, {"name": quoted(library, table)})}  # noqa: C416 (rows are no pairs to mypy)


def retired_columns_of(connection: sa.Connection, table: ContributionTable) -> dict[str, str]:
    """Return the columns of *table* that no field of its contract fills any more, with their SQL types."""
    declared = {name for name, _ in table.stored}
    return {name: kind for name, kind in stored_columns_of(connection, table.library, table.name).items() if name not in declared}


def keep_retired_columns(connection: sa.Connection, table: ContributionTable, staged: str) -> None:
    """Give the relation *staged*, which is to become *table*, the columns of fields that left: history goes on holding them."""
    for name, kind in retired_columns_of(connection, table).items():
        run_script(connection, f"ALTER TABLE {staged} ADD COLUMN {quoted(name)} {kind}")


def with_withdrawn(connection: sa.Connection, layout: EntityLayout) -> EntityLayout:
    """Return *layout* with the tables of datasets that left its entity: earlier versions still say what they said."""
    return replace(layout, tables=(*layout.tables, *_withdrawn(connection, layout)))


def _withdrawn(connection: sa.Connection, layout: EntityLayout) -> Iterator[ContributionTable]:
    known = {table.name for table in layout.tables}
    for (name,) in connection.execute(_TABLES, {"library": quoted(layout.library), "entity": layout.entity}).all():
        if name in known:
            continue
        have = stored_columns_of(connection, layout.library, name)
        yield ContributionTable(
            library=layout.library,
            entity=layout.entity,
            dataset=name.removeprefix(f"{layout.entity}__"),
            columns=tuple(column for column in layout.columns if have.get(column.name) == column.sql_type),
            sensitive_key="row_key__sealed" in have,
            unique_subject=layout.form is Form.COMPOSED,
            indexed=(),
        )
