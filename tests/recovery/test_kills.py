"""A job killed anywhere and run again leaves what an uninterrupted run leaves (DESIGN, section 4)."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.conftest import Town
from tests.recovery.conftest import Driver, told
from tests.recovery.days import broken, person

pytestmark = pytest.mark.xdist_group("recovery")

LATER = "2026-02-01 00:00:00"
FIRST = [person(1), person(2), person(3), broken(8), person(4), person(5), broken(9)]
# One stays, one changes, one is deleted, one is corrected, one comes, one breaks, one is mended, one stays broken.
SECOND = [
    person(1), person(2, name="李四", changed=LATER), person(4, sequence=77, changed=LATER), broken(5, changed=LATER),
    person(6, changed=LATER), person(8, changed=LATER), broken(9),
]  # fmt: skip
SCENARIOS = {
    "a first load": ("full", [FIRST]),
    "a change": ("full", [FIRST, SECOND]),
    "an increment": ("incremental, cursor: changed", [FIRST, SECOND]),
}
REPEATED = {"published", "proved", "checked", "quarantined"}  # what says how often a job ran


def prepared(fresh: Callable[[str], Town], driver: Driver, scenario: str) -> Town:
    """The town just before the run that will be killed."""
    mode, days = SCENARIOS[scenario]
    town = fresh(mode)
    for rows in days[:-1]:
        town.fill("police", rows)
        assert driver.run("sync", "register").code == 0
    town.fill("police", days[-1])
    return town


STRIKES = {
    "a first load": lambda steps: [at for at, step in enumerate(steps, start=1) if "ingest" in step][3],  # rows are on their way
    "a change": lambda steps: [at for at, step in enumerate(steps, start=1) if step == "COMMIT"][
        -1
    ],  # all of it is done, none of it counts
    "an increment": len,  # all of it counts, and nobody was told
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_killed_job_that_runs_again_leaves_what_an_uninterrupted_one_leaves(
    fresh: Callable[[str], Town], driver: Driver, scenario: str
) -> None:
    town = prepared(fresh, driver, scenario)
    whole = driver.run("sync", "register")
    assert whole.code == 0, whole.said
    expected = told(town)
    town = prepared(fresh, driver, scenario)

    assert driver.run("sync", "register", kill_at=STRIKES[scenario](whole.steps)).signal == signal.SIGKILL
    assert driver.again("sync", "register").code == 0

    found = told(town)
    if scenario == "an increment":  # it ran again after its commit: published twice, and the second time nothing changed
        expected, found = ({name: state[name] for name in state.keys() - REPEATED} for state in (expected, found))
    assert found == expected


def test_a_publishing_killed_after_its_commit_is_told_as_done(fresh: Callable[[str], Town], driver: Driver) -> None:
    town = prepared(fresh, driver, "a change")
    batch = int(driver.run("stage", "register").said)
    assert driver.run("publish", batch).code == 0
    expected = told(town)

    again = driver.again("publish", batch)

    assert (again.code, told(town)) == (0, expected)


def test_of_two_runs_at_once_one_runs_and_the_other_is_told_to_come_back(
    fresh: Callable[[str], Town], driver: Driver, tmp_path: Path
) -> None:
    town = prepared(fresh, driver, "a change")
    gate = tmp_path / "waits"
    first = driver.start("sync", "register", wait_at=30, file=str(gate))
    while not gate.exists():
        pass

    second = driver.run("sync", "register")
    gate.unlink()

    assert (second.code, "running already" in second.said) == (3, True)
    assert driver.end(first).code == 0
    assert town.all("SELECT state, count(*) AS batches FROM hub.batch GROUP BY 1") == [{"state": "published", "batches": 2}]


@pytest.mark.parametrize("wait_at", range(1, 4))
def test_a_batch_published_by_another_meanwhile_stays_published(
    fresh: Callable[[str], Town], driver: Driver, tmp_path: Path, wait_at: int
) -> None:
    town = prepared(fresh, driver, "a first load")
    batch = int(driver.run("stage", "register").said)
    gate = tmp_path / "waits"
    late = driver.start("publish", batch, wait_at=wait_at, file=str(gate))
    while not gate.exists():
        pass
    first = driver.run("publish", batch)
    gate.unlink()

    ended = driver.end(late)

    assert {first.code, ended.code} <= {0, 3}
    assert town.all("SELECT state FROM hub.batch") == [{"state": "published"}]
    assert len(town.all("SELECT FROM hub.library_version WHERE cause = 'publish'")) == 1


def test_a_paused_job_starts_nowhere(fresh: Callable[[str], Town], driver: Driver) -> None:
    from hub.flows import jobs

    town = prepared(fresh, driver, "a first load")
    jobs.pause("register", by="test", reason="the source is being moved")

    ended = driver.run("sync", "register")

    assert (ended.code, "the source is being moved" in ended.said) == (1, True)
    assert town.all("SELECT FROM hub.batch") == []
    jobs.resume("register", by="test")
    assert driver.run("sync", "register").code == 0


def test_a_job_outside_its_hours_is_put_off_and_leaves_nothing(fresh: Callable[[str], Town], driver: Driver) -> None:
    town = prepared(fresh, driver, "a first load")
    source = town.home / "connectors" / "sources" / "police.yaml"
    text = source.read_text(encoding="utf-8")
    source.write_text(text + "hours: 00:00-00:00\n", encoding="utf-8")

    ended = driver.run("sync", "register")

    assert ended.code == 3
    assert town.all("SELECT state FROM hub.batch") == [{"state": "discarded"}]
    source.write_text(text, encoding="utf-8")
    assert driver.run("sync", "register").code == 0
