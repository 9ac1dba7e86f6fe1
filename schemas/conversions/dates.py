"""Dates and instants (GB/T 7408, ISO 8601, and how people write them)."""

from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.calendar import days_since_1970, legal_days
from schemas.contract import Field
from schemas.conversions.texts import Read, as_text, none_of, stored_form, tidy, unread
from schemas.fixed_width import Booleans, Fixed, Integers, fixed, flags

INSTANT = pa.timestamp("us", tz="UTC")

# Open-ended validity is null, not unreadable. Some systems write it as the last day of the calendar.
_OPEN_ENDED = pa.array(["长期", "长期有效", "永久", "永久有效"])

_DATE = r"(?P<y>\d{4})\s*[-/.年]\s*(?P<m>\d{1,2})\s*[-/.月]\s*(?P<d>\d{1,2})\s*日?"
_TIME = r"(?:(?:\s+|[Tt])(?P<H>\d{1,2}):(?P<M>\d{1,2})(?::(?P<S>\d{1,2})(?:[.,](?P<f>\d{1,9}))?)?)?"
_OFFSET = r"\s*(?P<o>[Zz]|[+-]\d{2}(?::?\d{2})?)?"
_WRITTEN = rf"^{_DATE}{_TIME}{_OFFSET}$"
_DAY = 86_400_000_000
_SECOND = 1_000_000
_MINUTE = 60_000_000
_LAST = pa.scalar(date(9999, 12, 31))
_SEPARATORS = np.frombuffer(b"-/.", dtype=np.uint8)
_BETWEEN = np.frombuffer(b" T", dtype=np.uint8)
_COLON = ord(":")

Microseconds = npt.NDArray[np.int64]
AnyIntegers = Integers | Microseconds


class _Moments(NamedTuple):
    """What text says of time: local microseconds since 1970, minutes east of Greenwich, and which rows say either."""

    local: Microseconds
    east: Microseconds
    known: Booleans
    placed: Booleans


def dates(values: pa.Array, field: Field, timezone: str) -> Read:  # noqa: ARG001 (one shape for all conversions)
    """Read dates: YYYYMMDD, YYYY-MM-DD (also / or .), YYYY年M月D日, dates and times of any kind.

    An instant becomes the day it has in *timezone*.
    Open-ended validity (长期, 9999-12-31) becomes null without a mark.
    """
    stored = stored_form(values)
    if pa.types.is_date(stored.type):
        return _ended(Read(stored.cast(pa.date32()), none_of(stored)))
    if pa.types.is_timestamp(stored.type):
        return _ended(Read(_local(stored, timezone).cast(pa.date32(), safe=False), none_of(stored)))
    text = _date_text(stored)
    moments = _moments(text)
    if moments.placed.any():
        moments = _moved(moments, timezone)
    days = np.floor_divide(moments.local, _DAY).astype(np.int32)
    read = pa.array(days, pa.int32(), mask=~moments.known).cast(pa.date32())
    return _ended(unread(text, read, _open_ended(text)))


def _open_ended(text: pa.Array) -> pa.BooleanArray:
    return pc.is_in(text, value_set=_OPEN_ENDED)


def _ended(read: Read) -> Read:
    """Return *read* with null for the last day of the calendar, which stands for "no end"."""
    last = pc.equal(read.values, _LAST)
    if not pc.any(last).as_py():
        return read
    return Read(pc.if_else(last, pa.scalar(None, pa.date32()), read.values), read.unreadable)


def _moved(moments: _Moments, timezone: str) -> _Moments:
    """Return *moments* with those that carry an offset moved to *timezone*."""
    exact = pa.array(moments.local - moments.east * _MINUTE, pa.int64()).cast(INSTANT)
    local = _local(exact, timezone).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return moments._replace(local=np.where(moments.placed, local, moments.local))


def timestamps(values: pa.Array, field: Field, timezone: str) -> Read:  # noqa: ARG001 (one shape for all conversions)
    """Read instants as UTC microseconds. A time without an offset is in *timezone*, a date is its midnight there."""
    stored = stored_form(values)
    if pa.types.is_date(stored.type):
        stored = stored.cast(pa.timestamp("us"), safe=False)
    if pa.types.is_timestamp(stored.type):
        return Read(_instant(stored.cast(pa.timestamp("us", stored.type.tz), safe=False), timezone), none_of(stored))
    text = _date_text(stored)
    moments = _moments(text)
    naive = pa.array(moments.local, pa.int64(), mask=~moments.known | moments.placed).cast(pa.timestamp("us"))
    exact = pa.array(moments.local - moments.east * _MINUTE, pa.int64(), mask=~moments.placed).cast(INSTANT)
    read = pc.coalesce(exact, _instant(naive, timezone))
    return unread(text, read, _open_ended(text))


def _local(stamps: pa.Array, timezone: str) -> pa.Array:
    if stamps.type.tz is None:
        return stamps
    return pc.local_timestamp(stamps.cast(pa.timestamp(stamps.type.unit, timezone)))


def _instant(stamps: pa.Array, timezone: str) -> pa.Array:
    """Return the instant of each time; where clocks went back the earlier one, where they jumped the later."""
    if stamps.type.tz is None:
        stamps = pc.assume_timezone(stamps, timezone, ambiguous="earliest", nonexistent="latest")
    return stamps.cast(INSTANT)


