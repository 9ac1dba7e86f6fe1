"""The one streaming step: read, conform, judge, protect. Plaintext lives in this process's memory and nowhere else."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from connectors.protocol import Connector, Window
from hub.flows.ahead import ahead
from hub.flows.shares import Share, with_derived_columns
from masking.keys import Key
from masking.quarantine import seal_rows
from schemas.conform import Conformed, conform
from schemas.contract import Contract, Severity
from schemas.rules.checks import FAILS, Check, Verdicts, judge


@dataclass(slots=True)
class Seconds:
    """Seconds of work per step; steps of different threads overlap."""

    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def of(self, step: str, began: float) -> float:
        """Add what passed since *began* to *step* and return the time now."""
        now = time.perf_counter()
        self.spent[step] += now - began
        return now


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One stretch of rows after the step: protected rows per share, quarantined rows, verdicts."""

    read: int
    shares: tuple[pa.RecordBatch, ...]
    quarantined: pa.RecordBatch
    verdicts: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How one batch's rows are taken in."""

    contract: Contract
    shares: tuple[Share, ...]
    checks: tuple[Check, ...]
    failing_keys: Mapping[str, pa.Array]
    owners: Mapping[str, tuple[str, pa.Array, int | None]]
    quarantine_key: Key
    batch: int
    today: date
    timezone: str
    seconds: Seconds

    def take(self, source: Connector, window: Window) -> Iterator[Taken]:
        """Yield the rows of *window* in the source's order, protected and judged, while the next are being read."""
        position = 0
        for raw in ahead(self._read(source, window)):
            yield self._taken(raw, position)
            position += raw.num_rows

    def _read(self, source: Connector, window: Window) -> Iterator[pa.RecordBatch]:
        began = time.perf_counter()
        for raw in source.read([each.source_column for each in self.contract.fields], window):
            self.seconds.of("read", began)
            yield raw
            began = time.perf_counter()

    def _taken(self, raw: pa.RecordBatch, start: int) -> Taken:
        began = time.perf_counter()
        conformed = conform(raw, self.contract.fields, timezone=self.timezone)
        batch = with_derived_columns(conformed.batch, self.contract)
        row_keys = self.shares[0].protection.row_keys(batch)
        began = self.seconds.of("conform", began)
        verdicts = judge(conformed, self.checks, today=self.today, supplied=self._supplied(conformed, row_keys))
        failing = verdicts.failing_rows(Severity.ERROR)
        began = self.seconds.of("rules", began)
        valid = batch if not pc.any(failing).as_py() else batch.filter(pc.invert(failing))
        protected = tuple(share.protect(valid) for share in self.shares)
        began = self.seconds.of("protect", began)
        quarantined = self._quarantined(conformed, verdicts, failing, row_keys, start)
        self.seconds.of("quarantine", began)
        return Taken(read=raw.num_rows, shares=protected, quarantined=quarantined, verdicts=verdicts.frame(start))

    def _supplied(self, conformed: Conformed, row_keys: pa.Array) -> dict[str, pa.BooleanArray]:
        given = {name: pc.invert(pc.is_in(row_keys, value_set=keys)) for name, keys in self.failing_keys.items()}
        for name, (column, allowed, first) in self.owners.items():
            values = conformed.batch.column(column)
            part = pc.utf8_slice_codeunits(values, 0, first) if first else values
            given[name] = pc.is_in(part, value_set=allowed)
        given[f"{self.contract.key[0]}.null_key"] = row_keys.is_valid()
        return given

    def _quarantined(
        self, conformed: Conformed, verdicts: Verdicts, failing: pa.BooleanArray, row_keys: pa.Array, start: int
    ) -> pa.RecordBatch:
        places = pc.indices_nonzero(failing)
        positions = pc.add(places.cast(pa.int64()), start)
        rows = conformed.batch.take(places)
        count = len(places)
        return pa.RecordBatch.from_pydict(
            {
                "batch": pa.repeat(pa.scalar(self.batch, pa.int64()), count),
                "dataset": pa.repeat(pa.scalar(self.contract.dataset), count),
                "position": positions,
                "row_key": row_keys.take(places),
                "key_is_token": pa.repeat(pa.scalar(self.shares[0].row_key.sensitive), count),
                "checks": _broken(verdicts, places),
                "sealed": seal_rows(rows, positions, self.quarantine_key, str(self.batch)),
                "key_version": pa.repeat(pa.scalar(self.quarantine_key.version, pa.int32()), count),
            }
        )


def _broken(verdicts: Verdicts, places: pa.Array) -> pa.Array:
    """Return, for each quarantined row, the ids of the checks it breaks (errors first in the contract's order)."""
    ids = [check.id for check in verdicts.checks]
    failing = (verdicts.matrix[:, places.to_numpy()] == FAILS).T
    return pa.array([[ids[place] for place in row.nonzero()[0]] for row in failing], pa.list_(pa.string()))
