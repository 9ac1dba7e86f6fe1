"""The demo city: an invented city whose departments each keep their own system, with known faults in it.

The same seed and scale give the same city on any machine. A city that stands already is left untouched.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from psycopg.conninfo import make_conninfo

from demo.changes import Change, passed
from demo.register import Dataset
from demo.registers import ORIGINS, registers
from demo.systems import database_label, write_database, write_files
from demo.truth import City, city
from hub.database import embedded
from hub.database.passwords import password

VERSION = 6
SEED = 20_260_901


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSummary:
    """What one dataset holds: rows as its contract reads them, how many must be quarantined and why, where it disagrees.

    ``faults`` counts failing rows by ``rule:field``; warnings are among them, but quarantine nothing.
    """

    rows: int
    quarantined: int
    faults: dict[str, int] = field(default_factory=dict)
    disagreements: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CitySummary:
    """The truth about a city: tests compare it with what the hub finds. ``day`` counts from 0, the day it was built."""

    version: int
    seed: int
    scale: float
    day: int
    persons: int
    organisations: int
    licenses: int
    datasets: dict[str, DatasetSummary]
    changes: dict[str, Change] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What marks the database as this city's on this day."""
        return f"demo city: version {self.version}, seed {self.seed}, scale {self.scale}, day {self.day}"

    def is_of(self, seed: int, scale: float) -> bool:
        """Whether this is the city of *seed* and *scale*, on whatever day."""
        return (self.version, self.seed, self.scale) == (VERSION, seed, scale)


def administrator() -> str:
    """Return the connection string of the embedded server's administrator; the server must be up."""
    return make_conninfo(host=str(embedded.status().socket), user="postgres", password=password("postgres"), dbname="postgres")


def build(state: Path, administrator: str, *, seed: int = SEED, scale: float = 1.0) -> CitySummary:
    """Build the departments' systems below ``state/demo`` and in the database ``city``, and tell what they hold.

    A city of the same seed and scale that stands already, on whatever day, is left untouched.
    *administrator* is a connection string that may create roles and databases.
    """
    standing = summary(state)
    if standing and standing.is_of(seed, scale) and database_label(administrator) == standing.label:
        return standing
    return _write(state, administrator, seed=seed, scale=scale, day=0)


def next_day(state: Path, administrator: str) -> CitySummary:
    """Let one day pass in the city below *state* (built first if there is none) and tell what happened."""
    today = summary(state) or build(state, administrator)
    return _write(state, administrator, seed=today.seed, scale=today.scale, day=today.day + 1)


def summary(state: Path) -> CitySummary | None:
    """Return what is known of the city below *state*; None if there is none, or an older version's."""
    try:
        known = json.loads(_marker(state).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if known.get("version") != VERSION:
        return None
    known["datasets"] = {name: DatasetSummary(**each) for name, each in known["datasets"].items()}
    known["changes"] = {name: Change(**each) for name, each in known["changes"].items()}
    return CitySummary(**known)


def on_day(truth: City, day: int) -> tuple[dict[str, Dataset], dict[str, Change]]:
    """Return every dataset as it stands on *day*, and what the last day brought; nothing is written."""
    datasets = registers(truth)
    changes: dict[str, Change] = {}
    for each in range(1, day + 1):
        datasets, changes = passed(datasets, city=truth, day=each)
    return datasets, changes


def _write(state: Path, administrator: str, *, seed: int, scale: float, day: int) -> CitySummary:
    truth = city(seed, scale)
    datasets, changes = on_day(truth, day)
    result = summarised(truth, datasets, changes, day)
    touched = set(changes) or set(ORIGINS)
    _marker(state).unlink(missing_ok=True)  # half a city is none
    write_files(state / "demo", {name: each.table for name, each in datasets.items() if _shares_a_file(name, touched)})
    write_database(administrator, {name: datasets[name].table for name in ORIGINS if name in touched}, result.label)
    _marker(state).write_text(json.dumps(asdict(result), ensure_ascii=False, indent=1), encoding="utf-8")
    return result


def _shares_a_file(name: str, touched: set[str]) -> bool:
    return ORIGINS[name].system.file in {ORIGINS[each].system.file for each in touched}


def summarised(truth: City, datasets: dict[str, Dataset], changes: dict[str, Change], day: int) -> CitySummary:
    """Return the summary of *datasets* on *day*."""
    return CitySummary(
        version=VERSION,
        seed=truth.seed,
        scale=truth.scale,
        day=day,
        persons=len(truth.people),
        organisations=len(truth.organisations),
        licenses=sum(len(each) for each in truth.licenses),
        datasets={
            name: DatasetSummary(rows=each.rows, quarantined=each.quarantined, faults=each.faults, disagreements=each.disagreements)
            for name, each in datasets.items()
        },
        changes={name: change for name, change in changes.items() if change},
    )


def _marker(state: Path) -> Path:
    return state / "demo" / "city.json"
