"""Cursor values as text, in the source's own form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from hub.errors import Mistake

# A date, or a date and a time, in the forms that departments' systems print.
_TIME = re.compile(
    r"(?P<day>\d{4}(?P<mark>[-/.]?)\d{2}(?P=mark)\d{2})"
    r"(?:(?P<gap>[T ]?)(?P<clock>\d{2}(?P<colon>:?)\d{2}(?:(?P=colon)\d{2})?)(?P<fraction>[.,]\d{1,9})?)?"
    r"(?P<zone>Z| ?[+-]\d{2}(?::?\d{2})?)?"
)


def earlier(value: str, seconds: int) -> str:
    """Return the time *seconds* before *value*, written as *value* is written.

    A date without a clock goes back to the start of the day in which the earlier moment lies.
    The zone, if any, is kept. ``Mistake`` if *value* is not a time; it is not quoted.
    """
    found = _TIME.fullmatch(value.strip())
    moment = _moment(found) if found else None
    if found is None or moment is None:
        raise Mistake(
            "`late_seconds` is declared, but the cursor of this source is not a time",
            remedy="remove `late_seconds` from the contract's `sync`, or name a cursor that is a date or a time",
        )
    return _written(moment - timedelta(seconds=seconds), found)


def _moment(found: re.Match[str]) -> datetime | None:
    day = re.sub(r"\D", "", found["day"])
    clock = re.sub(r"\D", "", found["clock"] or "").ljust(6, "0")
    micro = (found["fraction"] or ".0")[1:7].ljust(6, "0")
    # Strict: a bare eight- or fourteen-digit number is a time only where it is a likely one.
    if not "1900" <= day[:4] <= "2199":
        return None
    try:
        return datetime.strptime(day + clock + micro, "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def _written(moment: datetime, found: re.Match[str]) -> str:
    mark, colon = found["mark"], found["colon"] or ""
    text = moment.strftime(f"%Y{mark}%m{mark}%d")
    if not found["clock"]:
        return text + (found["zone"] or "")
    seconds = f"{colon}%S" if len(re.sub(r"\D", "", found["clock"])) > len("HHMM") else ""
    text += (found["gap"] or "") + moment.strftime(f"%H{colon}%M{seconds}")
    if found["fraction"]:
        # Digits beyond microseconds are dropped: that is earlier, never later.
        text += found["fraction"][0] + f"{moment.microsecond:06d}"[: len(found["fraction"]) - 1].ljust(len(found["fraction"]) - 1, "0")
    return text + (found["zone"] or "")
