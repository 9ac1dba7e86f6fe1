"""The hub's clock may not run backwards: times that are recorded would contradict their order."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from hub.errors import Unavailable
from hub.settings import settings

TOLERANCE = timedelta(minutes=5)
_LATEST = sa.text(
    "SELECT id, greatest(started_at, ended_at) AS at, now() AS server FROM (SELECT * FROM hub.batch ORDER BY id DESC LIMIT 1000) newest "
    "ORDER BY at DESC LIMIT 1"
)


def require_clock(connection: sa.Connection, *, now: datetime | None = None) -> None:
    """Raise :class:`Unavailable` if this machine's clock (*now*), or the database's, stands before the last recorded time.

    No window depends on it: cursors are compared with what the source gave. But ages, allowed hours and records do.
    """
    latest = connection.execute(_LATEST).one_or_none()
    if latest is None:
        return
    clocks = {"this machine": now or datetime.now(UTC), "the hub database": latest.server}
    zone = ZoneInfo(settings().timezone)
    for whose, says in clocks.items():
        if latest.at - says > TOLERANCE:
            raise Unavailable(
                f"the clock of {whose} was set back: it says {says.astimezone(zone):%Y-%m-%d %H:%M:%S}, "
                f"and batch {latest.id} was recorded at {latest.at.astimezone(zone):%Y-%m-%d %H:%M:%S} (时钟被回拨)",
                remedy="set the clock (NTP), then run the job again; nothing was read and nothing is lost",
            )
