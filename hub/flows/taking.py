"""Taking a source's rows into staging: read, checked, protected, and accounted for, in one step and one process.

A full read needs one pass: tags of the keys it meets tell what is doubled and what is gone. An increment is preceded
by a pass over the keys alone, because the rows outside its window have keys too.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from connectors.protocol import Connector, Part, Window
from hub.database.arrow import answer
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Rejected
from hub.flows import gates
from hub.flows.ahead import ahead
from hub.flows.inventory import Inventory, inventory_of
from hub.flows.keypass import Keys, key_pass
from hub.flows.keys import keyring
from hub.flows.keysets import Gathered, among, distinct, repeated, union, without
from hub.flows.part_record import POSITIONS_PER_PART, PartTaken
from hub.flows.progress import Progress
from hub.flows.runs import Run, accountable, single_shares
from hub.flows.shares import context_of
from hub.flows.staging import Names, Stage
from hub.flows.stream import Doubts, Reference, Seconds, Stream, Stretch, Taken
from hub.settings import settings
from libraries.layout import layout_of
from libraries.views import quoted
from masking.fingerprints import KeyChecksum, Tags, key_tags
from schemas.rules.checks import Check, Verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was taken in, and what the library must hold when it is published.

    ``before`` and ``expected`` are of the accountable share's table, ``source`` of all distinct keys at the source.
    """

    outcome: gates.Outcome
    rows: int
    without_key: int
    repeated: int
    unchanged: dict[str, int]
    source: KeyChecksum
    before: KeyChecksum
    expected: KeyChecksum


