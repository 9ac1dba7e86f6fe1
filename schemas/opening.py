"""When something may run: clock hours and kinds of days. Pure, and cheap to import: Airflow does so at every parse."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

HOURS = r"^([01]\d|2[0-4]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d$"
ALWAYS = "00:00-24:00"
CALENDAR = "schemas/workdays.yaml"
# The notice of 2026 was given on 4 November 2025 (国办发明电〔2025〕7号): by December there is no excuse.
_NOTICE_DAYS = 45


def within(hours: str, clock: datetime) -> bool:
    """Whether the wall clock *clock* lies in *hours* (``22:00-06:00`` passes midnight); the end does not belong to it."""
    start, end = hours.split("-")
    now = clock.strftime("%H:%M")
    return start <= now < end if start <= end else now >= start or now < end


@dataclass(frozen=True, slots=True)
class Opening:
    """Which moments are allowed: inside all of ``hours`` and, if ``is_working`` is given, on a working day."""

    hours: tuple[str, ...] = ()
    is_working: Callable[[date], bool] | None = None

    def allows(self, clock: datetime) -> bool:
        """Whether the wall clock *clock* is allowed. A day is the calendar day of the moment, also after midnight."""
        return all(within(hours, clock) for hours in self.hours) and (self.is_working is None or self.is_working(clock.date()))


def calendar_warning(known_until: int, today: date) -> str | None:
    """Say that the calendar of working days ends soon or has ended; ``None`` while it reaches far enough."""
    if (today + timedelta(days=_NOTICE_DAYS)).year <= known_until:
        return None
    missing = known_until + 1
    return (
        f"{missing} 年的放假调休安排尚未录入，暂按周一至周五为工作日 · the working days of {missing} are not in: "
        f"Monday to Friday are taken. Add the State Council's notice to {CALENDAR}"
    )
