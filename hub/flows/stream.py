"""The one streaming step: read, conform, judge, protect. Plaintext lives in this process's memory and nowhere else."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors.protocol import Connector, Window
from hub.flows.ahead import ahead
from hub.flows.inventory import Inventory
from hub.flows.keys import keyring
from hub.flows.keysets import NONE, among
from hub.flows.naturals import natural_keys
from hub.flows.shares import Share, with_derived_columns
from masking.fingerprints import Tags, key_tags
from masking.keys import Key
from masking.quarantine import as_sent, seal_rows
from schemas.conform import Conformed, conform
from schemas.contract import Contract, Severity
from schemas.rules.checks import FAILS, Check, Verdicts, judge
from schemas.vocabulary import Kind


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
    """One stretch of rows after the step, with tags of their keys where others are asked about them later.

    ``shares`` holds, per share, the protected rows that the library does not know yet, and those without a subject;
    ``unchanged`` counts the others. ``keys`` are of all rows that have one, ``staged`` and ``absent`` of the accountable share.
    """

    read: int
    shares: tuple[pa.RecordBatch, ...]
    unchanged: tuple[int, ...]
    quarantined: pa.RecordBatch
    verdicts: Verdicts
    positions: NDArray[np.int64]
    keys: Tags
    subjects: Mapping[int, Tags]
    staged: Tags
    absent: Tags
    broken: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """Sorted tags of what breaks a set-level rule: row keys by check id, subjects by check id and number of the share."""

    keys: Mapping[str, Tags] = field(default_factory=dict)
    subjects: Mapping[str, tuple[int, Tags]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is any doubt."""
        return any(map(len, self.keys.values())) or any(len(tags) for _, tags in self.subjects.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Rows that are read together: their window, the position of the first, its place among all verdicts, and what is known of them."""

    window: Window
    start: int = 0
    place: int = 0
    known: Doubts = field(default_factory=Doubts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A check that fields name a subject which exists: the kinds of its key, the sorted tags of the keys that exist."""

    check: Check
    kinds: tuple[Kind, ...]
    existing: Tags

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that refer, one for each part of the subject's key."""
        return self.check.fields[: len(self.kinds)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How one batch's rows are taken in. ``single`` numbers the shares whose subjects must be single."""

    contract: Contract
    shares: tuple[Share, ...]
    single: tuple[int, ...]
    accountable: int
    checks: tuple[Check, ...]
    inventories: tuple[Inventory, ...]
    references: tuple[Reference, ...]
    owners: Mapping[str, tuple[str, pa.Array, int | None]]
    contexts: tuple[str, ...]
    quarantine_key: Key
    batch: int
    today: date
    timezone: str
    seconds: Seconds

    def take(self, source: Connector, stretch: Stretch, doubts: Doubts) -> Iterator[Taken]:
        """Yield the rows of *stretch* in the source's order, protected and judged, while the next are being read."""
        for start, raw in self._numbered(source, stretch):
            began = time.perf_counter()
            conformed = self._conformed(raw)
            seen = self._seen(conformed)
            self.seconds.of("conform", began)
            yield self._taken(raw, conformed, seen, doubts, np.arange(start, start + raw.num_rows))

    def doubtful_keys(self, source: Connector, stretch: Stretch, doubts: Doubts) -> Iterator[pa.Array]:
        """Read *stretch* again and yield the row keys of the rows in doubt."""
        for _, seen, _, _, rows in self._in_doubt(source, stretch, doubts):
            yield seen.row_keys.filter(pa.array(rows)).drop_null()

    def take_again(self, source: Connector, stretch: Stretch, keys: Tags, known: Doubts) -> Iterator[tuple[Taken, Taken]]:
        """Read *stretch* again and yield the rows with *keys* alone: as they were taken before, and with what is *known* now."""
        for start, _, raw, conformed, rows in self._in_doubt(source, stretch, Doubts(keys={"taken back": keys})):
            chosen = pa.array(rows)
            some = Conformed(conformed.batch.filter(chosen), {name: one.filter(chosen) for name, one in conformed.failures.items()})
            given = (raw.filter(chosen), some, self._seen(some))
            positions = start + np.flatnonzero(rows)
            yield self._taken(*given, stretch.known, positions), self._taken(*given, known, positions)

    def _in_doubt(
        self, source: Connector, stretch: Stretch, doubts: Doubts
    ) -> Iterator[tuple[int, "_Seen", pa.RecordBatch, Conformed, NDArray[np.bool_]]]:
        for start, raw in self._numbered(source, stretch):
            conformed = self._conformed(raw)
            seen = self._seen(conformed)
            held = np.logical_and.reduce(list(self._doubted(seen, doubts).values()))
            if not held.all():
                yield start, seen, raw, conformed, ~held

    def _numbered(self, source: Connector, stretch: Stretch) -> Iterator[tuple[int, pa.RecordBatch]]:
        start = stretch.start
        for raw in ahead(self._read(source, stretch.window)):
            yield start, raw
            start += raw.num_rows

    def _read(self, source: Connector, window: Window) -> Iterator[pa.RecordBatch]:
        began = time.perf_counter()
        for raw in source.read([each.source_column for each in self.contract.fields], window):
            self.seconds.of("read", began)
            yield raw
            began = time.perf_counter()

    def _conformed(self, raw: pa.RecordBatch) -> Conformed:
        conformed = conform(raw, self.contract.fields, timezone=self.timezone)
        return Conformed(with_derived_columns(conformed.batch, self.contract), conformed.failures)

    def _seen(self, conformed: Conformed) -> "_Seen":
        row_keys = self.shares[0].protection.row_keys(conformed.batch)
        subjects = {number: self.shares[number].protection.subject_keys(conformed.batch) for number in self.single}
        return _Seen(
            row_keys=row_keys, keys=self._tags(row_keys), subjects={number: (keys, self._tags(keys)) for number, keys in subjects.items()}
        )

    def _tags(self, keys: pa.Array) -> Tags:
        return key_tags(keys, self.shares[0].protection.checksum_key)

    def _taken(self, raw: pa.RecordBatch, conformed: Conformed, seen: "_Seen", doubts: Doubts, positions: NDArray[np.int64]) -> Taken:
        began = time.perf_counter()
        verdicts = judge(conformed, self.checks, today=self.today, supplied=self._supplied(conformed, seen, doubts))
        failing = verdicts.failing_rows(Severity.ERROR)
        began = self.seconds.of("rules", began)
        broken = pc.any(failing).as_py()
        valid = conformed.batch.filter(pc.invert(failing)) if broken else conformed.batch
        protected, unchanged, staged, absent = self._protected(valid)
        began = self.seconds.of("protect", began)
        quarantined = self._quarantined(raw, conformed, verdicts, failing, seen.row_keys, positions)
        self.seconds.of("quarantine", began)
        return Taken(
            read=len(positions),
            shares=protected,
            unchanged=unchanged,
            quarantined=quarantined,
            verdicts=verdicts,
            positions=positions,
            keys=seen.keys,
            subjects={number: tags for number, (_, tags) in seen.subjects.items()},
            staged=staged,
            absent=absent,
            broken=self._tags(quarantined.column("row_key")) if broken else NONE,
        )

    def _protected(self, valid: pa.RecordBatch) -> tuple[tuple[pa.RecordBatch, ...], tuple[int, ...], Tags, Tags]:
        shares, unchanged, staged, absent = [], [], NONE, NONE
        for number, share in enumerate(self.shares):
            identified = share.protection.identify(valid, context=self.contexts[number])
            # Where the latest row of a subject is picked, all of them are compared anew.
            known = self.inventories[number].knows(identified.row_hashes) & (share.pick is None)
            fresh = pa.array(~known)
            rows = identified.filter(fresh) if known.any() else identified
            shares.append(share.protect(valid.filter(fresh) if known.any() else valid, rows))
            unchanged.append(int(known.sum()))
            if number == self.accountable:
                speaking = rows.subject_keys.is_valid()
                staged = self._tags(rows.row_keys.filter(speaking))
                absent = self._tags(rows.row_keys.filter(pc.invert(speaking)))
        return tuple(shares), tuple(unchanged), staged, absent

    def _supplied(self, conformed: Conformed, seen: "_Seen", doubts: Doubts) -> dict[str, pa.BooleanArray]:
        given = {name: pa.array(held) for name, held in self._doubted(seen, doubts).items()}
        for one in self.references:
            named = natural_keys([conformed.batch.column(name) for name in one.fields], one.kinds, keyring())
            given[one.check.id] = pa.array(_placed(among(self._tags(named), one.existing), named, absent=True))
        for name, (column, allowed, first) in self.owners.items():
            values = conformed.batch.column(column)
            part = pc.utf8_slice_codeunits(values, 0, first) if first else values
            given[name] = pc.is_in(part, value_set=allowed)
        given[f"{self.contract.key[0]}.null_key"] = seen.row_keys.is_valid()
        return given

    def _doubted(self, seen: "_Seen", doubts: Doubts) -> dict[str, NDArray[np.bool_]]:
        """Return, by check, whether each row holds: a row without the value in question does."""
        found = {name: _placed(~among(seen.keys, tags), seen.row_keys, absent=True) for name, tags in doubts.keys.items()}
        for name, (number, tags) in doubts.subjects.items():
            keys, own = seen.subjects[number]
            found[name] = _placed(~among(own, tags), keys, absent=True)
        return found

    def _quarantined(
        self,
        raw: pa.RecordBatch,
        conformed: Conformed,
        verdicts: Verdicts,
        failing: pa.BooleanArray,
        row_keys: pa.Array,
        positions: NDArray[np.int64],
    ) -> pa.RecordBatch:
        places = pc.indices_nonzero(failing)
        where = pa.array(positions[places.to_numpy()])
        given = {each.name: raw.column(each.source_column) for each in self.contract.fields}
        rows = as_sent(conformed.batch.select(list(given)), given, conformed.failures, places)
        count = len(places)
        return pa.RecordBatch.from_pydict(
            {
                "batch": pa.repeat(pa.scalar(self.batch, pa.int64()), count),
                "dataset": pa.repeat(pa.scalar(self.contract.dataset), count),
                "position": where,
                "row_key": row_keys.take(places),
                "key_is_token": pa.repeat(pa.scalar(self.shares[0].row_key.sensitive), count),
                "checks": _broken(verdicts, places),
                "sealed": seal_rows(rows, where, self.quarantine_key, str(self.batch)),
                "key_version": pa.repeat(pa.scalar(self.quarantine_key.version, pa.int32()), count),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Keys of a stretch of rows with the tags of those that are not null; subjects by number of their share."""

    row_keys: pa.Array
    keys: Tags
    subjects: Mapping[int, tuple[pa.Array, Tags]]


def _placed(found: NDArray[np.bool_], values: pa.Array, *, absent: bool) -> NDArray[np.bool_]:
    """Return what was *found* for the values that are there at their places among all; elsewhere *absent*."""
    if not values.null_count:
        return found
    placed = np.full(len(values), absent)
    placed[values.is_valid().to_numpy(zero_copy_only=False)] = found
    return placed


def _broken(verdicts: Verdicts, places: pa.Array) -> pa.Array:
    """Return, for each quarantined row, the ids of the checks it breaks (errors first in the contract's order)."""
    ids = [check.id for check in verdicts.checks]
    failing = (verdicts.matrix[:, places.to_numpy()] == FAILS).T
    return pa.array([[ids[place] for place in row.nonzero()[0]] for row in failing], pa.list_(pa.string()))
