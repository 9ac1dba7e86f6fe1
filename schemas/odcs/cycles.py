"""How often, how old and how long: the standard's service levels for schedule, freshness and retention."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from croniter import croniter

from schemas.contract import Contract, Freshness
from schemas.schedule import Schedule

_DAYS = {"d": 1, "day": 1, "days": 1, "w": 7, "week": 7, "weeks": 7, "m": 30, "month": 30, "months": 30, "y": 365, "yr": 365, "years": 365}
_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)  # any day will do: only the distance of two runs is asked


def levels(contract: Contract) -> list[dict[str, Any]]:
    """Return the service levels of *contract*, as far as the standard has words for them."""
    kept = {
        "property": "retention",
        "value": contract.retention.history_days,
        "unit": "d",
        "description": "superseded rows are kept so long",
    }
    return [level for level in (_cycle(contract.schedule), _age(contract.gate.freshness, contract.dataset), kept) if level]


def _cycle(schedule: Schedule | None) -> dict[str, Any]:
    if schedule is None or not croniter.is_valid(schedule.cron):
        return {}
    runs = croniter(schedule.cron, _EPOCH)
    first = runs.get_next(datetime)
    apart = runs.get_next(datetime) - first
    unit, length = next(((unit, length) for unit, length in _UNITS if apart >= length), _UNITS[-1])
    return {"property": "frequency", "value": round(apart / length), "unit": unit, "scheduler": "cron", "schedule": schedule.cron}


def _age(freshness: Freshness | None, dataset: str) -> dict[str, Any]:
    if freshness is None:
        return {}
    return {"property": "latency", "value": freshness.hours, "unit": "h", "element": f"{dataset}.{freshness.field}"}


def schedule_of(level: Mapping[str, Any]) -> str | None:
    """Return the cron expression of a service level; ``None`` if it has none the hub understands."""
    written = level.get("schedule")
    cron = level.get("scheduler") in (None, "cron") and isinstance(written, str) and croniter.is_valid(written)
    return str(written) if cron else None


def age_of(level: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return the column whose newest value tells the age of the data, and the hours it may be old; ``None`` if either is not said."""
    column = str(level.get("element") or "").rpartition(".")[2]
    hours = level.get("value") if level.get("unit") in ("h", "hour", "hours") else 24 * (days_of(level) or 0)
    return (column, hours) if column and "," not in column and type(hours) is int and hours > 0 else None


def days_of(level: Mapping[str, Any]) -> int | None:
    """Return the days of a retention; ``None`` if its value or unit is no time the hub understands."""
    value, unit = level.get("value"), _DAYS.get(str(level.get("unit", "d")).lower())
    if type(value) is not int or value < 1 or unit is None:
        return None
    return value * unit
