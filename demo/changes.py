"""What happens in the departments between two days: new rows, changes, late rows, deletions, corrections."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from demo.numbers import (
    FIRST_SEQUENCE,
    Integers,
    citizen_numbers,
    joined,
    mobile_numbers,
    padded,
)
from demo.people import TODAY
from demo.register import Columns, Dataset, as_table
from demo.truth import City


@dataclass(slots=True, kw_only=True)
class Change:
    """How many rows of one dataset a day touched. ``late`` rows are new, but dated before rows already read."""

    new: int = 0
    changed: int = 0
    deleted: int = 0
    late: int = 0
    corrected: int = 0
    mended: int = 0

    def __bool__(self) -> bool:
        """Whether anything happened."""
        return any(asdict(self).values())


class Tomorrow:
    """One dataset on its way to the next day; no row is touched twice in a day."""

    def __init__(self, dataset: Dataset, *, city: City, day: int) -> None:
        """Start from *dataset* as it was the day before *day* (the first change is on day 1)."""
        self.city, self.day = city, day
        self.draw = np.random.default_rng([city.seed, 100 + day])
        self.columns: Columns = {name: np.array(dataset.table[name].to_pylist(), dtype=object) for name in dataset.table.column_names}
        self.change = Change()
        self._dataset, self._sound = dataset, dataset.sound
        self._spoilt, self._faults = dict(dataset.spoilt), dict(dataset.faults)
        self._quarantined = dataset.quarantined
        self._gone: list[Integers] = []

    @property
    def now(self) -> np.datetime64:
        """Noon of the new day, to the second."""
        return np.datetime64(f"{TODAY + self.day}T00:00:00") - 43_200

    def take(self, count: int) -> Integers:
        """Return about *count* rows (by scale, at least one) to which nothing has happened."""
        wanted = max(1, round(count * self.city.scale))
        taken, self._sound = self._sound[:wanted], self._sound[wanted:]
        return taken

    def alter(self, count: int, name: str, change: Callable[[np.ndarray], object], *, stamp: object = None) -> Integers:
        """Change column *name* of about *count* rows; *stamp* goes into ``updated_at``."""
        rows = self.take(count)
        self.columns[name][rows] = change(self.columns[name][rows])
        if stamp is not None:
            self.columns["updated_at"][rows] = stamp
        self.change.changed += len(rows)
        return rows

    def remove(self, count: int) -> None:
        """Delete about *count* rows."""
        rows = self.take(count)
        self._gone.append(rows)
        self.change.deleted += len(rows)

    def mend(self, fault: str, count: int, restore: Callable[[Integers], None]) -> None:
        """Put about *count* of the rows spoilt by *fault* right again."""
        wanted = max(1, round(count * self.city.scale))
        rows, self._spoilt[fault] = self._spoilt[fault][:wanted], self._spoilt[fault][wanted:]
        if len(rows) == 0:
            return
        restore(rows)
        self._faults[fault] -= len(rows)
        self._quarantined -= len(rows)
        self.change.mended += len(rows)

    def add(self, count: int, make: Callable[[Columns], None]) -> int:
        """Add about *count* rows: copies of sound rows that *make* turns into new ones; return how many."""
        rows = self.take(count)
        fresh = {name: values[rows] for name, values in self.columns.items()}
        make(fresh)
        self.columns = {name: np.concatenate([values, fresh[name]]) for name, values in self.columns.items()}
        return len(rows)

    def dataset(self) -> Dataset:
        """Return the dataset as it stands at the end of the day."""
        kept = np.ones(len(next(iter(self.columns.values()))), dtype=bool)
        kept[np.concatenate([np.empty(0, dtype=np.int64), *self._gone])] = False
        places = np.cumsum(kept) - 1
        return replace(
            self._dataset,
            table=as_table({name: values[kept] for name, values in self.columns.items()}),
            sound=places[self._sound],
            spoilt={fault: places[rows] for fault, rows in self._spoilt.items()},
            faults=self._faults,
            quarantined=self._quarantined,
        )


def _household_register(tomorrow: Tomorrow) -> None:
    texts, draw = tomorrow.city.ground.address_texts, tomorrow.draw
    now = tomorrow.now.astype(object)
    tomorrow.alter(120, "residence_address", lambda old: joined(draw.choice(texts, len(old)), "1幢2单元301室"), stamp=now)
    tomorrow.remove(9)
    corrected = tomorrow.take(2)
    _correct(tomorrow, corrected)
    tomorrow.change.corrected = len(corrected)
    tomorrow.mend("citizen_number:citizen_no", 10, lambda rows: _right_check(tomorrow, rows))
    tomorrow.change.new = tomorrow.add(12, lambda fresh: _newborn(tomorrow, fresh, "N", tomorrow.now.astype(object)))
    # Uploaded late by a station: dated an hour before the newest row that the hub has read.
    before = (tomorrow.now - 86_400 - 3_600).astype(object)
    tomorrow.change.late = tomorrow.add(5, lambda fresh: _newborn(tomorrow, fresh, "L", before))


def _correct(tomorrow: Tomorrow, rows: Integers) -> None:
    """Give people another number under the same record: the date of birth had been one day off."""
    columns = tomorrow.columns
    births = columns["birth_date"][rows].astype("datetime64[D]") + 1
    old = columns["citizen_no"][rows].astype(str)
    sequences = np.strings.slice(old, 14, 17).astype(np.int64)
    columns["citizen_no"][rows] = citizen_numbers(np.strings.slice(old, 6), births, sequences)
    columns["birth_date"][rows] = births.astype(object)
    columns["updated_at"][rows] = tomorrow.now.astype(object)


def _right_check(tomorrow: Tomorrow, rows: Integers) -> None:
    """Write the right check character at last."""
    numbers = tomorrow.columns["citizen_no"][rows].astype(str)
    births = tomorrow.columns["birth_date"][rows].astype("datetime64[D]")
    sequences = np.strings.slice(numbers, 14, 17).astype(np.int64)
    tomorrow.columns["citizen_no"][rows] = citizen_numbers(np.strings.slice(numbers, 6), births, sequences)
    tomorrow.columns["updated_at"][rows] = tomorrow.now.astype(object)


def _newborn(tomorrow: Tomorrow, fresh: Columns, letter: str, stamp: object) -> None:
    """Turn copied rows into newborn children of the same households."""
    count, day = len(fresh["record_no"]), tomorrow.day
    births = np.full(count, TODAY + day - 20)
    women = fresh["sex"] == "2"
    first = FIRST_SEQUENCE + (100 if letter == "L" else 0)
    fresh["citizen_no"] = citizen_numbers(fresh["division_code"].astype(str), births, first + 2 * np.arange(count) + ~women).astype(object)
    fresh["record_no"] = joined(letter, padded(np.arange(count) + 1 + day * 10_000, 9)).astype(object)
    fresh["birth_date"] = births.astype(object)
    fresh["full_name"] = np.array([f"{name[0]}新宝" for name in fresh["full_name"]], dtype=object)
    for name in ("former_name", "phone", "death_date", "cancelled_on", "cancel_reason"):
        fresh[name] = np.full(count, None, dtype=object)
    fresh["marital"], fresh["education"], fresh["relation"] = (np.full(count, code, dtype=object) for code in ("10", "90", "20"))
    fresh["updated_at"] = np.full(count, stamp, dtype=object)


def _social_insurance(tomorrow: Tomorrow) -> None:
    stamp = str(tomorrow.now).replace("T", " ")
    tomorrow.alter(150, "pay_base", lambda old: old + 500, stamp=stamp)
    tomorrow.alter(30, "phone", lambda old: mobile_numbers(tomorrow.draw, len(old)), stamp=stamp)
    late = str(tomorrow.now - 86_400 - 7_200).replace("T", " ")
    tomorrow.change.late = tomorrow.add(6, lambda fresh: _another_branch(tomorrow, fresh, late))


def _another_branch(tomorrow: Tomorrow, fresh: Columns, stamp: str) -> None:
    count = len(fresh["record_no"])
    fresh["record_no"] = joined("T", padded(np.arange(count) + 1 + tomorrow.day * 10_000, 9)).astype(object)
    fresh["insurance_type"] = np.full(count, "210", dtype=object)
    fresh["updated_at"] = np.full(count, stamp, dtype=object)


def _business_register(tomorrow: Tomorrow) -> None:
    tomorrow.alter(30, "登记状态", lambda _: "4")
    tomorrow.remove(4)


def _driver_license(tomorrow: Tomorrow) -> None:
    tomorrow.alter(50, "license_status", lambda _: "02")


def _tax_register(tomorrow: Tomorrow) -> None:
    tomorrow.alter(20, "tax_status", lambda _: "05")


HAPPENINGS: dict[str, Callable[[Tomorrow], None]] = {
    "household_register": _household_register,
    "social_insurance": _social_insurance,
    "business_register": _business_register,
    "driver_license": _driver_license,
    "tax_register": _tax_register,
}


def passed(datasets: dict[str, Dataset], *, city: City, day: int) -> tuple[dict[str, Dataset], dict[str, Change]]:
    """Return the datasets at the end of *day*, and what happened to each that changed; nothing is changed in place."""
    after, changes = dict(datasets), {}
    for name, happen in HAPPENINGS.items():
        tomorrow = Tomorrow(datasets[name], city=city, day=day)
        happen(tomorrow)
        after[name], changes[name] = tomorrow.dataset(), tomorrow.change
    return after, changes
