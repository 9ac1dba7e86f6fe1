"""Citizen numbers (GB 11643-1999) and the residence permits that have their form.

One layout for three documents: six characters of place, eight of birth date, three of sequence, one check character.
81, 82 and 83 begin the permits of Hong Kong, Macao and Taiwan residents (State Council General Office 2018 No. 81),
9 begins the foreigner's permanent residence card of 2023.
The 15-digit form of before 1999 has a two-digit year and no check character.
"""

from datetime import date
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from schemas.calendar import legal_days
from schemas.contract import Severity
from schemas.fixed_width import Booleans, Bytes, Fixed, Integers, fixed, spread, verdict
from schemas.rules.divisions import known_codes
from schemas.rules.registry import rule

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = np.frombuffer(b"10X98765432", dtype=np.uint8)
_OLDEST = 150
_LONG = 18
_CENTENARIANS = 996
_FOREIGNERS = 900_000
_RESIDENCE = (810_000, 820_000, 830_000)


@rule("citizen_number", zh="公民身份号码有效", en="The citizen number is valid")
def citizen_number(values: pa.Array, *, today: date) -> pa.BooleanArray:
    """Hold for a citizen number that can exist (GB 11643-1999 clauses 4 and 5, ISO 7064 MOD 11-2).

    18 characters: digits, a birth date that exists and is not after *today*, the right check character.
    15 digits: a birth date in 19YY, and a sequence below 996
    (996 to 999 were centenarians of the 1800s, whose century the form cannot say).
    The place is not judged here: codes of abolished divisions stay in the number for life.
    """
    long, short = fixed(values, 18), fixed(values, 15)
    return verdict(values, spread(long, _long(long, today)) | spread(short, _short(short, today)))


def _long(rows: Fixed, today: date) -> Booleans:
    digits, numeric = rows.digits(0, 17)
    written = np.where(rows.at[17] == ord("x"), np.uint8(ord("X")), rows.at[17])
    return numeric & (written == check_characters(digits)) & _born_by(_birth(rows, numeric), today)


def _short(rows: Fixed, today: date) -> Booleans:
    _, numeric = rows.digits(0, 15)
    return numeric & _born_by(_birth(rows, numeric), today) & (rows.number(12, 15) < _CENTENARIANS)


class _Birth(NamedTuple):
    """Year and MMDD of birth, zero where the digits are none, and which of them are days that exist."""

    years: Integers
    days: Integers
    legal: Booleans


def _birth(rows: Fixed, numeric: Booleans) -> _Birth:
    """Read the birth in an 18-digit number, or in a 15-digit one, whose years are of the 1900s."""
    long = rows.at.shape[0] == _LONG
    years = rows.number(6, 10) if long else rows.number(6, 8) + 1900
    days = rows.number(10, 14) if long else rows.number(8, 12)
    years, days = np.where(numeric, years, 0), np.where(numeric, days, 0)
    return _Birth(years, days, legal_days(years, days))


def _born_by(birth: _Birth, today: date) -> Booleans:
    return birth.legal & (birth.years * 10_000 + birth.days <= _ymd(today))


def _ymd(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def check_characters(digits: Bytes) -> Bytes:
    """Return the check character of each column of 17 digit values (ISO 7064 MOD 11-2)."""
    total = np.zeros(digits.shape[1], dtype=np.uint16)
    for values, weight in zip(digits, _WEIGHTS, strict=True):
        total += values.astype(np.uint16) * np.uint16(weight)
    return _CHECKS[total % 11]


def births(values: pa.Array) -> _Birth:
    """Return year and MMDD of birth in each citizen number, and which rows have one that exists."""
    years, days = np.zeros((2, len(values)), dtype=np.int32)
    birth = _Birth(years, days, np.zeros(len(values), dtype=np.bool_))
    for width, stop in ((_LONG, 14), (15, 12)):
        rows = fixed(values, width)
        _, numeric = rows.digits(6, stop)
        for whole, part in zip(birth, _birth(rows, numeric), strict=True):
            whole[rows.fits] = part
    return birth


def sequences_odd(values: pa.Array) -> tuple[Booleans, Booleans]:
    """Return whether the sequence of each citizen number is odd (male), and which rows have one."""
    odd = np.zeros(len(values), dtype=np.bool_)
    known = np.zeros(len(values), dtype=np.bool_)
    for width, place in ((18, 16), (15, 14)):
        rows = fixed(values, width)
        digits, numeric = rows.digits(place, place + 1)
        odd[rows.fits], known[rows.fits] = digits[0] % 2 == 1, numeric
    return odd, known


@rule("citizen_age_plausible", zh="年龄不超过150岁", en="The age is at most 150 years", severity=Severity.WARNING)
def citizen_age_plausible(values: pa.Array, *, today: date) -> pa.BooleanArray:
    """Hold for a citizen number whose bearer is at most 150 years old; not judged without a birth date.

    Ours, no standard's: the example of GB 11643 itself was born in 1880.
    """
    years, days, known = births(values)
    return verdict(values, years * 10_000 + days > _ymd(today) - (_OLDEST + 1) * 10_000, judged=known)


@cache
def _places_of_birth() -> Booleans:
    """Return a table over all six-digit numbers: can a citizen number begin with it?"""
    table = known_codes().copy()
    table[list(_RESIDENCE)] = True
    return table


@rule("citizen_division_known", zh="身份号码地址码曾经存在", en="The number's division has existed", severity=Severity.WARNING)
def citizen_division_known(values: pa.Array) -> pa.BooleanArray:
    """Hold if the first six digits are or were a division (GB/T 2260) or a residence permit's 81, 82, 83 0000.

    Not judged: numbers that begin with 9 (foreigners) and text of another length.
    """
    holds = np.zeros(len(values), dtype=np.bool_)
    judged = np.zeros(len(values), dtype=np.bool_)
    for width in (18, 15):
        rows = fixed(values, width)
        _, numeric = rows.digits(0, 6)
        places = np.where(numeric, rows.number(0, 6), 0)
        holds[rows.fits] = _places_of_birth()[places]
        judged[rows.fits] = numeric & (places < _FOREIGNERS)
    return verdict(values, holds, judged=judged)
