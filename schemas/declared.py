"""What every declaration has in common: strictness, titles, levels, names."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


def _each(written: Any) -> Any:  # noqa: ANN401 (what a file holds, before it is checked)
    return (written,) if isinstance(written, str) else written


def _one_or_all(names: tuple[str, ...]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)


Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(_each, json_schema_input_type=Name | list[Name]),
    PlainSerializer(_one_or_all, return_type=str | list[str]),
    Field(min_length=1),
]
"""One name, or a list of them: a single one may be written without brackets."""
EntityPath = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]


class Declared(BaseModel):
    """Something a person wrote in a file: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Title(Declared):
    """A name for people, in the language of the users and of the developers."""

    zh: str
    en: str


class Level(StrEnum):
    """Sensitivity of a field: general data 1 to 4 (GB/T 43697-2024, Annex H)."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"

    @property
    def sensitive(self) -> bool:
        """Whether a value of this level may not rest in clear outside its source."""
        return self in (Level.L3, Level.L4)


class FieldType(StrEnum):
    """Logical type of a field, whatever the source calls it."""

    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    GEOMETRY = "geometry"