def _date_text(stored: pa.Array) -> pa.Array:
    text = as_text(stored)
    if not pc.all(pc.string_is_ascii(text)).as_py():
        text = pc.utf8_normalize(text, "NFKC")
    return tidy(text)


def _moments(text: pa.Array) -> _Moments:
    """Read the common forms as matrices and only what is left with an expression."""
    rows = len(text)
    (local, east), (known, placed) = np.zeros((2, rows), dtype=np.int64), np.zeros((2, rows), dtype=np.bool_)
    moments = _Moments(local, east, known, placed)
    for width, shape in ((8, _compact), (10, _dashed), (19, _timed)):
        written = fixed(text, width)
        if written.fits.any():
            _put(moments, written.fits, shape(written))
    rest = flags(text.is_valid()) & ~moments.known
    if rest.any():
        _read_written(moments, rest, text)
    return moments


class _Written(NamedTuple):
    """What digits say: year, MMDD, microseconds of the day; meaningless in rows that have not the shape."""

    years: AnyIntegers
    days: AnyIntegers
    clock: Microseconds | int
    shaped: Booleans


def _put(moments: _Moments, where: Booleans, written: _Written) -> None:
    years, days = np.where(written.shaped, written.years, 0), np.where(written.shaped, written.days, 0)
    legal = written.shaped & legal_days(years, days)
    midnights = np.where(legal, days_since_1970(years, days), 0).astype(np.int64) * _DAY
    moments.local[where] = midnights + written.clock
    moments.known[where] = legal


def _compact(rows: Fixed) -> _Written:
    _, numeric = rows.digits(0, 8)
    return _Written(rows.number(0, 4), rows.number(4, 8), 0, numeric)


def _timed(rows: Fixed) -> _Written:
    day = _dashed(rows)
    shaped = day.shaped.copy()
    shaped &= np.isin(rows.at[10], _BETWEEN) & (rows.at[13] == _COLON) & (rows.at[16] == _COLON)
    for start in (11, 14, 17):
        shaped &= rows.digits(start, start + 2)[1]
    hour, minute, second = (rows.number(start, start + 2) for start in (11, 14, 17))
    shaped &= _on_a_clock(hour, minute, second)
    clock = ((hour * 60 + minute) * 60 + second).astype(np.int64) * _SECOND
    return _Written(day.years, day.days, clock, shaped)


def _on_a_clock(hour: AnyIntegers, minute: AnyIntegers, second: AnyIntegers) -> Booleans:
    return (hour <= 23) & (minute <= 59) & (second <= 59)  # noqa: PLR2004 (a clock)


def _dashed(rows: Fixed) -> _Written:
    shaped = (rows.at[4] == rows.at[7]) & np.isin(rows.at[4], _SEPARATORS)
    for start, stop in ((0, 4), (5, 7), (8, 10)):
        shaped &= rows.digits(start, stop)[1]
    return _Written(rows.number(0, 4), rows.number(5, 7) * 100 + rows.number(8, 10), 0, shaped)


def _read_written(moments: _Moments, rest: Booleans, text: pa.Array) -> None:
    """Read what is written out, with or without a time of day and an offset."""
    parts = pc.extract_regex(text.filter(pa.array(rest)), _WRITTEN)
    found = flags(parts.is_valid())
    year, month, day, hour, minute, second = (_part(parts, name) for name in "ymdHMS")
    clock = ((hour * 60 + minute) * 60 + second) * _SECOND + _fraction(parts)
    _put(moments, rest, _Written(year, month * 100 + day, clock, found & _on_a_clock(hour, minute, second)))
    east, placed = _offsets(parts)
    moments.east[rest], moments.placed[rest] = east, placed & moments.known[rest]


def _part(parts: pa.StructArray, name: str) -> Microseconds:
    """Return one named number of the expression; zero where it is not written."""
    written = pc.struct_field(parts, name)
    digits = pc.if_else(pc.equal(pc.binary_length(written), 0), "0", written)
    return np.asarray(pc.fill_null(digits, "0").cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def _fraction(parts: pa.StructArray) -> Microseconds:
    written = pc.fill_null(pc.struct_field(parts, "f"), "")
    digits = pc.utf8_slice_codeunits(pc.utf8_rpad(written, 6, "0"), 0, 6)
    return np.asarray(digits.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def _offsets(parts: pa.StructArray) -> tuple[Microseconds, Booleans]:
    """Return minutes east of Greenwich, and which rows say so. Z is zero."""
    written = pc.fill_null(pc.struct_field(parts, "o"), "")
    bare = pc.replace_substring_regex(pc.replace_substring_regex(written, "[Zz]", "+0000"), ":", "")
    digits = pc.utf8_rpad(pc.utf8_slice_codeunits(bare, 1), 4, "0").cast(pa.int64())
    numbers = np.asarray(digits.to_numpy(zero_copy_only=False), dtype=np.int64)
    minutes = numbers // 100 * 60 + numbers % 100
    west = flags(pc.starts_with(bare, "-"))
    return np.where(west, -minutes, minutes), flags(pc.greater(pc.binary_length(written), 0))
