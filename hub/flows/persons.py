"""Finding one person in everything the hub keeps. Identifiers are used in memory and stay there."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from hub.errors import Mistake
from hub.flows.keys import keyring
from hub.flows.naturals import typed_key
from hub.flows.suppression import Mark, marks_of
from libraries.erasure import Known, Naming, known_as
from libraries.layout import EntityLayout, layouts, treatment
from masking.quarantine import unseal_rows
from masking.subjects import subject_values
from schemas.contract import Contract
from schemas.declarations import Declarations
from schemas.library import OnErasure
from schemas.vocabulary import Kind, Treatment


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom it is about: their identity domain, how the libraries know them, and the marks of all their identifiers."""

    domain: str
    known: Known
    marks: frozenset[Mark]


def kind_of(declared: Declarations, name: str) -> Kind:
    """Return the kind *name* of identifiers of people; :class:`Mistake` if it is none."""
    kind = declared.kinds.get(name)
    if kind is None or kind.domain is None or kind.document_type is None:
        people = ", ".join(sorted(one.kind for one in declared.kinds.values() if one.domain and one.document_type))
        raise Mistake(f"`{name}` is no kind of identifier of people", remedy=f"choose one of: {people}")
    return kind


def spines(declared: Declarations, domain: str) -> tuple[EntityLayout, ...]:
    """Return the entities whose subjects are people of *domain*."""
    return tuple(layout for layout in layouts(declared) if layout.parent is None and _spine_kind(declared, layout).domain == domain)


def _spine_kind(declared: Declarations, layout: EntityLayout) -> Kind:
    return declared.kinds[declared.entity(layout.path)[1].subject[0]]


def by_identifier(connection: sa.Connection, declared: Declarations, identifier: str, kind: Kind) -> Person:
    """Return the person with *identifier*, under all numbers they ever had; one whom no library knows has the marks alone."""
    key = typed_key(identifier, [kind], keyring())
    if key is None:
        raise Mistake("there is no identifier", remedy="type it, or send it to the command's standard input")
    domain = kind.domain or ""
    known = known_as(connection, spines(declared, domain), [key])
    typed = marks_of(pa.array([identifier]), domain=domain, document_type=kind.document_type or "")
    marks = {bytes(mark) for mark in typed.to_pylist() if mark}
    for layout, _, found in _numbers(connection, declared, domain, known.keys):
        document = _spine_kind(declared, layout).document_type or ""
        marks |= {bytes(mark) for mark in marks_of(found, domain=domain, document_type=document).to_pylist() if mark}
    version = keyring().active_version("token")
    return Person(domain=domain, known=known, marks=frozenset(Mark(mark=mark, key_version=version) for mark in marks))


def by_marks(connection: sa.Connection, declared: Declarations, domain: str, marks: frozenset[Mark]) -> Person:
    """Return the person with *marks*: every identifier of the domain's spines is opened and compared, in memory."""
    keys: set[bytes] = set()
    for layout, known, numbers in _numbers(connection, declared, domain, None):
        keys.update(known.filter(_marked(numbers, domain, _spine_kind(declared, layout).document_type or "", marks)).to_pylist())
    return Person(domain=domain, known=known_as(connection, spines(declared, domain), keys), marks=marks)


def _numbers(
    connection: sa.Connection, declared: Declarations, domain: str, keys: frozenset[bytes] | None
) -> Iterator[tuple[EntityLayout, pa.Array, pa.Array]]:
    """Yield, by spine, keys and their identifiers in clear: those of *keys*, or all."""
    chosen, given = ("WHERE key = ANY(:keys)", {"keys": list(keys)}) if keys is not None else ("", {})
    for layout in spines(declared, domain):
        rows = connection.execute(sa.text(f"SELECT key, sealed FROM {layout.spine} {chosen}"), given).all()
        if rows:
            known, sealed = (pa.array([bytes(row[place]) for row in rows], pa.binary()) for place in (0, 1))
            yield layout, known, subject_values(known, sealed, keyring(), library=layout.library, entity=layout.entity)


