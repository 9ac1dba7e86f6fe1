"""Generalisation: a value becomes the name of the group it falls into.

| how | from | gives |
|---|---|---|
| year, decade | date | ``1990`` (integer) |
| quarter, month | date | ``1990-Q1``, ``1990-03`` |
| age_band | date | ``30-34``: age in five-year bands on the reference date |
| band_<n> | number | lower end of its band of width n (integer) |
| prefix_<n> | code | its first n characters |

A value that cannot be read never passes: it becomes null, and the caller counts it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from hub.errors import Mistake
from masking.columns import Column, is_text, only, whole
from masking.encodings import text

_AGE_WIDTH: Final = 5
_OLDEST: Final = 150
_NAMED: Final = re.compile(r"(?P<name>[a-z_]+?)(?:_(?P<number>[1-9][0-9]{0,8}))?")


@dataclass(frozen=True, slots=True)
class _Wanted:
    number: int
    on: date | None


def generalise(values: Column, how: str, *, on: date | None = None) -> pa.Array:
    """Return the group of each value, in order; nulls and unreadable values are null.

    *on* is the reference date of ``age_band``. An unknown *how*, or a column it cannot apply to, is a ``Mistake``.
    """
    found = _NAMED.fullmatch(how)
    name = found["name"] if found else ""
    takes_number = name in ("band", "prefix")
    if name not in _HOWS or takes_number != bool(found and found["number"]):
        raise Mistake(f"there is no generalisation {how!r}", remedy=f"choose one of {', '.join(KNOWN)}")
    wanted = _Wanted(int(found["number"]) if found and takes_number else 0, on)
    return _HOWS[name](whole(values), wanted)


def _year(values: pa.Array, _: _Wanted) -> pa.Array:
    return pc.year(_dates(values)).cast(pa.int32())


def _decade(values: pa.Array, _: _Wanted) -> pa.Array:
    years = pc.year(_dates(values))
    return pc.multiply(pc.floor(pc.divide(pc.cast(years, pa.float64()), 10.0)), 10.0).cast(pa.int32())


def _month(values: pa.Array, _: _Wanted) -> pa.Array:
    return pc.utf8_slice_codeunits(_dates(values).cast(pa.string()), 0, 7)


def _quarter(values: pa.Array, _: _Wanted) -> pa.Array:
    days = _dates(values)
    return pc.binary_join_element_wise(pc.year(days).cast(pa.string()), pc.quarter(days).cast(pa.string()), "-Q")


def _age_band(values: pa.Array, wanted: _Wanted) -> pa.Array:
    if wanted.on is None:
        raise Mistake("age_band needs a reference date", remedy="generalise to year instead, or give the date")
    days, on = _dates(values), wanted.on
    born = pc.add(pc.multiply(pc.month(days), 100), pc.day(days))
    had_birthday = pc.less_equal(born, on.month * 100 + on.day)
    ages = pc.subtract(pc.subtract(on.year, pc.year(days)), pc.if_else(had_birthday, 0, 1))
    plausible = pc.and_(pc.greater_equal(ages, 0), pc.less_equal(ages, _OLDEST))
    low = pc.multiply(pc.divide(ages, _AGE_WIDTH), _AGE_WIDTH)
    high = pc.add(low, _AGE_WIDTH - 1)
    named = pc.binary_join_element_wise(low.cast(pa.string()), high.cast(pa.string()), "-")
    return only(named, plausible)


def _band(values: pa.Array, wanted: _Wanted) -> pa.Array:
    numbers = pc.cast(values, pa.float64()) if _is_number(values.type) else _numbers(values)
    numbers = pc.if_else(pc.less(pc.abs(numbers), float(1 << 53)), numbers, pa.scalar(None, pa.float64()))
    bands = pc.floor(pc.divide(numbers, float(wanted.number)))
    return pc.multiply(bands, float(wanted.number)).cast(pa.int64())


def _prefix(values: pa.Array, wanted: _Wanted) -> pa.Array:
    codes = text(values)
    long_enough = pc.greater_equal(pc.utf8_length(codes), wanted.number)
    return only(pc.utf8_slice_codeunits(codes, 0, wanted.number), long_enough)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _numbers(values: pa.Array) -> pa.Array:
    if not is_text(values.type):
        raise Mistake(f"a column of type {values.type} has no bands", remedy="choose a generalisation for its type")
    texts = text(values)
    readable = pc.match_substring_regex(texts, r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$")
    return pc.if_else(readable, texts, pa.scalar(None, texts.type)).cast(pa.float64())


def _dates(values: pa.Array) -> pa.Array:
    """Return *values* as dates; text is read as ``1990-03-01`` or ``19900301``."""
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        return _local_dates(values)
    if not is_text(values.type):
        raise Mistake(f"a column of type {values.type} holds no dates", remedy="choose a generalisation for its type")
    digits = pc.replace_substring(text(values), pattern="-", replacement="")
    shaped = pc.match_substring_regex(text(values), r"^[0-9]{4}(-[0-9]{2}-[0-9]{2}|[0-9]{4})$")
    digits = pc.if_else(shaped, digits, pa.scalar(None, digits.type))
    read = pc.strptime(digits, format="%Y%m%d", unit="s", error_is_null=True).cast(pa.date32())
    # Some parsers turn 30 February into 1 March: what does not come back as it was is no date.
    same = pc.equal(pc.replace_substring(read.cast(pa.string()), pattern="-", replacement=""), digits)
    return only(read, same)


def _local_dates(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        values = pc.local_timestamp(values)
    return pc.floor_temporal(values, unit="day").cast(pa.date32())


_HOWS: Final[dict[str, Callable[[pa.Array, _Wanted], pa.Array]]] = {
    "year": _year,
    "decade": _decade,
    "month": _month,
    "quarter": _quarter,
    "age_band": _age_band,
    "band": _band,
    "prefix": _prefix,
}
KNOWN: Final = ("year", "decade", "month", "quarter", "age_band", "band_<n>", "prefix_<n>")
