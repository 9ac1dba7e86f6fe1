"""Judging what was staged, and recording it: the counts, the gate's reasons, and what publishing must find."""

import time
from dataclasses import dataclass

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.flows import batches, drift, gates, windows
from hub.flows.holding import hold
from hub.flows.reasons import as_gate
from hub.flows.runs import Run, staged_rows
from hub.flows.staging import Names, indexing, staged
from hub.flows.stream import Seconds
from hub.flows.taking import Account
from hub.flows.volume import size_of
from hub.flows.windows import Asked, Opened
from libraries.publishing import Staged
from libraries.versions import current_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read, and the state of the libraries it was compared with."""

    opened: Opened
    asked: Asked
    snapshot: str | None
    based_on: dict[str, int]
    parts: int = 1

    @property
    def whole(self) -> bool:
        """Whether nothing was left out."""
        return not self.opened.window.bounded


def based_on(run: Run) -> dict[str, int]:
    """Return the versions of the run's libraries now: what is staged from here on is compared with them."""
    with engine(Role.READER).connect() as connection:
        return {library: current_version(connection, library) for library in run.libraries}


def counts_of(read: Read, account: Account) -> dict[str, object]:
    """Return what a batch's record counts, in rows; checksums and versions are what publishing holds the library against."""
    counts = account.outcome.counts()
    counts |= {"source_rows": account.rows, "without_key": account.without_key, "repeated_keys": account.repeated}
    counts |= {"unchanged": account.unchanged, "based_on": read.based_on, "whole": read.whole}
    if read.parts > 1:
        counts["parts"] = read.parts
    if read.asked.window and not read.whole:
        counts["asked"] = {"after": read.asked.after, "until": read.asked.until}
    return counts | {"held_before": str(account.before), "expected": str(account.expected)}


def judge(run: Run, read: Read, account: Account, seconds: Seconds, *, first: tuple[bool, ...]) -> None:
    """Let the gate judge what was staged while first loads are indexed; record the batch as staged, or as held with the reasons."""
    began = time.perf_counter()
    with engine(Role.WRITER).connect() as connection:
        counted = staged_rows(connection, run)
    tables = staged(Names(batch=run.batch), run.shares, reprotected=False, unchanged=account.unchanged, counted=counted)
    began = seconds.of("count", began)
    with indexing(table for table, empty in zip(tables, first, strict=True) if empty):
        verdict = gates.judge_batch(run.contract, run.checks, account.outcome, run.batch, whole=read.whole)
        began = seconds.of("gate", began)
    seconds.of("index", began)
    _record(run, read, account, verdict, seconds, tables=tables, counted=counted)


def _record(
    run: Run, read: Read, account: Account, verdict: gates.Gate, seconds: Seconds, *, tables: tuple[Staged, ...], counted: dict[str, int]
) -> None:
    counts = counts_of(read, account) | {"staged": counted}
    with engine(Role.WRITER).begin() as connection:
        size = None if "asked" in counts else size_of(connection, run.batch, rows=account.outcome.read, whole=read.whole)
        reasons = verdict.reasons + gates.reasons_to_hold(connection, run.contract, account.outcome, size=size, shares=tables)
        reasons += drift.reasons(connection, run.batch)
        reasons += windows.went_backwards(run.contract, read.opened, rows=sum(one.staged for one in tables))
        batches.record_checks(connection, run.batch, verdict.results)
        batches.update(
            connection, run.batch, state="staged", snapshot=read.snapshot, cursor_after=read.opened.window.after,
            cursor_until=read.opened.window.until or read.opened.until,
            counts=counts, seconds={step: round(spent, 3) for step, spent in seconds.spent.items()},
            source_checksum=str(account.source), gate=as_gate(reasons), docs=verdict.docs,
        )  # fmt: skip
        if reasons:
            hold(connection, run.batch, run.contract.dataset, reasons, run.started_by)
        else:
            numbers = {name: counts[name] for name in ("read", "valid", "quarantined")}
            facts = {"batch": run.batch, "dataset": run.contract.dataset}
            record(connection, Event.BATCH_STAGED, actor=run.started_by, details=facts | numbers)
