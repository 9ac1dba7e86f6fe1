"""Tables and columns that the declarations ask for: pure, without a database.

Every contract and entity has one contribution table ``<library>.<entity>__<dataset>``
and a history beside it; every entity that is nobody's child has a spine ``<entity>__key``
and a view named like the entity. A child uses its parent's spine.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from schemas.contract import Contract, Contribution
from schemas.declarations import Declarations
from schemas.declared import FieldType
from schemas.library import Entity, EntityField, Form, Library
from schemas.vocabulary import Treat, Treatment

SQL_TYPES = {
    FieldType.STRING: "text",
    FieldType.INTEGER: "bigint",
    FieldType.DECIMAL: "numeric",
    FieldType.NUMBER: "double precision",
    FieldType.BOOLEAN: "boolean",
    FieldType.DATE: "date",
    FieldType.TIMESTAMP: "timestamp with time zone",
    FieldType.GEOMETRY: "bytea",
}
BOX = ("west", "south", "east", "north")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredColumn:
    """One column as it rests in the database: the entity field it serves and its SQL type.

    ``was`` lists its former names; ``earlier`` is the SQL type of rows from before its type changed, kept in a column of their own.
    """

    name: str
    sql_type: str
    field: str
    was: tuple[str, ...] = ()
    earlier: str | None = None

    @property
    def earlier_name(self) -> str:
        """Name of the column that holds what was stored before the type changed."""
        return f"{self.name}__{(self.earlier or '').replace(' ', '_')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributionTable:
    """What one dataset says of one entity: current rows, and beside it the superseded ones."""

    library: str
    entity: str
    dataset: str
    columns: tuple[StoredColumn, ...]
    sensitive_key: bool
    unique_subject: bool
    indexed: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """Table name without its schema."""
        return f"{self.entity}__{self.dataset}"

    @property
    def history(self) -> str:
        """Name of the table of superseded rows."""
        return f"{self.name}__history"

    @property
    def stored(self) -> tuple[tuple[str, str], ...]:
        """Names and SQL types of all columns of a current row, in order."""
        sealed = (("row_key__sealed", "bytea"),) if self.sensitive_key else ()
        fields = tuple((column.name, column.sql_type) for column in self.columns)
        earlier = tuple((column.earlier_name, column.earlier) for column in self.columns if column.earlier)
        return (("row_key", "bytea"), *sealed, ("subject", "bigint"), *fields, *earlier, ("row_hash", "bytea"), ("since", "integer"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityLayout:
    """One entity: its spine, its contribution tables, the columns of its view."""

    library: str
    entity: str
    form: Form
    parent: str | None
    exists_by: tuple[str, ...]
    tables: tuple[ContributionTable, ...]
    columns: tuple[StoredColumn, ...]
    ranks: dict[str, tuple[str, ...]]

    @property
    def path(self) -> str:
        """``library.entity``."""
        return f"{self.library}.{self.entity}"

    @property
    def spine(self) -> str:
        """Qualified name of the spine this entity's subjects live in (a child's is its parent's)."""
        return f'"{self.library}"."{self.parent or self.entity}__key"'

    def table(self, dataset: str) -> ContributionTable:
        """Return the contribution table of *dataset*."""
        return next(table for table in self.tables if table.dataset == dataset)


def treatment(declared: Declarations, field: EntityField) -> Treat:
    """Return how *field* is treated on its way in: by its kind, else kept (sensitive fields have a kind, see checks)."""
    chosen = declared.treatments.get(field.kind or "")
    return chosen or Treat(kind=field.kind or "plain", treatment=Treatment.KEEP)


