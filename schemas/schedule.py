"""A contract's timetable as it is declared: a cron expression, kinds of days, hours."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

from schemas.declared import Declared
from schemas.opening import HOURS


class Days(StrEnum):
    """On which days a timetable holds: all, working days, or the others."""

    ALL = "all"
    WORKING = "working"
    REST = "rest"


class Schedule(Declared):
    """When a job runs: at the times of ``cron`` that lie on ``days`` and within ``hours``, in the business time zone.

    A cron expression alone may be written instead. The source's own ``hours`` hold besides.
    Runs that were missed are made up for by one.
    """

    cron: Annotated[str, StringConstraints(min_length=1)]
    days: Days = Days.ALL
    hours: Annotated[str, StringConstraints(pattern=HOURS)] | None = None

    def __str__(self) -> str:
        """Give the timetable in one line, for lists."""
        days = {Days.ALL: None, Days.WORKING: "工作日 working days", Days.REST: "休息日 rest days"}[self.days]
        return ", ".join(filter(None, [self.cron, days, self.hours]))


def _written_out(given: object) -> object:
    return {"cron": given} if isinstance(given, str) else given


AsWritten = Annotated[
    Schedule, BeforeValidator(_written_out, json_schema_input_type=Annotated[str, StringConstraints(min_length=1)] | Schedule)
]
