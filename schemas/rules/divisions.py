"""Administrative divisions with their history (GB/T 2260), as python-stdnum carries them.

The list is read from ``stdnum/cn/loc.dat`` at run time and never copied.
Its years are those in which a code was assigned and abolished; days are not known.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from schemas.fixed_width import Booleans, Integers

CODES = 1_000_000
_PROVINCE = re.compile(r'^(\d{2}) province="([^"]*)"')
_PLACE = re.compile(r'^\s+(\d{4}) county="([^"]*)"')
_PERIOD = re.compile(r"(?:\[(\d{4})?-(\d{4})?\])?([^,\[]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One name of one code: from the year ``since`` (None: from the start) to the year ``until`` (None: still)."""

    code: str
    name: str
    since: int | None
    until: int | None


@cache
def divisions() -> tuple[Division, ...]:
    """Return every division that ever had a code, in order of code, then of time."""
    text = files("stdnum").joinpath("cn/loc.dat").read_text(encoding="utf-8")
    return tuple(_parsed(text))


def _parsed(text: str) -> Iterator[Division]:
    province = ""
    for line in text.splitlines():
        if heading := _PROVINCE.match(line):
            province = heading[1]
        elif place := _PLACE.match(line):
            yield from _periods(province + place[1], place[2])


def _periods(code: str, names: str) -> Iterator[Division]:
    for since, until, name in _PERIOD.findall(names):
        last = int(until) if until else None
        first = int(since) if since else None
        # A few entries start after they end (abolished before the first national list): they held in neither year.
        if first and last and first > last:
            first = None
        yield Division(code=code, name=name.strip(), since=first, until=last)


@cache
def known_codes() -> Booleans:
    """Return a table over all six-digit numbers: is it, or was it ever, a division?"""
    table = np.zeros(CODES, dtype=np.bool_)
    table[[int(division.code) for division in divisions()]] = True
    return table


@cache
def last_years() -> Integers:
    """Return a table over all six-digit numbers: the last year of its last name, 9999 while it is in force."""
    table = np.zeros(CODES, dtype=np.int32)
    for division in divisions():
        code = int(division.code)
        table[code] = max(table[code], division.until or 9999)
    return table
