"""Which days exist, and how far they are from 1970."""

import numpy as np

from schemas.fixed_width import Booleans, Integers

_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LEAP_DAY = 229
# From the first of March of year 0.
_DAYS_TO_1970 = 719_468


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


def days_since_1970(ymd: Integers) -> Integers:
    """Return the days from 1970-01-01 to legal YYYYMMDD numbers, in the Gregorian calendar throughout.

    Years begin in March here, so that the leap day is the last and month lengths follow one formula.
    """
    years, months, days = ymd // 10_000, ymd // 100 % 100, ymd % 100
    early = months <= 2  # noqa: PLR2004 (January and February belong to the year before)
    years = years - early
    months = months + np.where(early, np.int32(9), np.int32(-3))
    day_of_year = (153 * months + 2) // 5 + days - 1
    return years * 365 + years // 4 - years // 100 + years // 400 + day_of_year - _DAYS_TO_1970
