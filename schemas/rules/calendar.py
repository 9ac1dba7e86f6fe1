"""Which days exist."""

import numpy as np

from schemas.rules.fixed import Booleans, Integers

_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LEAP_DAY = 229


def _calendar() -> Booleans:
    """Return a table over MMDD numbers: does the day exist in a leap year?"""
    table = np.zeros(10_000, dtype=np.bool_)
    for month, days in enumerate(_MONTH_DAYS, start=1):
        table[month * 100 + 1 : month * 100 + days + 1] = True
    return table


_DAYS = _calendar()


def legal_days(ymd: Integers) -> Booleans:
    """Say which YYYYMMDD numbers are days of the Gregorian calendar."""
    years, days = ymd // 10_000, ymd % 10_000
    leap = (years % 4 == 0) & ((years % 100 != 0) | (years % 400 == 0))
    return _DAYS[days] & (leap | (days != _LEAP_DAY)) & (years > 0)
