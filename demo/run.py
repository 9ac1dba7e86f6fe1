"""The main job on the demo city: build the departments' systems, run every job by Airflow, and say what came of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from demo import city
from hub.errors import HubError
from hub.flows import bases, scheduler, sync
from hub.flows.database import ready
from hub.settings import settings
from schemas.declarations import declarations

Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a demo did: the city, how each job ended (``None``: published), and where the seconds went."""

    city: city.CitySummary
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timing(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[step] = time.monotonic() - began


def run(say: Say, *, next_day: bool = False, by_airflow: bool = True, scale: float = 1.0) -> Outcome:
    """Run the demo; every job that can is run, and those that could not are named with their reason."""
    clock = _Clock()
    say("数据库 · the hub's database")
    with clock.timing("database"):
        ready()
    say("示范城市 · the demo city: " + ("one day passes" if next_day else "departments and their systems"))
    with clock.timing("city"):
        made = _city(next_day=next_day, scale=scale)
    with clock.timing("library tables"):
        bases.applied(by="demo")
    outcome = Outcome(city=made, seconds=clock.seconds)
    datasets = sorted(declarations().contracts)
    if by_airflow:
        _by_airflow(datasets, outcome, clock, say)
    else:
        with clock.timing("jobs"):
            outcome.failed |= dict(_inline(datasets, say))
    return outcome


def _city(*, next_day: bool, scale: float) -> city.CitySummary:
    if next_day:
        return city.next_day(settings().state, city.administrator())
    return city.build(settings().state, city.administrator(), scale=scale)


def _by_airflow(datasets: list[str], outcome: Outcome, clock: _Clock, say: Say) -> None:
    """Run each job as a real Airflow run; Airflow starts and stops with the demo."""
    say("Airflow")
    with clock.timing("Airflow start"):
        scheduler.up(timetable=False)
    try:
        with clock.timing("jobs"):
            runs = {dataset: scheduler.trigger(dataset) for dataset in datasets}
            for number, (dataset, run_id) in enumerate(runs.items(), start=1):
                ended = scheduler.wait(dataset, run_id)
                say(f"{number}/{len(runs)} {dataset}: {'ok' if ended.succeeded else ended.reason}")
                if not ended.succeeded:
                    outcome.failed[dataset] = ended.reason or "see Airflow's log"
    finally:
        with clock.timing("Airflow stop"):
            scheduler.down()


def _inline(datasets: list[str], say: Say) -> Iterator[tuple[str, str]]:
    for number, dataset in enumerate(datasets, start=1):
        try:
            sync.sync(dataset, started_by="demo")
        except HubError as error:
            yield dataset, error.problem
        say(f"{number}/{len(datasets)} {dataset}")
