"""Values of sources without firm types, as text that says exactly what was stored."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime, time
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.protocol import Oddity

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def written_out(value: object) -> str | None:
    """Write one value: whole numbers without a point, times as ISO 8601, a midnight as its date."""
    match value:
        case None:
            return None
        case str():
            return None if _LONE_SURROGATE.search(value) else value
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
        case _:
            return str(value)
