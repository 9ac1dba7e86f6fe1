"""Working days: Monday to Friday, but for what the State Council's yearly notice moves (放假调休).

The notice of a year comes out in November of the year before, so the calendar is data (``schemas/workdays.yaml``;
a file of the same name in ``HUB_HOME`` stands before the shipped one). A year without a notice is never guessed in silence.
"""

import logging
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import Annotated

from pydantic import Field as Setting
from pydantic import StringConstraints, field_validator, model_validator

from hub.settings import REPOSITORY, settings
from schemas.declared import Declared
from schemas.opening import CALENDAR
from schemas.reading import read

_SATURDAY = 5
_log = logging.getLogger(__name__)

Stretch = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}(/\d{4}-\d{2}-\d{2})?$")]


class WorkYear(Declared):
    """What the notice of one year moves: days off (a day or ``first/last``), and weekend days that are worked."""

    year: int = Setting(ge=2000, le=2100)
    notice: str
    rest: tuple[Stretch, ...] = ()
    work: tuple[Stretch, ...] = ()

    @field_validator("rest", "work")
    @classmethod
    def _are_days(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for stretch in given:
            _days(stretch)
        return given

    @model_validator(mode="after")
    def _stays_in_its_year(self) -> "WorkYear":
        rest, work = set(_all(self.rest)), set(_all(self.work))
        if any(day.year != self.year for day in rest | work):
            raise ValueError(f"a day of {self.year} lies in another year")
        if both := rest & work:
            raise ValueError(f"{min(both)} is both off and worked")
        return self


class WorkingDays(Declared):
    """The calendar of working days, year by year."""

    years: tuple[WorkYear, ...] = Setting(min_length=1)

    def known(self, year: int) -> bool:
        """Whether the notice of *year* is in."""
        return any(one.year == year for one in self.years)

    @property
    def until(self) -> int:
        """The last year of an unbroken row of years that are in."""
        years = sorted(one.year for one in self.years)
        return next((year for year in years if year + 1 not in years), years[-1])

    def is_working(self, day: date) -> bool:
        """Whether *day* is worked. In a year that is not in, Monday to Friday are: warn (``schemas.opening``)."""
        return day in self._worked() or (day.weekday() < _SATURDAY and day not in self._off())

    def _off(self) -> frozenset[date]:
        return _moved(tuple(stretch for one in self.years for stretch in one.rest))

    def _worked(self) -> frozenset[date]:
        return _moved(tuple(stretch for one in self.years for stretch in one.work))


def _days(stretch: str) -> Iterator[date]:
    first, _, last = stretch.partition("/")
    start, end = date.fromisoformat(first), date.fromisoformat(last or first)
    if end < start:
        raise ValueError(f"{stretch}: the end is before the beginning")
    return (start + timedelta(days=passed) for passed in range((end - start).days + 1))


def _all(stretches: tuple[str, ...]) -> Iterator[date]:
    return (day for stretch in stretches for day in _days(stretch))


@cache
def _moved(stretches: tuple[str, ...]) -> frozenset[date]:
    return frozenset(_all(stretches))


@cache
def working_days() -> WorkingDays:
    """Return the calendar in force, read once; the shipped one where the organisation's own does not read (`hub check` says why)."""
    for file in (root / CALENDAR for root in (settings().home, REPOSITORY)):
        if not file.is_file():
            continue
        found = read(file, WorkingDays, shown_as=CALENDAR)[0]
        if found is not None:
            return found
        _log.warning("%s has mistakes and is passed over: run `hub check`", CALENDAR)
    return WorkingDays(years=(WorkYear(year=2000, notice="none"),))
