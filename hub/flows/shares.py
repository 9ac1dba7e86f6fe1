"""A contract's shares: what one row of it becomes in each entity it contributes to.

This is where declarations, layout and masking meet: a share knows its table, its protection,
and the extra columns its rows need before they are protected.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
import shapely

from libraries.layout import BOX, ContributionTable, EntityLayout, entity_layout, treatment
from masking.keys import Key, Keyring
from masking.protection import Column, Identified, KeyField, Protection, RowKey, Subject
from masking.tags import tags
from schemas.contract import Contract, Contribution, Field
from schemas.declarations import Declarations
from schemas.declared import FieldType
from schemas.library import Entity, EntityField, Form, Library
from schemas.vocabulary import Kind, Treatment


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One contribution, ready to run."""

    given: Contribution
    entity: Entity
    layout: EntityLayout
    table: ContributionTable
    columns: tuple[Column, ...]
    row_key: RowKey
    subject: Subject
    protection: Protection
    tag_keys: dict[str, Key]

    def protect(self, batch: pa.RecordBatch, identified: Identified) -> pa.RecordBatch:
        """Return the protected rows of *batch* as they are staged, in order, in the types of the contribution table."""
        made = self.protection.protect(batch, identified)
        for column in self.columns:
            if column.name in self.tag_keys:
                compared = tags(batch.column(column.source), made.column("subject_key"), self.tag_keys[column.name])
                made = made.append_column(f"{column.name}__tag", compared)
        return _as_declared(made, self.table)

    @property
    def path(self) -> str:
        """``library.entity``."""
        return self.layout.path

    @property
    def one_row_per_subject(self) -> bool:
        """Whether a second row for a subject is a mistake of the source."""
        return self.layout.form is Form.COMPOSED and self.given.pick is None

    @property
    def pick(self) -> str | None:
        """Name of the stored column whose latest value decides between several rows of one subject."""
        return next((target for target, name in self.given.fields.items() if name == self.given.pick), None)


def shares_of(declared: Declarations, contract: Contract, keys: Keyring) -> tuple[Share, ...]:
    """Return the shares of *contract*, in the order it declares them."""
    return tuple(_share(declared, contract, given, keys) for given in contract.contributes)


def _share(declared: Declarations, contract: Contract, given: Contribution, keys: Keyring) -> Share:
    library, entity = declared.entity(given.entity)
    layout = entity_layout(declared, library, entity)
    columns = tuple(_columns(declared, contract, given, library, entity))
    spine = _spine_entity(library, entity)
    row_key = _row_key(declared, contract, library, entity)
    subject = _subject(declared, [contract.field(name) for name in given.subject], library, spine)
    return Share(
        given=given,
        entity=entity,
        layout=layout,
        table=layout.table(contract.dataset),
        columns=columns,
        row_key=row_key,
        subject=subject,
        protection=Protection(columns=columns, row_key=row_key, subject=subject, keyring=keys),
        tag_keys=_tag_keys(layout, columns, keys),
    )


def _tag_keys(layout: EntityLayout, columns: tuple[Column, ...], keys: Keyring) -> dict[str, Key]:
    """Return the key of each tagged column: one per library, entity and field, the same for every dataset."""
    tagged = {column.field for column in layout.columns if column.name.endswith("__tag")}
    return {
        column.name: keys.key("row_hash", "tag", layout.library, layout.entity, column.field) for column in columns if column.name in tagged
    }


_ARROW = {"bigint": pa.int64(), "double precision": pa.float64(), "text": pa.string(), "date": pa.date32()}


def _as_declared(batch: pa.RecordBatch, table: ContributionTable) -> pa.RecordBatch:
    for column in table.columns:
        wanted = _ARROW.get(column.sql_type)
        if wanted is not None and batch.column(column.name).type != wanted:
            place = batch.schema.get_field_index(column.name)
            batch = batch.set_column(place, column.name, batch.column(column.name).cast(wanted))
    return batch


def _spine_entity(library: Library, entity: Entity) -> Entity:
    return next(each for each in library.entities if each.entity == (entity.parent or entity.entity))


def _row_key(declared: Declarations, contract: Contract, library: Library, entity: Entity) -> RowKey:
    return RowKey(
        fields=tuple(_key_field(declared, contract.field(name)) for name in contract.key),
        library=library.library,
        entity=f"{entity.entity}__{contract.dataset}",
    )


