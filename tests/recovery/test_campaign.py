"""Killed with SIGKILL before each statement of publishing and anywhere in reading, on real databases, a job leaves what an uninterrupted one leaves.

The register changes from day to day. An uninterrupted succession of days is told once; then the days are lived through again,
each day's run is killed at another point and run again, and after each day the hub must hold what it held then.
``HUB_CAMPAIGN=short`` draws a few points, otherwise publishing is killed before every statement.
"""

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.flows.conftest import Row, Town
from tests.recovery.conftest import Driver, Ended, Kill, at_rest, last_batch, told
from tests.recovery.days import days
from tests.recovery.departments import Department

pytestmark = [pytest.mark.xdist_group("recovery"), pytest.mark.services]

SHORT = os.environ.get("HUB_CAMPAIGN") == "short"
MODES = {"full": "full", "increments": "incremental, cursor: changed", "in parts": "full, parts: 3"}
SEED = 20261122
SEEN = ("now", "history", "spine", "view", "feed", "versions", "watermark")  # what readers of the library see, and where it stands


@dataclass(frozen=True)
class Point:
    """Where a run is killed: in which phase, before which step, or after how many seconds."""

    phase: str
    step: int = 0
    seconds: float = 0.0


@dataclass
class Campaign:
    """One department's register, the hub, and the driver whose runs are killed."""

    fresh: Callable[..., Town]
    driver: Driver
    department: Department
    count: Callable[[Kill], None]
    mode: str

    def begin(self) -> Town:
        """An empty hub, and the department as its source."""
        return self.fresh(MODES[self.mode], self.department)

    def uninterrupted(self, register: list[list[Row]]) -> Iterator[tuple[dict[str, object], list[str], list[str], float]]:
        """Live through the days in peace; for each, what the hub tells, the steps of staging and of publishing, and the seconds of both."""
        town = self.begin()
        for rows in register:
            before = last_batch(town)
            self.department.fill(rows)
            began = time.perf_counter()
            staged = self.driver.run("stage", "register")
            assert staged.code == 0, staged.said
            published = self.driver.run("publish", staged.said)
            assert published.code == 0, published.said
            seconds = time.perf_counter() - began
            yield told(town, since=before), staged.steps, published.steps, seconds

    def day(self, town: Town, rows: list[Row], point: Point, *, expected: dict[str, object], steps: list[str]) -> None:
        """One day: its run is killed at *point*, and run again as Airflow would or as `hub sync` would."""
        before = last_batch(town)
        self.department.fill(rows)
        began = time.perf_counter()
        seen = told(town)
        killed, batch = self._killed(point)
        assert point.seconds or killed.signal == signal.SIGKILL, f"{point} of {len(steps)} steps was not reached: {killed.said}"
        left = [told(town)[name] for name in SEEN]
        retried = ("publish", batch) if batch is not None and point.step % 2 else ("sync", "register")
        again = self.driver.again(*retried)
        where = f"{self.mode}, killed at {point} ({steps[point.step - 1] if point.step else 'anywhere'}), then {retried[0]}"
        assert again.code == 0, f"{where}: {again.said}"
        assert left in ([seen[name] for name in SEEN], [expected[name] for name in SEEN]), f"{where}: half of it was seen"
        found = told(town, since=before)
        # A run after the commit publishes once more, and finds nothing to change.
        twice = retried[0] == "sync" and len(found["published"]) == 2  # type: ignore[arg-type]
        for name in expected.keys() - ({"published", "checked", "proved", "quarantined"} if twice else set()):
            assert found[name] == expected[name], f"{where}: {name}"
        assert not twice or ("END" in (last := steps[point.step - 1 :]) and "COMMIT" not in last), f"{where}: published twice"
        assert at_rest() == [], where
        if not killed.signal:
            return  # it had ended by itself before its moment came
        statement = re.sub(r"b\d+_", "b_", steps[point.step - 1]) if point.step else ""
        self.count(
            Kill(
                source=self.department.connector,
                mode=self.mode,
                phase=point.phase,
                step=statement,
                seconds=time.perf_counter() - began,
            )
        )

    def _killed(self, point: Point) -> tuple[Ended, str | None]:
        if point.seconds:
            return self.driver.killed_after(point.seconds, "sync", "register"), None
        if point.phase.startswith("reading"):
            return self.driver.run("stage", "register", kill_at=point.step), None
        batch = self.driver.run("stage", "register")
        assert batch.code == 0, batch.said
        return self.driver.run("publish", batch.said, kill_at=point.step), batch.said


