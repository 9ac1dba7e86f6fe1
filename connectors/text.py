"""Values of sources without firm types, as text that says exactly what was stored."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.protocol import Oddity

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_NUMBER = 400  # digits; a double has at most 309 before its point
NOT_TEXT = "bytes that are not text"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which JSON's escapes can write


def as_text(values: Sequence[object], column: str = "") -> tuple[pa.StringArray, Counter[Oddity]]:
    """Return *values* as text; null stays null, bytes that are not UTF-8 become null and are counted."""
    try:
        return pa.array(values, pa.string()), Counter()
    except (pa.ArrowException, TypeError, UnicodeError):
        written = [written_out(value) for value in values]
    lost = sum(after is None and before is not None for before, after in zip(values, written, strict=True))
    return pa.array(written, pa.string()), Counter({Oddity(column, NOT_TEXT): lost} if lost else {})


def as_binary(values: Sequence[object], column: str = "") -> tuple[pa.BinaryArray, Counter[Oddity]]:
    """Return *values* as bytes; what is not bytes is taken as the UTF-8 of its text."""
    del column
    return pa.array(
        [value if value is None or isinstance(value, bytes) else (written_out(value) or "").encode() for value in values], pa.binary()
    ), Counter()


def plain(number: Decimal) -> str:
    """Write *number* digit by digit, without an exponent unless it would take hundreds of digits."""
    return format(number, "f") if number.is_finite() and abs(number.adjusted()) < LONGEST_NUMBER else str(number)


def as_json(value: object) -> str:
    """Write *value* as JSON with every digit of its numbers, which the standard library's writer would round."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(str(name), ensure_ascii=False)}: {as_json(inner)}" for name, inner in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(as_json, value)) + "]"
        case Decimal() if value.is_finite():
            return str(value)
        case None | bool() | int() | float() | str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return json.dumps(written_out(value), ensure_ascii=False)


def written_out(value: object) -> str | None:
    """Write one value: whole numbers without a point, times as ISO 8601, a midnight without zone as its date, what is nested as JSON."""
    match value:
        case None:
            return None
        case str():
            return None if _LONE_SURROGATE.search(value) else value
        case bytes():
            return _decoded(value)
        case dict() | list():
            return written_out(as_json(value))
        case bool():
            return "true" if value else "false"
        case float() | Decimal():
            return _number(value)
        case date() | time():
            return _moment(value)
        case _:
            return str(value)


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _number(value: float | Decimal) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _moment(value: date | time) -> str:
    if not isinstance(value, datetime):
        return value.isoformat()
    midnight = value.time() == time() and value.tzinfo is None
    return value.date().isoformat() if midnight else value.isoformat(sep=" ")