def stored_columns(declared: Declarations, path: str, entity: Entity, field: EntityField) -> tuple[StoredColumn, ...]:
    """Return the columns *field* of the entity *path* rests in.

    A token has a sealed twin, or it could not be rotated (privacy rule 6);
    a sealed field of a composed entity that several datasets supply has a tag,
    equal where two departments say the same of one subject; a geometry has its bounding box.
    """

    def column(suffix: str, sql_type: str) -> StoredColumn:
        return StoredColumn(name=field.name + suffix, sql_type=sql_type, field=field.name, was=tuple(name + suffix for name in field.was))

    match treatment(declared, field).treatment:
        case Treatment.DROP:
            return ()
        case Treatment.TOKEN:
            return column("", "bytea"), column("__sealed", "bytea")
        case Treatment.SEAL if entity.form is Form.COMPOSED and _can_be_disputed(declared, path, field):
            return column("", "bytea"), column("__tag", "bytea")
        case Treatment.SEAL:
            return (column("", "bytea"),)
    if field.type is FieldType.GEOMETRY:
        return column("", "bytea"), *(column(f"__{side}", "double precision") for side in BOX)
    plain = column("", SQL_TYPES[field.type])
    return (replace(plain, earlier=SQL_TYPES[field.type_was]) if field.type_was else plain,)


def _can_be_disputed(declared: Declarations, path: str, field: EntityField) -> bool:
    given = [
        contribution for contract in declared.contributors(path) for contribution in contract.contributes if contribution.entity == path
    ]
    return sum(field.name in contribution.fields for contribution in given) > 1


def key_is_sensitive(contract: Contract) -> bool:
    """Whether the row key of *contract* must rest as a token."""
    return any(contract.field(name).level.sensitive for name in contract.key)


def entity_layout(declared: Declarations, library: Library, entity: Entity) -> EntityLayout:
    """Return the layout of *entity* with the contributions its contracts declare."""
    path = f"{library.library}.{entity.entity}"
    columns = {field.name: stored_columns(declared, path, entity, field) for field in entity.fields}
    tables = tuple(
        _table(library, entity, contract, given, columns)
        for contract in declared.contributors(path)
        for given in contract.contributes
        if given.entity == path
    )
    return EntityLayout(
        library=library.library,
        entity=entity.entity,
        form=entity.form,
        parent=entity.parent,
        exists_by=entity.exists_by,
        tables=tables,
        columns=tuple(column for each in columns.values() for column in each),
        ranks={field.name: ranked(entity, field, tables) for field in entity.fields},
    )


def ranked(entity: Entity, field: EntityField, tables: tuple[ContributionTable, ...]) -> tuple[str, ...]:
    """Return the datasets that may speak for *field*, first voice first; only those that contribute it."""
    speaking = {table.dataset for table in tables if any(column.field == field.name for column in table.columns)}
    authorities = sorted(field.authority or entity.authority, key=lambda authority: authority.rank)
    return tuple(authority.dataset for authority in authorities if authority.dataset in speaking)


def _table(
    library: Library, entity: Entity, contract: Contract, given: Contribution, columns: dict[str, tuple[StoredColumn, ...]]
) -> ContributionTable:
    return ContributionTable(
        library=library.library,
        entity=entity.entity,
        dataset=contract.dataset,
        columns=tuple(column for name in columns if name in given.fields for column in columns[name]),
        sensitive_key=key_is_sensitive(contract),
        unique_subject=entity.form is Form.COMPOSED,
        indexed=tuple(_indexed(entity, given, columns)),
    )


def _indexed(entity: Entity, given: Contribution, columns: dict[str, tuple[StoredColumn, ...]]) -> Iterator[tuple[str, ...]]:
    for field in entity.fields:
        if field.name not in given.fields or not columns[field.name]:
            continue
        if field.type is FieldType.GEOMETRY:
            yield tuple(f"{field.name}__{side}" for side in BOX)
        elif field.indexed:
            yield (field.name,)


def layouts(declared: Declarations) -> tuple[EntityLayout, ...]:
    """Return the layout of every entity of every library, in stable order."""
    return tuple(
        entity_layout(declared, library, entity) for _, library in sorted(declared.libraries.items()) for entity in library.entities
    )


def layout_of(declared: Declarations, path: str) -> EntityLayout:
    """Return the layout of the entity ``library.entity``."""
    library, entity = declared.entity(path)
    return entity_layout(declared, library, entity)
