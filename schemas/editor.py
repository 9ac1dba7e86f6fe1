"""JSON Schemas of the declarations, so that an editor completes keys and marks mistakes while a person writes."""

from schemas.contract import Contract
from schemas.declared import Declared
from schemas.library import Library
from schemas.source import Source
from schemas.vocabulary import CodeList, Departments, Kinds, Policy
from schemas.workdays import WorkingDays

DECLARATIONS: dict[str, type[Declared]] = {
    "contract": Contract,
    "source": Source,
    "library": Library,
    "codes": CodeList,
    "kinds": Kinds,
    "policy": Policy,
    "departments": Departments,
    "workdays": WorkingDays,
}


def json_schemas() -> dict[str, dict[str, object]]:
    """Return the JSON Schema (draft 2020-12) of each kind of declaration, by name."""
    return {name: model.model_json_schema(by_alias=True) for name, model in DECLARATIONS.items()}
