"""Working days against the worked deadlines of the regulation, and what is said when a year is missing."""

from datetime import date, datetime, time, timedelta

import pytest
from pydantic import ValidationError

from hub.settings import REPOSITORY, settings
from schemas.declarations import read_all
from schemas.opening import Opening, calendar_warning, within
from schemas.workdays import WorkYear, working_days


def _after(day: date, working: int) -> date:
    """Count as the Civil Code does: the first day is not counted (民法典 Art. 201)."""
    while working:
        day += timedelta(days=1)
        working -= working_days().is_working(day)
    return day


@pytest.mark.parametrize(
    ("received", "deadlines"),
    [
        ("2025-09-26", {1: "2025-09-28", 2: "2025-09-29", 5: "2025-10-10", 10: "2025-10-16", 20: "2025-10-30"}),
        ("2026-02-11", {1: "2026-02-12", 2: "2026-02-13", 5: "2026-02-25", 10: "2026-03-03"}),
        ("2026-04-29", {1: "2026-04-30", 2: "2026-05-06", 5: "2026-05-09", 10: "2026-05-15", 20: "2026-05-29"}),
        ("2026-09-18", {1: "2026-09-20", 2: "2026-09-21", 5: "2026-09-24", 10: "2026-10-09", 20: "2026-10-22"}),
        ("2026-09-28", {1: "2026-09-29", 2: "2026-09-30", 5: "2026-10-10", 10: "2026-10-16", 20: "2026-10-30"}),
    ],
)
def test_deadlines_fall_where_the_notices_put_them(received: str, deadlines: dict[int, str]) -> None:
    assert {days: _after(date.fromisoformat(received), days).isoformat() for days in deadlines} == deadlines


@pytest.mark.parametrize("year", [2025, 2026])
def test_a_year_has_248_working_days(year: int) -> None:
    days = (date(year, 1, 1) + timedelta(days=passed) for passed in range(365))
    assert sum(map(working_days().is_working, days)) == 248


def test_the_end_of_the_calendar_is_told_in_time_and_in_both_languages() -> None:
    assert calendar_warning(2026, date(2026, 11, 1)) is None
    told = calendar_warning(2026, date(2026, 12, 1))
    assert told is not None
    assert "2027 年的放假调休安排尚未录入" in told
    assert "working days of 2027 are not in" in told


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"rest": ["2026-02-30"]}, "day is out of range"),
        ({"rest": ["2026-05-05/2026-05-01"]}, "the end is before the beginning"),
        ({"rest": ["2025-12-31/2026-01-03"]}, "lies in another year"),
        ({"rest": ["2026-05-09"], "work": ["2026-05-09"]}, "both off and worked"),
    ],
)
def test_a_notice_copied_wrongly_is_a_mistake(given: dict[str, list[str]], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        WorkYear.model_validate({"year": 2026, "notice": "x", **given})


def test_an_organisation_may_keep_its_own_calendar(tmp_path, monkeypatch) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "workdays.yaml").write_text("years:\n  - {year: 2026, notice: own, rest: [2026-03-03]}\n", encoding="utf-8")
    monkeypatch.setenv("HUB_HOME", str(tmp_path))
    settings.cache_clear()
    working_days.cache_clear()
    try:
        assert not working_days().is_working(date(2026, 3, 3))
        assert working_days().is_working(date(2026, 10, 1))
        assert read_all(tmp_path).workdays == working_days()
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        working_days.cache_clear()
    assert read_all(REPOSITORY).workdays == working_days()


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "21:59"]), ("08:30-18:00", ["08:30", "17:59"], ["18:00", "08:29"])],
)
def test_hours_may_pass_midnight_and_their_end_is_outside(hours: str, inside: list[str], outside: list[str]) -> None:
    assert all(within(hours, datetime.combine(date(2026, 3, 2), time.fromisoformat(clock))) for clock in inside)
    assert not any(within(hours, datetime.combine(date(2026, 3, 2), time.fromisoformat(clock))) for clock in outside)


def test_all_hours_and_the_day_must_allow_a_moment() -> None:
    opening = Opening(("22:00-06:00", "00:00-04:00"), working_days().is_working)
    assert opening.allows(datetime(2026, 9, 20, 3, 0))  # a Sunday that is worked
    assert not opening.allows(datetime(2026, 10, 1, 3, 0))
    assert not opening.allows(datetime(2026, 9, 21, 23, 0))
