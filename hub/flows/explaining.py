"""Where each value of one subject comes from. The identifier is used for the look-up and stays in memory."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Mistake, Refused
from hub.flows.keys import keyring
from hub.flows.naturals import typed_key
from hub.flows.readiness import require_ready
from hub.flows.suppression import is_erased
from hub.settings import settings
from libraries.explain import Origin, origins, subject_of
from libraries.layout import layout_of, treatment
from schemas.declarations import Declarations, declarations
from schemas.library import Entity, EntityField, Library
from schemas.rules.divisions import divisions
from schemas.vocabulary import Treatment

DIVISIONS = frozenset({"division_code", "hukou_division_code"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One stored value in its protected form, decoded where it is a code, with where it came from."""

    field: EntityField
    shown: str
    dataset: str
    department_zh: str
    stands: bool
    differs: bool
    version: int
    batch: int | None
    contract_version: int | None
    at: datetime | None


def explain(library_name: str, entity_name: str | None, identifier: str, *, by: str) -> tuple[Entity, tuple[Explained, ...]]:
    """Return every stored value of the subject with *identifier*; empty if the library does not know it. Recorded."""
    declared = declarations()
    library, entity = _entity(declared, library_name, entity_name)
    layout = layout_of(declared, f"{library.library}.{entity.entity}")
    key = typed_key(identifier, [declared.kinds[kind] for kind in entity.subject], keyring())
    with engine(Role.WRITER).begin() as connection:
        require_ready(connection)
        subject = subject_of(connection, layout, key) if key else None
        found = origins(connection, layout, subject) if subject is not None else ()
        details = {"library": library.library, "entity": entity.entity, "found": bool(found)}
        record(connection, Event.SUBJECT_EXPLAINED, actor=by, details=details)
        gone = subject is None and is_erased(connection, identifier, declared.kinds[entity.subject[0]])
    if gone:
        raise Refused(
            "this person was erased, and is kept out", remedy="`hub subject erasures` lists the cases; `hub subject lift` ends one"
        )
    fields = {field.name: field for field in entity.fields}
    return entity, tuple(_explained(declared, fields[origin.field], origin) for origin in found)


def _entity(declared: Declarations, library_name: str, entity_name: str | None) -> tuple[Library, Entity]:
    library = declared.library(library_name)
    names = {entity.entity: entity for entity in library.entities if entity.parent is None}
    if entity_name is None:
        return library, next(iter(names.values()))
    if entity_name not in names:
        raise Mistake(f"library {library_name} has no entity `{entity_name}`", remedy=f"choose one of: {', '.join(names)}")
    return library, names[entity_name]


def _explained(declared: Declarations, field: EntityField, origin: Origin) -> Explained:
    contract = declared.contracts.get(origin.dataset)
    department = declared.departments[contract.department].title.zh if contract else ""
    return Explained(
        field=field, shown=_shown(declared, field, origin.value), dataset=origin.dataset, department_zh=department, stands=origin.stands,
        differs=origin.differs, version=origin.version, batch=origin.batch, contract_version=origin.contract_version, at=origin.at,
    )  # fmt: skip


def _shown(declared: Declarations, field: EntityField, value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, bytes | memoryview):
        word = {Treatment.TOKEN: "token 假名", Treatment.SEAL: "sealed 密文"}.get(treatment(declared, field).treatment, "bytes")
        return f"{word} {bytes(value).hex()[:12]}…"
    if isinstance(value, datetime):
        return value.astimezone(ZoneInfo(settings().timezone)).strftime("%Y-%m-%d %H:%M:%S")
    meaning = _meaning(declared, field, str(value))
    return f"{value} {meaning}" if meaning else str(value)


def _meaning(declared: Declarations, field: EntityField, code: str) -> str | None:
    """Return what a code means, in the words of its list; the newest name of a division."""
    if field.codes:
        return next((one.title.zh for one in declared.codes[field.codes].entries if one.code == code), None)
    if field.kind in DIVISIONS:
        names = [one.name for one in divisions() if one.code == code]
        return names[-1] if names else None
    return None
