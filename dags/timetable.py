"""A cron timetable that keeps to working days and hours. Registered with Airflow by ``dags.warm``."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from airflow.exceptions import AirflowTimetableInvalid
from airflow.sdk.timezone import coerce_datetime, utcnow
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable

from dags.opening import opening

Moment = Any  # pendulum's DateTime, as Airflow hands it over
_FAR = 20_000  # steps of the cron expression: a minute-wise one passes the longest holiday within 14,000


class OpenTimes(CronTriggerTimetable):
    """The times of a cron expression that lie on the declared days and within the declared hours.

    Missed runs collapse into one: made up for at once where the hours allow it, else at the next time.
    """

    def __init__(self, cron: str, *, timezone: str, days: str, hours: tuple[str, ...]) -> None:
        """Take the days (``all``, ``working``, ``rest``) and hours (each ``22:00-06:00``) that every run must lie in."""
        # What follows from the expression alone (Airflow puts it into words) is worked out once: a thousand jobs share a few.
        self.__dict__.update(vars(_plain(cron, timezone)))
        self._days, self._hours = days, hours
        self._opening = opening(days, hours)

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> "OpenTimes":
        """Return the timetable that :meth:`serialize` described."""
        return cls(data["cron"], timezone=data["zone"], days=data["days"], hours=tuple(data["hours"]))

    def serialize(self) -> dict[str, Any]:
        """Describe the timetable for Airflow's database."""
        return {"cron": self._expression, "zone": str(self._timezone.name), "days": self._days, "hours": list(self._hours)}

    @property
    def summary(self) -> str:
        """What Airflow's interface shows."""
        return " · ".join([self._expression, *([] if self._days == "all" else [f"{self._days} days"]), *self._hours])

    def validate(self) -> None:
        """Refuse a timetable that would never run."""
        super().validate()
        try:
            self._get_next(utcnow())
        except OverflowError as error:
            raise AirflowTimetableInvalid(str(error)) from None

    def next_dagrun_info(self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction) -> DagRunInfo | None:
        """Return the next run; a missed one waits for the hours to come round."""
        found = super().next_dagrun_info(last_automated_data_interval=last_automated_data_interval, restriction=restriction)
        now = utcnow()
        if found is None or restriction.catchup or found.run_after > now or self._allows(now):
            return found
        return DagRunInfo.exact(self._get_next(now))

    def _calc_first_run(self) -> Moment:
        """Let a new job wait for its first time; Airflow would make up for one of up to a tenth of the gap ago."""
        return self._align_to_next(coerce_datetime(utcnow()))

    def _get_next(self, current: Moment) -> Moment:
        return self._allowed(current, super()._get_next)

    def _get_prev(self, current: Moment) -> Moment:
        return self._allowed(current, super()._get_prev)

    def _allowed(self, current: Moment, step: Callable[[Moment], Moment]) -> Moment:
        for _ in range(_FAR):
            current = step(current)
            if self._allows(current):
                return current
        raise OverflowError(f"`{self._expression}` never falls on its days and hours")

    def _allows(self, moment: datetime) -> bool:
        return self._opening.allows(moment.astimezone(self._timezone))


@cache
def _plain(cron: str, timezone: str) -> CronTriggerTimetable:
    return CronTriggerTimetable(cron, timezone=timezone)
