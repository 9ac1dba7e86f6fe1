"""How each PostgreSQL type arrives: exactly, or as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import pyarrow as pa
import pyarrow.compute as pc

from connectors.protocol import Oddity
from connectors.sql import column

# Types the driver hands over exactly. All others are cast to text by the server,
# `bpchar` too: its padding is not part of the value (PostgreSQL manual, 8.3).
_AS_IS = {
    "bool", "int2", "int4", "int8", "oid", "float4", "float8", "text", "varchar", "name",
    "bytea", "date", "time", "timestamp", "timestamptz",
}  # fmt: skip
_WIDEST = 38  # digits of a decimal128
_FIRST, _LAST = date(1, 1, 1), date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class Reading:
    """How one column is asked for, and the type it is handed over in."""

    name: str
    expression: str
    type: pa.DataType


def reading(field: pa.Field) -> Reading:
    """Return how *field*, as the driver describes it, is read.

    ``numeric(p, s)`` is ``decimal128(p, s)``; numeric without precision, or over 38 digits, is exact text.
    """
    metadata = field.metadata or {}
    kind = metadata.get(b"POSTGRESQL:type", b"").decode()
    name = column(field.name)
    if kind == "numeric":
        return Reading(field.name, name, _decimal(int(metadata.get(b"POSTGRESQL:typmod", b"-1"))))
    if kind in _AS_IS:
        return Reading(field.name, name, field.type)
    return Reading(field.name, f"{name}::text", pa.string())


def _decimal(typmod: int) -> pa.DataType:
    if typmod < 0:
        return pa.string()
    # numeric's typmod: precision and scale in 16 bits each, plus the header of four bytes; scale is signed in 11 bits.
    precision, scale = (typmod - 4) >> 16 & 0xFFFF, ((typmod - 4) & 0x7FF ^ 1024) - 1024
    return pa.decimal128(precision, scale) if precision <= _WIDEST and 0 <= scale <= precision else pa.string()


def taken(reading: Reading, array: pa.Array) -> tuple[pa.Array, Counter[Oddity]]:
    """Return *array* in its type, and what had to be read as null: NaN and infinities, which Arrow lacks there."""
    values = array.storage if isinstance(array, pa.ExtensionArray) else array
    if pa.types.is_decimal(reading.type):
        return _without(values, pc.match_substring_regex(values, "[a-zA-Z]"), reading, "not a number")
    if pa.types.is_date32(values.type):
        return _without(values, _outside(values, _FIRST, _LAST), reading, "infinite or BC")
    if pa.types.is_timestamp(values.type):
        zone = UTC if values.type.tz else None
        first, last = (datetime.combine(day, clock, zone) for day, clock in ((_FIRST, time.min), (_LAST, time.max)))
        return _without(values, _outside(values, first, last), reading, "infinite or BC")
    return values.cast(reading.type), Counter()


def _outside(values: pa.Array, first: date, last: date) -> pa.Array:
    return pc.or_(pc.less(values, pa.scalar(first, values.type)), pc.greater(values, pa.scalar(last, values.type)))


def _without(values: pa.Array, odd: pa.Array, reading: Reading, what: str) -> tuple[pa.Array, Counter[Oddity]]:
    number = pc.sum(odd).as_py() or 0
    if number:
        values = pc.if_else(odd, pa.scalar(None, values.type), values)
    return values.cast(reading.type), Counter({Oddity(reading.name, what): number} if number else {})