def _key_field(declared: Declarations, field: Field) -> KeyField:
    kind = declared.kinds.get(field.kind or "")
    return KeyField(
        source=field.name,
        level=field.level,
        document_type=kind.document_type if kind else None,
        domain=kind.domain if kind else None,
    )


def _subject(declared: Declarations, fields: Sequence[Field], library: Library, spine: Entity) -> Subject:
    first, kind = fields[0], declared.kinds[spine.subject[0]]
    return Subject(
        sources=tuple(field.name for field in fields),
        library=library.library,
        entity=spine.entity,
        level=kind.level,
        document_type=kind.document_type,
        domain=kind.domain,
        only_where=kind_column(first, kind.kind) if first.kind_by else None,
    )


def _columns(declared: Declarations, contract: Contract, given: Contribution, library: Library, entity: Entity) -> Iterator[Column]:
    for field in entity.fields:
        if field.name not in given.fields:
            continue
        source = contract.field(given.fields[field.name])
        column = _column(declared, source, field, library, entity, contract.dataset)
        yield column
        if field.type is FieldType.GEOMETRY and column.treatment is Treatment.KEEP:
            for side in BOX:
                yield replace(column, name=f"{field.name}__{side}", source=f"{source.name}__{side}")


def _column(declared: Declarations, source: Field, field: EntityField, library: Library, entity: Entity, dataset: str) -> Column:
    treat = treatment(declared, field)
    kind: Kind | None = declared.kinds.get(field.kind or "")
    return Column(
        name=field.name,
        source=source.name,
        treatment=treat.treatment,
        library=library.library,
        entity=f"{entity.entity}__{dataset}",
        field=field.first_name,
        level=field.level,
        kind=field.kind,
        document_type=kind.document_type if kind else None,
        domain=kind.domain if kind else None,
        how=treat.how,
        only_where=kind_column(source, field.kind or "") if source.kind_by else None,
        code=field.codes is not None,
    )


def kind_column(field: Field, kind: str) -> str:
    """Return the name of the column that says on which rows *field* is of *kind*."""
    return f"{field.name}__is__{kind}"


def with_derived_columns(batch: pa.RecordBatch, contract: Contract) -> pa.RecordBatch:
    """Return *batch* with, for each field, the columns its shares need: rows of a kind, bounding boxes."""
    for field in contract.fields:
        if field.kind_by is not None:
            batch = _with_kinds(batch, field)
        if field.type is FieldType.GEOMETRY:
            batch = _with_box(batch, field)
    return batch


def _with_kinds(batch: pa.RecordBatch, field: Field) -> pa.RecordBatch:
    by = field.kind_by
    assert by is not None  # noqa: S101 (the caller asked)
    for kind in sorted(set(by.kinds.values())):
        codes = pa.array([code for code, each in by.kinds.items() if each == kind], pa.string())
        batch = batch.append_column(kind_column(field, kind), pc.is_in(batch.column(by.field), value_set=codes))
    return batch


def _with_box(batch: pa.RecordBatch, field: Field) -> pa.RecordBatch:
    shapes = shapely.from_wkb(batch.column(field.name).to_numpy(zero_copy_only=False))
    for side, values in zip(BOX, shapely.bounds(shapes).T, strict=True):
        batch = batch.append_column(f"{field.name}__{side}", pa.array(values, pa.float64(), from_pandas=True))
    return batch


def protection_of(shares: tuple[Share, ...], declared: Declarations, keys: Keyring) -> str:
    """Return a fingerprint of everything that decides what is staged: equal means that a staged batch still fits."""
    described = [repr((share.path, share.columns, share.row_key, share.subject, share.table.stored)) for share in shares]
    return _digest(_versions(declared, keys) + described)


def context_of(share: Share, declared: Declarations, keys: Keyring) -> str:
    """Return a fingerprint of what decides, besides a row itself, how it is protected: it goes into each row's fingerprint.

    Renaming a field changes nothing in it, as it changes nothing in a row.
    """
    bound = {column.name.partition("__")[0]: column.field for column in share.columns}
    stored = [repr((bound.get(one.field), one.name.partition("__")[2], one.sql_type)) for one in share.table.columns]
    return _digest([*_versions(declared, keys), share.path, *share.protection.described, *sorted(stored)])


def _versions(declared: Declarations, keys: Keyring) -> list[str]:
    return [str(declared.policy.version), *(f"{purpose}:{keys.active_version(purpose)}" for purpose in ("token", "seal", "row_hash"))]


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