@pytest.fixture(params=MODES)
def campaign(
    request: pytest.FixtureRequest, fresh: Callable[..., Town], driver: Driver, department: Department, count: Callable[[Kill], None]
) -> Campaign:
    """The campaign in one mode of reading, against one server."""
    return Campaign(fresh, driver, department, count, request.param)


def drawn(points: list[Point], number: int, seed: int) -> list[Point]:
    """Draw *number* of *points*, in their order."""
    return [points[place] for place in sorted(random.Random(seed).sample(range(len(points)), min(number, len(points))))]


def points(staging: list[str], publishing: list[str], *, seconds: float) -> list[Point]:
    """Choose where to strike: publishing before each statement, staging at drawn steps (most of them read or write rows) and moments."""
    chance = random.Random(SEED)
    published = [Point("publishing", step) for step in range(1, len(publishing) + 1)]
    rows = [step for step, what in enumerate(staging, start=1) if what == "read" or "ingest" in what]
    read = [Point("reading", step) for step in sorted({*chance.sample(rows, 12), *chance.sample(range(1, len(staging) - 20), 8)})]
    anywhere = [Point("any moment", seconds=chance.uniform(0.1, 0.7) * seconds) for _ in range(8)]
    return drawn(published, 2, SEED) + drawn(read, 1, SEED) + anywhere[:1] if SHORT else published + read + anywhere


@pytest.fixture(scope="module")
def in_peace() -> dict[str, list[dict[str, object]]]:
    """What the hub tells of each day, by mode: of whichever server comes first, for the other holds the same rows.

    Where they are read in parts, each server has its own: it cuts its table elsewhere, and positions tell the part.
    """
    return {}


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_killed_every_day_and_run_again_nothing_is_lost_and_nothing_is_twice(
    campaign: Campaign, in_peace: dict[str, list[dict[str, object]]]
) -> None:
    register = list(days(200, seed=SEED))
    lived = campaign.uninterrupted(register)
    (first, *_), (second, staging, publishing, seconds) = next(lived), next(lived)
    chosen = points(staging, publishing, seconds=seconds)
    alike = campaign.mode if "parts" not in MODES[campaign.mode] else f"{campaign.mode} of {campaign.department.connector}"
    if alike not in in_peace:
        in_peace[alike] = [first, second, *(next(lived)[0] for _ in chosen[1:])]
    expected = in_peace[alike]
    assert [first, second] == expected[:2]

    town = campaign.begin()
    campaign.department.fill(register[0])
    assert campaign.driver.run("sync", "register").code == 0
    assert told(town) == first
    for rows, point, whole in zip(register[1:], chosen, expected[1:], strict=False):
        campaign.day(town, rows, point, expected=whole, steps=publishing if point.phase == "publishing" else staging)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_a_killed_first_load_is_loaded_whole(campaign: Campaign) -> None:
    if campaign.mode != "full":
        pytest.skip("a first load reads everything, whatever the mode")
    (rows,) = days(1, seed=SEED)
    ((whole, staging, publishing, seconds),) = campaign.uninterrupted([rows])
    for point in points(staging, publishing, seconds=seconds):
        steps = publishing if point.phase == "publishing" else staging
        campaign.day(campaign.begin(), rows, point, expected=whole, steps=steps)
