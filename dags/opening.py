"""The days and hours a job was declared with, as something to ask. The calendar is read when it is first needed."""

import logging
from datetime import date

from schemas.opening import Opening, calendar_warning

_log = logging.getLogger(__name__)
_told: set[int] = set()


def opening(days: str, hours: tuple[str, ...]) -> Opening:
    """Return which moments *days* (``all``, ``working``, ``rest``) and *hours* allow."""
    match days:
        case "working":
            return Opening(hours, _is_working)
        case "rest":
            return Opening(hours, lambda day: not _is_working(day))
        case _:
            return Opening(hours)


def _is_working(day: date) -> bool:
    from schemas.workdays import working_days  # noqa: PLC0415 (not while parsing)

    calendar = working_days()
    if not calendar.known(day.year) and day.year not in _told:
        _told.add(day.year)
        _log.warning("%s", calendar_warning(calendar.until, day))
    return calendar.is_working(day)