def _marked(values: pa.Array, domain: str, document_type: str, marks: frozenset[Mark]) -> pa.Array:
    found = pa.repeat(pa.scalar(value=False), len(values))
    for version in {one.key_version for one in marks}:
        wanted = pa.array([one.mark for one in marks if one.key_version == version], pa.binary())
        made = marks_of(values, domain=domain, document_type=document_type, version=version)
        found = pc.or_(found, pc.is_in(made, value_set=wanted))
    return found


def namings(declared: Declarations, domain: str, every: tuple[EntityLayout, ...] = ()) -> Iterator[tuple[OnErasure, str, Naming]]:
    """Yield the token columns by which rows of other subjects name people of *domain*, with what each asks for.

    *every* are the layouts to look in; unsaid, those of the declarations.
    """
    for layout in every or layouts(declared):
        _, entity = declared.entity(layout.path)
        for field in entity.fields:
            if _of_domain(declared, field.kind, domain) and treatment(declared, field).treatment is Treatment.TOKEN:
                for table in layout.tables:
                    if any(column.name == field.name for column in table.columns):
                        yield field.on_erasure, f"{layout.path}.{field.name}", Naming(table=table, column=field.name)


def unsearchable(declared: Declarations, domain: str) -> tuple[str, ...]:
    """Return the fields in which numbers of relatives are sealed in other people's rows: nothing can look for a person there."""
    return tuple(
        f"{layout.path}.{field.name}"
        for layout in layouts(declared)
        for field in declared.entity(layout.path)[1].fields
        if layout.tables and _of_domain(declared, field.kind, domain) and treatment(declared, field).treatment is Treatment.SEAL
    )


def _of_domain(declared: Declarations, kind: str | None, domain: str) -> bool:
    return kind is not None and declared.kinds[kind].domain == domain


def quarantined(connection: sa.Connection, declared: Declarations, person: Person) -> list[int]:
    """Return the ids of quarantined rows that name the person anywhere; they are opened in memory to see."""
    found: list[int] = []
    for contract in declared.contracts.values():
        kinds = {field.name: _kinds(declared, contract, field.name, person.domain) for field in contract.fields}
        if any(kinds.values()):
            found += _quarantined(connection, contract, {name: ones for name, ones in kinds.items() if ones}, person)
    return found


def _kinds(declared: Declarations, contract: Contract, name: str, domain: str) -> list[Kind]:
    field = contract.field(name)
    names = [field.kind] if field.kind else list(field.kind_by.kinds.values()) if field.kind_by else []
    return [declared.kinds[one] for one in names if _of_domain(declared, one, domain)]


def _quarantined(connection: sa.Connection, contract: Contract, kinds: dict[str, list[Kind]], person: Person) -> Iterator[int]:
    heaps = sa.text("SELECT DISTINCT batch, key_version FROM hub.quarantine WHERE dataset = :dataset ORDER BY batch, key_version")
    query = sa.text(
        "SELECT id, position, sealed FROM hub.quarantine WHERE dataset = :dataset AND batch = :batch AND key_version = :version"
    )
    for batch, version in connection.execute(heaps, {"dataset": contract.dataset}).all():
        rows = connection.execute(query, {"dataset": contract.dataset, "batch": batch, "version": version}).all()
        sealed = pa.array([bytes(row.sealed) for row in rows], pa.binary())
        positions = pa.array([row.position for row in rows], pa.int64())
        opened = unseal_rows(sealed, positions, keyring().key("quarantine", version=version), str(batch))
        named = pa.repeat(pa.scalar(value=False), len(rows))
        for name, ones in kinds.items():
            values = pa.array([row.get(name) for row in opened], pa.string())
            for kind in ones:
                named = pc.or_(named, _marked(values, person.domain, kind.document_type or "", person.marks))
        yield from (row.id for row, hit in zip(rows, named.to_pylist(), strict=True) if hit)
