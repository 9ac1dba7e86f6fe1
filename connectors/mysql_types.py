"""How each MySQL type arrives: exactly, or as text. Values come as the server prints them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from pymysql.constants import FIELD_TYPE, FLAG

from connectors.protocol import Oddity
from connectors.sql import column

BINARY = 63  # the character set number of bytes
_BYTES_PER_CHARACTER = 4  # lengths are told in bytes of the connection's character set, utf8mb4
_WIDEST = 38  # digits of a decimal128
_ZERO_DATE = "zero or impossible date"
_INTEGERS = {
    FIELD_TYPE.TINY: (pa.int8(), pa.uint8()),
    FIELD_TYPE.SHORT: (pa.int16(), pa.uint16()),
    FIELD_TYPE.YEAR: (pa.int16(), pa.uint16()),
    FIELD_TYPE.INT24: (pa.int32(), pa.uint32()),
    FIELD_TYPE.LONG: (pa.int32(), pa.uint32()),
    FIELD_TYPE.LONGLONG: (pa.int64(), pa.uint64()),
}
_TIMES: dict[int, pa.DataType] = {
    FIELD_TYPE.DATE: pa.date32(),
    FIELD_TYPE.NEWDATE: pa.date32(),
    FIELD_TYPE.DATETIME: pa.timestamp("us"),
    FIELD_TYPE.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}
_BYTES = {
    FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.MEDIUM_BLOB,
    FIELD_TYPE.LONG_BLOB,
    FIELD_TYPE.BLOB,
    FIELD_TYPE.VAR_STRING,
    FIELD_TYPE.STRING,
    FIELD_TYPE.VARCHAR,
}


@dataclass(frozen=True, slots=True)
class Described:
    """A column as the server's protocol describes it."""

    name: str
    type_code: int
    charset: int
    flags: int
    length: int
    scale: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How one column is asked for, the type it is handed over in, and whether it can divide a table."""

    name: str
    expression: str
    type: pa.DataType
    divisible: bool = True
    declared: str | None = None


def reading(described: Described) -> Reading:
    """Return how the column is read.

    ``FLOAT`` is asked for as a double, because the server prints it with six digits only; ``BIT`` as a number;
    a geometry as WKB in its own reference system; ``TIME`` (which may exceed a day) and ``JSON`` are text.
    """
    name, code = column(described.name, "`"), described.type_code
    if code in _INTEGERS:
        return Reading(described.name, name, _INTEGERS[code][bool(described.flags & FLAG.UNSIGNED)])
    if code in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
        return Reading(described.name, name, _decimal(described))
    if code == FIELD_TYPE.BIT:
        return Reading(described.name, f"{name} + 0", pa.uint64())
    if code in (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE):
        single = code == FIELD_TYPE.FLOAT
        return Reading(described.name, f"{name} + 0e0" if single else name, pa.float32() if single else pa.float64())
    if code == FIELD_TYPE.GEOMETRY:
        return Reading(described.name, f"ST_AsWKB({name})", pa.binary(), divisible=False)
    if code in _BYTES and described.charset == BINARY:
        return Reading(described.name, name, pa.binary())
    # ENUM and SET are ordered by number and compared as text.
    divisible = not described.flags & (FLAG.ENUM | FLAG.SET) and code != FIELD_TYPE.JSON
    declared = f"varchar({described.length // _BYTES_PER_CHARACTER})" if code in _BYTES else None
    return Reading(described.name, name, _TIMES.get(code, pa.string()), divisible, declared)


def _decimal(described: Described) -> pa.DataType:
    # The display length counts the sign (unless unsigned) and the point (if there is a scale).
    precision = described.length - (described.scale > 0) - (not described.flags & FLAG.UNSIGNED)
    return pa.decimal128(precision, described.scale) if precision <= _WIDEST else pa.string()


def taken(reading: Reading, printed: pa.BinaryArray) -> tuple[pa.Array, Counter[Oddity]]:
    """Return what the server *printed* in its type, and how many dates had to be read as null."""
    if pa.types.is_binary(reading.type):
        return printed, Counter()
    text = printed.cast(pa.string())
    if pa.types.is_date32(reading.type) or pa.types.is_timestamp(reading.type):
        return _times(reading, text)
    return text.cast(reading.type), Counter()


def _times(reading: Reading, text: pa.Array) -> tuple[pa.Array, Counter[Oddity]]:
    kept = pc.if_else(pc.match_substring_regex(text, "^0000|^....-00|^....-..-00"), pa.scalar(None, pa.string()), text)
    try:
        values = kept.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:  # a 31st of February, which ALLOW_INVALID_DATES lets in
        values = pa.array([_time(value) for value in kept.to_pylist()], pa.timestamp("us"))
    lost = values.null_count - text.null_count
    return values.cast(reading.type), Counter({Oddity(reading.name, _ZERO_DATE): lost} if lost else {})


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
