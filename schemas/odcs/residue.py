"""What a standard key cannot carry: the difference between two plain structures, and ``customProperties`` that hold it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Mapped = dict[str, Any]
PREFIX = "hub"
_CAPITAL = re.compile(r"(?<!^)([A-Z])")


def difference(minimal: Mapping[str, Any], full: Mapping[str, Any], recovered: Mapping[str, Any]) -> Mapped:
    """Return what must be laid over *recovered* to get *full* again; mappings are compared key by key.

    *minimal* is *full* without defaults: what is absent from both *recovered* and *minimal* needs no word.
    A key that *full* has as null and *recovered* has not becomes null.
    """
    found: Mapped = {}
    for key in (*full, *(name for name in recovered if name not in full)):
        wanted = full.get(key)
        if key not in recovered:
            if key in minimal:
                found[key] = minimal[key]
        elif isinstance(wanted, dict) and isinstance(recovered[key], dict):
            inner = difference(minimal.get(key) or {}, wanted, recovered[key])
            if inner:
                found[key] = inner
        elif not same(wanted, recovered[key]):
            found[key] = wanted
    return found


def same(one: object, other: object) -> bool:
    """Whether two plain values are the same: ``True`` is not ``1``, and ``1`` is not ``1.0``."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(left, right) for left, right in zip(one, other, strict=True))
    return one == other


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Mapped:
    """Return *below* with *above* laid over it, mapping by mapping; everything else is replaced whole."""
    merged = dict(below)
    for key, value in above.items():
        mine = merged.get(key)
        merged[key] = laid_over(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return merged


def custom_properties(residue: Mapping[str, Any]) -> list[Mapped]:
    """Return *residue* as ODCS ``customProperties``, one for each key: ``kind_by`` is called ``hubKindBy``."""
    return [{"property": _property(key), "value": value} for key, value in residue.items()]


def residue_of(element: Mapping[str, Any]) -> Iterator[tuple[str, Any, int]]:
    """Yield key, value and place in the list of each of our ``customProperties`` of *element*; those of others are not ours."""
    for place, one in enumerate(element.get("customProperties") or []):
        name = one["property"]
        if name.startswith(PREFIX) and name[len(PREFIX) :][:1].isupper():
            yield _key(name), one["value"], place


def _property(key: str) -> str:
    return PREFIX + "".join(part.capitalize() for part in key.split("_"))


def _key(name: str) -> str:
    return _CAPITAL.sub(r"_\1", name[len(PREFIX) :]).lower()
