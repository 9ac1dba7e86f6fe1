"""A contract of ours as a document of the standard."""

from schemas.contract import Contract, Field
from schemas.declarations import Declarations
from schemas.odcs import cycles, quality, servers
from schemas.odcs.residue import Mapped, custom_properties, difference
from schemas.odcs.standard import API_VERSION, READ, fields_of, table_of
from schemas.odcs.types import typed


def exported(contract: Contract, declared: Declarations) -> Mapped:
    """Return *contract* as an ODCS 3.1 document in plain values: the same contract gives the same document.

    Names of people, addresses of readers and passwords are not in it; the host and path of the source are.
    """
    department = declared.departments.get(contract.department)
    table = _table(contract, declared)
    document: Mapped = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"{contract.department}.{contract.dataset}",
        "name": contract.dataset,
        "version": str(contract.version),
        "status": "active",
        "domain": ", ".join(dict.fromkeys(given.entity.split(".")[0] for given in contract.contributes)),
        "description": _description(contract),
        "team": {"name": contract.department, **({"description": department.title.en} if department else {})},
        "servers": [_server(contract, declared)],
        "schema": [table],
        "slaProperties": cycles.levels(contract),
        "roles": [_subscriber(contract)],
    }
    residue = _residue(contract, document)
    if residue:
        table["customProperties"] = custom_properties(residue)
    return document


def _description(contract: Contract) -> Mapped:
    given = {"purpose": contract.abstract.zh, "usage": contract.sharing.use, "limitations": _limitations(contract)}
    return {name: text for name, text in given.items() if text}


def _limitations(contract: Contract) -> str:
    sharing = contract.sharing
    return "; ".join(text for text in (sharing.class_.value, sharing.scope, sharing.reason, sharing.legal_basis) if text)


def _server(contract: Contract, declared: Declarations) -> Mapped:
    source = declared.sources.get(contract.source)
    return servers.server(source, contract) if source else {"server": contract.source, "type": "custom"}


def _subscriber(contract: Contract) -> Mapped:
    """Both departments' heads decide on a request (Decree 809 Art. 20-21)."""
    return {
        "role": "subscribing_department",
        "access": "read",
        "firstLevelApprovers": "head of the requesting department's sharing office",
        "secondLevelApprovers": f"head of the sharing office of {contract.department}",
    }


def _table(contract: Contract, declared: Declarations) -> Mapped:
    place = contract.file or contract.table
    kind = "file" if contract.file is not None else "table" if contract.table is not None else "query"
    return {
        "name": contract.dataset,
        "businessName": contract.title.zh,
        "description": contract.abstract.en,
        "logicalType": "object",
        "physicalType": kind,
        **({"physicalName": place} if place is not None else {}),
        "properties": [_property(contract, field, declared) for field in contract.fields],
        "quality": quality.object_quality(contract),
    }


def _property(contract: Contract, field: Field, declared: Declarations) -> Mapped:
    key = contract.key.index(field.name) + 1 if field.name in contract.key else 0
    made: Mapped = {
        "name": field.name,
        "businessName": field.title.zh,
        "description": field.title.en,
        **({"physicalName": field.column} if field.column is not None else {}),
        **typed(field),
        **({"logicalTypeOptions": {"maxLength": field.length}} if field.length and field.type == "string" else {}),
        **({"primaryKey": True, "primaryKeyPosition": key} if key else {}),
        **({"unique": True} if contract.key == (field.name,) else {}),
        **({"required": True} if field.required else {}),
        "classification": field.level.value,
    }
    entries = quality.property_quality(contract, field.name, declared.codes.get(field.codes or ""))
    if entries:
        made["quality"] = entries
    residue = difference(_minimal(field), _full(field), fields_of(made))
    made["customProperties"] = custom_properties(residue | _treatment(field, declared))
    if not made["customProperties"]:
        del made["customProperties"]
    return made


def _treatment(field: Field, declared: Declarations) -> Mapped:
    """Return how the field enters a library, for the reader: it follows from the kind and is not read back."""
    kinds = list(field.kind_by.kinds.values()) if field.kind_by else [field.kind] if field.kind else []
    chosen = sorted({declared.treatments[kind].treatment.value for kind in kinds if kind in declared.treatments} - {"keep"})
    return {"treatment": ", ".join(chosen)} if chosen else {}


def _residue(contract: Contract, document: Mapped) -> Mapped:
    """Return what the standard's own keys of *document* do not say of *contract* as a whole."""
    recovered = table_of(document, 0, READ)
    recovered.plain.pop("fields")  # each says for itself what is left
    minimal, full = ({key: value for key, value in plain.items() if key != "fields"} for plain in (_minimal(contract), _full(contract)))
    return difference(minimal, full, recovered.plain)


def _minimal(declaration: Contract | Field) -> Mapped:
    return dict(declaration.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def _full(declaration: Contract | Field) -> Mapped:
    return dict(declaration.model_dump(mode="json", by_alias=True))
