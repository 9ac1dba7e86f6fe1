"""Which days exist, and how far they are from 1970: look-ups by year and by the number MMDD.

Division is what makes calendar arithmetic slow, so every year from 0 to 9999 is worked out once.
"""

import numpy as np

from schemas.fixed_width import Booleans, Integers

_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2
_MMDD = 10_000
_NO_DAY = -1

_YEARS = np.arange(10_000, dtype=np.int32)
_LEAP = (_YEARS % 4 == 0) & ((_YEARS % 100 != 0) | (_YEARS % 400 == 0))
# 719,528 days lie between the first days of the years 0 and 1970.
_NEW_YEARS = (np.concatenate([[0], np.cumsum(np.where(_LEAP, 366, 365))[:-1]]) - 719_528).astype(np.int32)


def _days_of_year(*, leap: bool) -> Integers:
    """Return the day of the year, from 0, for every MMDD number; -1 where there is no such day."""
    table = np.full(_MMDD, _NO_DAY, dtype=np.int32)
    passed = 0
    for month, usual in enumerate(_MONTH_DAYS, start=1):
        days = usual + (leap and month == _FEBRUARY)
        table[month * 100 + 1 : month * 100 + days + 1] = np.arange(passed, passed + days)
        passed += days
    return table


# Common years, then leap years.
_DAYS = np.concatenate([_days_of_year(leap=False), _days_of_year(leap=True)])
_LEAP_OFFSETS = np.where(_LEAP, _MMDD, 0).astype(np.int32)


def legal_days(years: Integers, days: Integers) -> Booleans:
    """Say which years (0 to 9999) and MMDD numbers are days of the Gregorian calendar; the year 0 has none."""
    return (_DAYS[_LEAP_OFFSETS[years] + days] != _NO_DAY) & (years > 0)


def days_since_1970(years: Integers, days: Integers) -> Integers:
    """Return the days from 1970-01-01 to legal days, in the Gregorian calendar throughout."""
    return _NEW_YEARS[years] + _DAYS[_LEAP_OFFSETS[years] + days]
