"""Freshness: how old the newest row of a source is by the hub's clock, and whether one of the two clocks is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from connectors.protocol import Connector
from hub.flows.reasons import Reason
from schemas.conform import conform
from schemas.contract import Contract, Freshness


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest value of a contract's freshness field: an instant, a day, or ``None`` where it cannot be read as either."""

    value: datetime | date | None

    def earliest(self, zone: ZoneInfo) -> datetime | None:
        """Return the first moment it can stand for: a day begins at midnight in the business time zone."""
        return self._moment(zone, time.min)

    def latest(self, zone: ZoneInfo) -> datetime | None:
        """Return the last moment it can stand for."""
        return self._moment(zone, time.max)

    def _moment(self, zone: ZoneInfo, of_day: time) -> datetime | None:
        if self.value is None or isinstance(self.value, datetime):
            return self.value
        return datetime.combine(self.value, of_day, zone)


def newest_of(contract: Contract, source: Connector, *, timezone: str) -> Newest | None:
    """Ask *source* for the newest value of the declared field; ``None`` if none is declared or there are no rows."""
    if contract.gate.freshness is None:
        return None
    field = contract.field(contract.gate.freshness.field)
    found = source.newest(field.source_column)
    if found is None:
        return None
    row = pa.RecordBatch.from_pydict({field.source_column: pa.array([found], pa.string())})
    return Newest(value=conform(row, (field,), timezone=timezone).batch.column(0)[0].as_py())


def judge_freshness(newest: Newest | None, declared: Freshness | None, *, now: datetime, zone: ZoneInfo) -> Iterator[Reason]:
    """Yield the reason to hold a batch whose source has gone stale, or whose newest row lies in the future."""
    if newest is None or declared is None:
        return
    first, last = newest.earliest(zone), newest.latest(zone)
    if first is None or last is None:
        yield _unreadable(declared)
    elif first - now > timedelta(minutes=declared.ahead_minutes):
        yield _in_the_future(declared, first, now, zone)
    elif now - last > timedelta(hours=declared.hours):
        yield _stale(declared, newest.value, now - last)


def _stale(declared: Freshness, newest: datetime | date | None, age: timedelta) -> Reason:
    hours = age.total_seconds() / 3600
    return Reason(
        rule="freshness",
        measured=round(hours, 1),
        limit=declared.hours,
        zh=f"源端最新一行（`{declared.field}`）为 {_shown(newest)}，距今 {hours:.1f} 小时，上限 {declared.hours} 小时",
        en=f"the newest row at the source (`{declared.field}`) is of {_shown(newest)}, {hours:.1f} hours old; {declared.hours} are allowed",
        do_zh="向部门核实：上报是否中断、前置库同步是否停止。确无变化则放行",
        do_en="ask the department whether its system or the copy of it stopped being filled. If nothing changed there, release the batch",
    )


def _in_the_future(declared: Freshness, newest: datetime, now: datetime, zone: ZoneInfo) -> Reason:
    ahead = (newest - now).total_seconds() / 60
    return Reason(
        rule="clock",
        measured=round(ahead),
        limit=declared.ahead_minutes,
        zh=f"源端最新一行（`{declared.field}`）在未来：比中心时钟快 {ahead:.0f} 分钟，上限 {declared.ahead_minutes} 分钟；"
        f"中心时钟为 {_shown(now.astimezone(zone))}",
        en=f"the newest row at the source (`{declared.field}`) lies in the future: {ahead:.0f} minutes ahead of the hub's clock, "
        f"{declared.ahead_minutes} are allowed; the hub's clock says {_shown(now.astimezone(zone))}",
        do_zh="先核对中心与源系统的时钟和时区，再找出填错日期的行；时钟有误则作废并重新运行",
        do_en="compare the clocks and time zones of the hub and the source, then look for a row with a wrong date. "
        "If a clock is wrong, set it, discard the batch and run the job again",
    )


def _unreadable(declared: Freshness) -> Reason:
    return Reason(
        rule="freshness",
        measured="unreadable",
        limit=declared.hours,
        zh=f"源端 `{declared.field}` 的最大值不是可读的时间，无法判断新旧",
        en=f"the greatest value of `{declared.field}` at the source is no readable time, so nothing can be said of its age",
        do_zh="请部门更正该字段，或在契约中改用另一字段",
        do_en="let the department correct the field, or declare another one in the contract",
    )


def _shown(moment: datetime | date | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else str(moment)


def hub_now() -> datetime:
    """Return the hub's clock."""
    return datetime.now(UTC)
