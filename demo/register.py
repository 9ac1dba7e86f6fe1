"""A department's table in the making, with the faults planted in it counted as they are planted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from demo.numbers import Days, Integers, Texts
from schemas.contract import Severity
from schemas.rules import RULES

Values = NDArray[Any]  # Python objects once in a register: text, numbers, dates and None beside one another
Columns = dict[str, Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a department's system holds, and what is known to be wrong with it.

    ``faults`` counts failing rows by ``rule:field``, ``quarantined`` the rows that fail a rule of severity error;
    ``disagreements`` counts rows by field where this department says something else than the others.
    ``sound`` are positions of rows to which nothing has happened, ``spoilt`` those of each fault.
    """

    table: pa.Table
    faults: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    disagreements: dict[str, int] = field(default_factory=dict)
    sound: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    spoilt: dict[str, Integers] = field(default_factory=dict)
    rows_read_each: int = 1

    @property
    def rows(self) -> int:
        """How many rows the contract's reading of the table has."""
        return int(self.table.num_rows) * self.rows_read_each


class Register:
    """Columns of one length that can be spoilt; no row is spoilt twice, so that the counts are exact."""

    def __init__(self, columns: Mapping[str, Values], *, draw: np.random.Generator, scale: float) -> None:
        """Take *columns* as the truth; *draw* chooses rows, *scale* reduces the counts (never below one)."""
        self.columns: Columns = {name: column(values) for name, values in columns.items()}
        self.faults: dict[str, int] = {}
        self.disagreements: dict[str, int] = {}
        self._quarantined = 0
        self._spoilt: dict[str, Integers] = {}
        self._scale = scale
        self._sound = draw.permutation(len(next(iter(self.columns.values()))))

    def rows(self, count: int, where: Values | None = None) -> Integers:
        """Take about *count* rows that nothing has happened to yet, among those *where* is true."""
        wanted = max(1, round(count * self._scale))
        free = self._sound if where is None else self._sound[where[self._sound].astype(bool)]
        taken = free[:wanted]
        self._sound = self._sound[~np.isin(self._sound, taken)]
        return taken

    def spoil(
        self, fault: str, count: int, change: Callable[[Values], object], where: Values | None = None, name: str | None = None
    ) -> None:
        """Break the rule of *fault* (``rule:field``) in about *count* rows, in column *name* (default: the field's)."""
        rows = self._change(name or fault.rpartition(":")[2], count, change, where)
        self.faults[fault] = self.faults.get(fault, 0) + len(rows)
        if RULES[fault.partition(":")[0]].severity is Severity.ERROR:
            self._quarantined += len(rows)
        self._spoilt.setdefault(fault, rows)

    def differ(self, name: str, count: int, change: Callable[[Values], object], where: Values | None = None) -> None:
        """Let this department say something else in column *name*, in about *count* rows."""
        self.disagreements[name] = len(self._change(name, count, change, where))

    def _change(self, name: str, count: int, change: Callable[[Values], object], where: Values | None) -> Integers:
        rows = self.rows(count, where)
        self.columns[name][rows] = change(self.columns[name][rows])
        return rows

    def repeat(self, fault: str, count: int, change: Callable[[Columns], None] | None = None) -> None:
        """Write about *count* rows a second time, as they are or after *change*: a duplicate."""
        rows = self.rows(count)
        again = {name: values[rows] for name, values in self.columns.items()}
        if change:
            change(again)
        self.columns = {name: np.concatenate([values, again[name]]) for name, values in self.columns.items()}
        self.faults[fault] = 2 * len(rows)  # nobody can say which of the two is right
        self._quarantined += 2 * len(rows)

    def dataset(self) -> Dataset:
        """Return the table as it now stands."""
        return Dataset(
            table=as_table(self.columns),
            faults=self.faults,
            quarantined=self._quarantined,
            disagreements=self.disagreements,
            sound=self._sound,
            spoilt=self._spoilt,
        )


def as_table(columns: Columns) -> pa.Table:
    """Return columns of Python objects as an Arrow table."""
    return pa.table({name: pa.array(values.tolist()) for name, values in columns.items()})


def column(values: Values) -> Values:
    """Return *values* as Python objects: empty text and NaT become None."""
    result = values.astype(object)
    if values.dtype.kind == "U":
        result[values == ""] = None
    if values.dtype.kind == "M":
        result[np.isnat(values)] = None
    return result


def iso(days: Days) -> Texts:
    """Return dates as text YYYY-MM-DD, empty where there is no day."""
    return np.where(np.isnat(days), "", days.astype("<U10"))


def moments(draw: np.random.Generator, count: int, last: np.datetime64, days: int) -> Values:
    """Return *count* instants of the *days* before *last*, to the second."""
    seconds = draw.integers(1, days * 86_400, count)
    return np.full(count, last, dtype="datetime64[s]") - seconds