class Taking:
    """One batch on its way from its source into staging."""

    def __init__(self, run: Run, stage: Stage, seconds: Seconds, progress: Progress) -> None:
        """Learn what the library holds of the dataset, and what its rows may refer to."""
        self._run, self._stage, self._seconds, self._progress = run, stage, seconds, progress
        self._key = run.shares[0].protection.checksum_key
        self._timezone = run.declared.sources[run.contract.source].timezone
        self._accountable = accountable(run.shares, run.contract) or 0
        loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inventory")
        self._loading = loader.submit(self._load)
        loader.shutdown(wait=False)
        self._open_keys, self._open_tags = self._open_quarantine()
        self._single = single_shares(run.contract, run.shares)
        self._forget()

    def _load(self) -> tuple[Inventory, ...]:
        began = time.perf_counter()
        loaded = tuple(inventory_of(share.table, self._key) for share in self._run.shares)
        self._seconds.of("inventory", began)
        return loaded

    @property
    def _inventories(self) -> tuple[Inventory, ...]:
        return self._loading.result()

    @cached_property
    def _stream(self) -> Stream:
        return self._streamed(self._run)

    def _forget(self) -> None:
        self._outcome = gates.Outcome()
        self._found, self._staged, self._absent, self._broken = Keys(), Gathered(), Gathered(), Gathered()
        self._unchanged = [0] * len(self._run.shares)

    def take(self, source: Connector, window: Window) -> tuple[Account, Window]:
        """Stage the rows of *window* and return what came of it, with the window that was really read.

        All of it is read where the source has rows that neither the library knows nor the window shows (a row that came in
        with an old cursor value), or that no window can show (the cursor is missing).
        Raise :class:`Rejected` if a row that was read is nowhere.
        """
        if not window.bounded:
            return self._take_all(source), Window()
        began = time.perf_counter()
        contract, shares = self._run.contract, self._run.shares
        keys = key_pass(source, contract, shares, tuple(self._single), timezone=self._timezone, progress=self._progress)
        doubts = self._doubts(keys)
        self._seconds.of("key_pass", began)
        hidden = without(keys.in_no_window.sorted(), self._open_tags)
        if not len(hidden):
            self._read(source, Stretch(window=window), doubts)
            expected = self._expected(keys)
            if not self._unexplained(keys, expected):
                return self._accounted(keys, doubts, expected), window
        self._stage.empty()
        self._forget()
        return self._take_all(source, doubts), Window()

    def take_part(self, source: Connector, number: int, part: Part) -> PartTaken:
        """Stage the rows of one *part*, and return what came of it: rows that share a key are never in two parts."""
        stretch = Stretch(window=Window(part=part), start=number * POSITIONS_PER_PART)
        self._read(source, stretch, Doubts())
        found = self._doubts(self._found)
        if found:
            self._settle(source, [stretch], found, found)
        return PartTaken(
            read=self._outcome.read,
            quarantined=self._outcome.quarantined,
            unchanged=tuple(self._unchanged),
            keys=self._found.keys.sorted(),
            subjects={each: tags.sorted() for each, tags in self._found.subjects.items()},
            staged=self._staged.sorted(),
            absent=self._absent.sorted(),
            broken=self._broken.sorted(),
            verdicts=self._outcome.frame().to_numpy().T if self._outcome.read else None,
        )

    def take_parts(self, source: Connector, parts: Sequence[tuple[Part, PartTaken]]) -> Account:
        """Account for all *parts*, in their order, as for one read; rows of one subject that lie in several are settled now."""
        stretches, apart = [], {number: Gathered() for number in self._single}
        for number, (part, taken) in enumerate(parts):
            known = self._doubts(
                Keys(keys=Gathered([taken.keys]), subjects={each: Gathered([tags]) for each, tags in taken.subjects.items()})
            )
            start = (len(parts) + number) * POSITIONS_PER_PART
            stretches.append(Stretch(window=Window(part=part), start=start, place=self._outcome.read, known=known))
            for each, tags in taken.subjects.items():
                apart[each].add(distinct(tags))
            self._take_over(taken)
        across = self._doubts(Keys(subjects=apart))
        found = self._doubts(self._found)
        if across:
            self._settle(source, stretches, across, found)
        return self._explained(found)

    def _take_over(self, part: PartTaken) -> None:
        self._found.add(part.read, part.keys, dict(part.subjects))
        if part.verdicts is not None:
            self._outcome.frames.append(Verdicts(self._run.checks, part.verdicts).frame(self._outcome.read))
        self._outcome.read += part.read
        self._outcome.quarantined += part.quarantined
        self._unchanged = [count + more for count, more in zip(self._unchanged, part.unchanged, strict=True)]
        for gathered, tags in ((self._staged, part.staged), (self._absent, part.absent), (self._broken, part.broken)):
            gathered.add(tags)

    def take_again(self, source: Connector, spoken_for: Mapping[int, Tags]) -> Account:
        """Stage those rows of *source* that hold now, beside all that the library holds: nothing leaves it, nothing is quarantined.

        *spoken_for* has, by number of the share, the tags of the subjects that other rows speak for.
        """
        contract, shares = self._run.contract, self._run.shares
        keys = key_pass(source, contract, shares, tuple(self._single), timezone=self._timezone, progress=self._progress)
        for number, tags in spoken_for.items():
            keys.subjects.setdefault(number, Gathered()).add(tags)
        doubts = self._doubts(keys)
        for taken in self._stream.take(source, Stretch(window=Window()), doubts):
            self._outcome.add(taken)
            self._write(taken, quarantine=False)
            self._found.add(taken.read, without(np.sort(taken.keys), np.sort(taken.broken)), {})
        held = self._inventories[self._accountable].keys
        keys.keys.add(held)
        keys.keys.add(self._open_tags)
        return self._accounted(keys, doubts, self._expected(keys))

    def _take_all(self, source: Connector, doubts: Doubts | None = None) -> Account:
        everything = Stretch(window=Window())
        self._read(source, everything, doubts or Doubts())
        found = self._doubts(self._found)
        if found and not doubts:
            self._settle(source, [everything], found, found)
        return self._explained(found)

    def _explained(self, doubts: Doubts) -> Account:
        expected = self._expected(self._found)
        if unexplained := self._unexplained(self._found, expected):
            raise Rejected(f"{unexplained} rows of {self._run.contract.dataset} were read and are nowhere", remedy="run the job again")
        return self._accounted(self._found, doubts, expected)

    def _read(self, source: Connector, stretch: Stretch, doubts: Doubts) -> None:
        for taken in ahead(self._stream.take(source, stretch, doubts)):
            self._found.add(taken.read, taken.keys, dict(taken.subjects))
            self._outcome.add(taken)
            self._write(taken)
            self._progress("rows", self._outcome.read)

    def _write(self, taken: Taken, *, quarantine: bool = True) -> None:
        began = time.perf_counter()
        for number, rows in enumerate(taken.shares):
            self._stage.write_share(number, rows)
            self._unchanged[number] += taken.unchanged[number]
        if quarantine:
            self._stage.write("quarantine", taken.quarantined, schema="hub")
        self._staged.add(taken.staged)
        self._absent.add(taken.absent)
        self._broken.add(taken.broken)
        self._seconds.of("write", began)

    def _doubts(self, keys: Keys) -> Doubts:
        checks = {number: check.id for number, check in self._single.items()}
        subjects = {checks[number]: (number, repeated(tags.sorted())) for number, tags in keys.subjects.items()}
        return Doubts(keys={f"{self._run.contract.key[0]}.unique_key": repeated(keys.keys.sorted())}, subjects=subjects)

    def _settle(self, source: Connector, stretches: Sequence[Stretch], doubts: Doubts, known: Doubts) -> None:
        """Take back the rows in doubt, which turned out to break a set-level rule, and judge them by all that is *known*."""
        taken_back = Gathered()
        for keys in (keys for one in stretches for keys in self._stream.doubtful_keys(source, one, doubts)):
            taken_back.add(key_tags(keys, self._key))
            self._stage.write(self._stage.names.doubtful, pa.RecordBatch.from_pydict({"row_key": keys}))
        self._stage.take_back()
        again = distinct(taken_back.sorted())
        self._staged.drop(again)
        self._absent.drop(again)
        for one in stretches:
            for before, now in self._stream.take_again(source, one, again, known):
                self._outcome.correct(before, now, shift=one.place - one.start)
                self._unchanged = [count - fewer for count, fewer in zip(self._unchanged, before.unchanged, strict=True)]
                self._write(now)

    def _unexplained(self, keys: Keys, expected: Tags) -> int:
        """Count the keys of the source that have no row in the library or in staging, for no recorded reason."""
        if accountable(self._run.shares, self._run.contract) is None:
            return 0
        reasons = union(self._broken.sorted(), self._absent.sorted(), self._open_tags)
        left_out = without(distinct(keys.keys.sorted()), expected)
        return len(without(left_out, reasons))

    def _expected(self, keys: Keys) -> Tags:
        """Return the keys that the accountable share's table must have: those that stay and those that come."""
        held = self._inventories[self._accountable].keys
        stays = held[among(held, keys.keys.sorted())]
        return without(union(stays, self._staged.sorted()), self._absent.sorted())

    def _accounted(self, keys: Keys, doubts: Doubts, expected: Tags) -> Account:
        present = distinct(keys.keys.sorted())
        for number, inventory in enumerate(self._inventories):
            gone = inventory.hashes(~among(inventory.keys, present))
            self._stage.write(self._stage.names.gone(number), pa.RecordBatch.from_pydict({"row_hash": gone}))
        arrived = distinct(self._found.keys.sorted())
        closing = self._open_keys.filter(pa.array(~among(self._open_tags_in_order, present) | among(self._open_tags_in_order, arrived)))
        self._stage.write(self._stage.names.closing, pa.RecordBatch.from_pydict({"row_key": closing}))
        return Account(
            outcome=self._outcome,
            rows=keys.rows,
            without_key=keys.rows - len(keys.keys),
            repeated=len(doubts.keys[f"{self._run.contract.key[0]}.unique_key"]),
            unchanged={share.path: count for share, count in zip(self._run.shares, self._unchanged, strict=True)},
            source=KeyChecksum.of(present),
            before=KeyChecksum.of(self._inventories[self._accountable].keys),
            expected=KeyChecksum.of(expected),
        )

    def _open_quarantine(self) -> tuple[pa.Array, Tags]:
        """Return keys of the dataset's open quarantined rows, and their tags, sorted."""
        dataset = self._run.contract.dataset
        query = f"SELECT row_key FROM hub.quarantine WHERE dataset = '{dataset}' AND closed_by IS NULL AND row_key IS NOT NULL"
        query += f" AND batch <> {self._run.batch:d}"
        batches = [batch.column(0) for batch in answer(Role.WRITER, query)]
        keys = pa.concat_arrays(batches) if batches else pa.array([], pa.binary())
        self._open_tags_in_order = key_tags(keys, self._key)
        return keys, np.sort(self._open_tags_in_order)

    def _streamed(self, run: Run) -> Stream:
        return Stream(
            contract=run.contract,
            shares=run.shares,
            single=tuple(single_shares(run.contract, run.shares)),
            accountable=self._accountable,
            checks=run.checks,
            inventories=self._inventories,
            references=tuple(self._reference(check) for check in run.checks if check.rule == "reference"),
            owners=dict(_owners(run)),
            contexts=tuple(context_of(share, run.declared, keyring()) for share in run.shares),
            quarantine_key=keyring().key("quarantine"),
            batch=run.batch,
            today=datetime.now(ZoneInfo(settings().timezone)).date(),
            timezone=self._timezone,
            seconds=self._seconds,
        )

    def _reference(self, check: Check) -> Reference:
        path = str(check.parameters["entity"])
        layout, entity = layout_of(self._run.declared, path), self._run.declared.entity(path)[1]
        view = quoted(layout.library, layout.entity)
        existing = f"SELECT k.key FROM {layout.spine} k WHERE EXISTS (SELECT FROM {view} v WHERE v.subject = k.subject)"
        tags = Gathered([key_tags(batch.column(0), self._key) for batch in answer(Role.WRITER, existing)])
        return Reference(check=check, kinds=tuple(self._run.declared.kinds[kind] for kind in entity.subject), existing=tags.sorted())


def _owners(run: Run) -> Iterator[tuple[str, tuple[str, pa.Array, int | None]]]:
    checks = {check.fields[0]: check.id for check in run.checks if check.rule == "owner"}
    for share in run.shares:
        owner = share.entity.owner
        if owner is not None:
            field = share.given.fields[owner.field]
            allowed = [value for value, dataset in owner.datasets.items() if dataset == run.contract.dataset]
            yield checks[field], (field, pa.array(allowed, pa.string()), owner.first)


@contextmanager
def staging(run: Run) -> Iterator[Stage]:
    """Create the staging area of *run*; what was not committed vanishes."""
    with closing(Stage(Names(batch=run.batch), run.shares)) as stage:
        stage.create(first=empty_tables(run))
        yield stage


def empty_tables(run: Run) -> tuple[bool, ...]:
    """Return, per share, whether the library holds nothing of the dataset yet."""
    with engine(Role.WRITER).connect() as connection:
        tables = [quoted(share.table.library, share.table.name) for share in run.shares]
        return tuple(not connection.execute(sa.text(f"SELECT EXISTS (SELECT FROM {table})")).scalar_one() for table in tables)
