"""Our field types and those of the standard: a logical type, and where that is not enough a physical one."""

import re
from collections.abc import Mapping
from typing import Any

from schemas.contract import Field
from schemas.declared import FieldType

_LOGICAL: dict[FieldType, tuple[str, str | None]] = {
    FieldType.STRING: ("string", None),
    FieldType.INTEGER: ("integer", None),
    FieldType.DECIMAL: ("number", "decimal({precision},{scale})"),
    FieldType.NUMBER: ("number", "double"),
    FieldType.BOOLEAN: ("boolean", None),
    FieldType.DATE: ("date", None),
    FieldType.TIMESTAMP: ("timestamp", None),
    FieldType.GEOMETRY: ("object", "geometry"),
}
_PHYSICAL = (
    (re.compile(r"^(decimal|numeric|number|dec|money)\b"), FieldType.DECIMAL),
    (re.compile(r"^(double|float|real)"), FieldType.NUMBER),
    (re.compile(r"^(geometry|geography)"), FieldType.GEOMETRY),
    (re.compile(r"^(timestamp|datetime)"), FieldType.TIMESTAMP),
    (re.compile(r"^date$"), FieldType.DATE),
    (re.compile(r"^(bool|bit$)"), FieldType.BOOLEAN),
    (re.compile(r"^(tiny|small|medium|big)?int|^integer|^(small|big)?serial"), FieldType.INTEGER),
    (re.compile(r"char|text|string|clob|uuid"), FieldType.STRING),
)
_SIZED = re.compile(r"\((\d+)\s*(?:,\s*(\d+))?\)")
_ALONE = {"string", "integer", "boolean", "date", "timestamp"}
_MOST_DIGITS, _MOST_DECIMALS = 38, 18


def typed(field: Field) -> dict[str, str]:
    """Return ``logicalType`` and, where needed, ``physicalType`` of *field*."""
    logical, physical = _LOGICAL[field.type]
    if physical is None:
        return {"logicalType": logical}
    return {"logicalType": logical, "physicalType": physical.format(precision=field.precision, scale=field.scale)}


def field_type(element: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``type`` (with ``precision`` and ``scale``) of a property; empty if the hub has no such type or none is stated."""
    logical, physical = element.get("logicalType"), str(element.get("physicalType") or "").lower()
    if logical in _ALONE:
        return {"type": logical}
    stated = next((kind for pattern, kind in _PHYSICAL if pattern.search(physical)), None)
    if logical == "number":
        stated = stated if stated in {FieldType.DECIMAL, FieldType.INTEGER} else FieldType.NUMBER
    elif logical is not None and stated is not FieldType.GEOMETRY:
        return {}
    if stated is None:
        return {}
    return {"type": stated.value, **(_digits(physical) if stated is FieldType.DECIMAL else {})}


def _digits(physical: str) -> dict[str, int]:
    sized = _SIZED.search(physical)
    if sized is None:
        return {}
    precision, scale = int(sized[1]), int(sized[2] or 0)
    return {"precision": precision, "scale": scale} if 0 < precision <= _MOST_DIGITS and scale <= _MOST_DECIMALS else {}
