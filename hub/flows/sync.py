"""Bringing one dataset into step: plan, read and stage, gate, publish.

``stage`` and ``publish`` are two tasks of one run. Killed anywhere and called again,
the result is as if nothing had happened: staging commits at its end, publishing is one transaction.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import HubError, Refused
from hub.flows import batches, drift, gates, windows
from hub.flows.clock import require_clock
from hub.flows.code import code_version
from hub.flows.freshness import newest_of
from hub.flows.holding import hold
from hub.flows.keys import keyring
from hub.flows.locks import job_lock
from hub.flows.publication import publish_staged
from hub.flows.readiness import acting, require_ready
from hub.flows.reasons import as_gate
from hub.flows.runs import Published, Run, single_shares, staged_rows, throw_away
from hub.flows.shares import protection_of, shares_of
from hub.flows.sources import open_source
from hub.flows.staging import Names, indexing, staged
from hub.flows.stream import Seconds
from hub.flows.suppression import WithoutErased
from hub.flows.taking import Account, Taking, empty_tables, staging
from hub.flows.volume import size_of
from hub.flows.windows import AS_DECLARED, Asked, Opened
from libraries import plan
from libraries.versions import current_version
from schemas.contract import Contract
from schemas.declarations import Declarations, declarations
from schemas.rules.checks import checks_of, set_check

Progress = Callable[[str, int], None]


def quiet(_step: str, _rows: int) -> None:
    """Report nothing."""


def sync(dataset: str, *, started_by: str, asked: Asked = AS_DECLARED, progress: Progress = quiet) -> Published:
    """Stage and publish *dataset*; raise :class:`Rejected` if the gate holds the batch."""
    return publish(stage(dataset, started_by=started_by, asked=asked, progress=progress), started_by=started_by)


def stage(dataset: str, *, started_by: str, asked: Asked = AS_DECLARED, progress: Progress = quiet) -> int:
    """Read, check, protect and stage one batch of *dataset*, judge it, and return its id.

    What an earlier run left unfinished is discarded first. A held batch waits for an officer: :class:`Refused`.
    """
    declared = declarations()
    contract = declared.contract(dataset)
    windows.require_possible(contract, asked, timezone=declared.sources[contract.source].timezone)
    with job_lock(dataset):
        require_not_paused(dataset)
        run = plan_run(declared, contract, started_by, asked)
        try:
            _stage(run, progress)
        except HubError as error:
            _discard(run.batch, started_by, reason=error.problem)
            raise
    return run.batch


def require_not_paused(dataset: str) -> None:
    """Raise :class:`Refused` if the job of *dataset* is paused, or a batch of it is held."""
    with engine(Role.READER).connect() as connection:
        held = sa.text("SELECT id FROM hub.batch WHERE dataset = :dataset AND state = 'held' ORDER BY id DESC LIMIT 1")
        batch = connection.execute(held, {"dataset": dataset}).scalar_one_or_none()
        paused = sa.text("SELECT reason FROM hub.job WHERE dataset = :dataset AND paused")
        reason = connection.execute(paused, {"dataset": dataset}).one_or_none()
    if batch is not None:
        raise Refused(
            f"batch {batch} of {dataset} is held",
            remedy=f"look at it with `hub batch show {batch}`, then `hub batch release` or `discard` it",
        )
    if reason is not None:
        raise Refused(
            f"the job of {dataset} is paused: {reason[0] or 'no reason given'}", remedy=f"`hub job resume {dataset}` lets it run again"
        )


def plan_run(declared: Declarations, contract: Contract, started_by: str, asked: Asked = AS_DECLARED) -> Run:
    """Record a planned batch of *contract* and return its run; what an earlier run left unfinished is discarded."""
    shares = shares_of(declared, contract, keyring())
    protection = protection_of(shares, declared, keyring())
    with engine(Role.WRITER).begin() as connection:
        require_ready(connection)
        require_clock(connection)
        plan.require_applied(declared, connection, {share.layout.library for share in shares})
        _discard_unfinished(connection, contract.dataset, started_by)
        window = windows.start(connection, contract, protection, asked)
        batch = batches.begin(
            connection,
            {
                "dataset": contract.dataset, "started_by": started_by, "contract_version": contract.version,
                "policy_version": declared.policy.version, "code_version": code_version(), "protection": protection,
                "cursor_field": window.cursor, "cursor_after": window.after,
            },
        )  # fmt: skip
    checks = checks_of(contract, declared.kinds, declared.codes)
    checks += tuple(single_shares(contract, shares).values())
    checks += tuple(
        set_check("owner", (share.given.fields[share.entity.owner.field],), contract=contract) for share in shares if share.entity.owner
    )
    return Run(
        declared=declared,
        contract=contract,
        shares=shares,
        checks=checks,
        protection=protection,
        batch=batch,
        window=window,
        started_by=started_by,
        asked=asked,
    )


def _discard_unfinished(connection: sa.Connection, dataset: str, actor: str) -> None:
    unfinished = sa.text("SELECT id FROM hub.batch WHERE dataset = :dataset AND state IN ('planned', 'staged')")
    for (batch,) in connection.execute(unfinished, {"dataset": dataset}).all():
        throw_away(connection, batch, dataset, actor, reason="a later run took its place")


def _discard(batch: int, actor: str, *, reason: str) -> None:
    with engine(Role.WRITER).begin() as connection:
        throw_away(connection, batch, batches.find(connection, batch).dataset, actor, reason=reason)


# Staging


def _stage(run: Run, progress: Progress) -> None:
    seconds, names = Seconds(), Names(batch=run.batch)
    state, first = based_on(run), empty_tables(run)
    zone = run.declared.sources[run.contract.source].timezone
    began = time.perf_counter()
    with open_source(run.declared, run.contract, now=datetime.now(UTC)) as session, staging(run) as stage:
        erased = WithoutErased(drift.watched(run, session), run.contract, run.shares, timezone=zone)
        source = erased.session
        opened = windows.opened(run.contract, run.window, source, asked=run.asked, timezone=zone)
        seconds.of("open", began)
        earlier = Counter(source.oddities)
        account, window = Taking(run, stage, seconds, progress).take(source, opened.window)
        account.outcome.oddities = source.oddities - earlier
        account.outcome.suppression = erased.counts()
        account.outcome.newest = newest_of(run.contract, source, timezone=zone)
        snapshot = source.snapshot
        stage.commit()
    tables = staged(names, run.shares, reprotected=False, unchanged=account.unchanged)
    began = time.perf_counter()
    with indexing(table for table, empty in zip(tables, first, strict=True) if empty):
        verdict = gates.judge_batch(run.contract, run.checks, account.outcome, run.batch, whole=window.after is None)
        began = seconds.of("gate", began)
    seconds.of("index", began)
    read = Read(opened=replace(opened, window=window), asked=run.asked, snapshot=snapshot, based_on=state)
    _record_staged(run, read, account, verdict, seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read, and the state of the libraries it was compared with."""

    opened: Opened
    asked: Asked
    snapshot: str | None
    based_on: dict[str, int]

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
    if read.asked.window and not read.whole:
        counts["asked"] = {"after": read.asked.after, "until": read.asked.until}
    return counts | {"held_before": str(account.before), "expected": str(account.expected)}


def _record_staged(run: Run, read: Read, account: Account, verdict: gates.Gate, seconds: Seconds) -> None:
    counts = counts_of(read, account)
    with engine(Role.WRITER).begin() as connection:
        tables = staged(Names(batch=run.batch), run.shares, reprotected=False, unchanged=account.unchanged)
        size = None if "asked" in counts else size_of(connection, run.batch, rows=account.outcome.read, whole=read.whole)
        reasons = verdict.reasons + gates.reasons_to_hold(connection, run.contract, account.outcome, size=size, shares=tables)
        reasons += drift.reasons(connection, run.batch)
        counts |= {"staged": (rows := staged_rows(connection, run))}
        reasons += windows.went_backwards(run.contract, read.opened, {one.rows: rows[one.rows] for one in tables})
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


# Publishing


def publish(batch_id: int, *, started_by: str, release: bool = False) -> Published:
    """Merge a staged batch into its libraries in one transaction and return what changed.

    A batch staged under other declarations or keys, or emptied by a crash of the database server, is read again.
    A held batch is :class:`Rejected` with the gate's reasons, unless *release* (an officer's recorded decision).
    A batch that is published already gives what its publishing gave: a task killed after its commit is run again.
    """
    dataset = _dataset_of(batch_id)
    with job_lock(dataset):
        published = publish_staged(batch_id, started_by, release=release)
    if published is None:
        return publish(stage(dataset, started_by=started_by), started_by=started_by)
    return published


def _dataset_of(batch_id: int) -> str:
    with engine(Role.READER).connect() as connection:
        return batches.find(connection, batch_id).dataset


# An officer's decision on a held batch


def release(batch_id: int, *, by: str, reason: str) -> Published:
    """Publish a held batch on an officer's word, with the reason in the audit log."""
    dataset = _dataset_of(batch_id)
    with job_lock(dataset):
        with acting() as connection:
            state = batches.find(connection, batch_id).state
            if state != "held":
                raise Refused(f"batch {batch_id} is {state}, not held", remedy="only a held batch can be released")
            batches.update(connection, batch_id, reason=reason)
            record(connection, Event.BATCH_RELEASED, actor=by, details={"batch": batch_id, "dataset": dataset, "reason": reason})
        published = publish_staged(batch_id, by, release=True)
    return published if published is not None else sync(dataset, started_by=by)


def discard(batch_id: int, *, by: str, reason: str) -> None:
    """Throw a staged or held batch away, with the reason in the audit log. The libraries stay as they are."""
    with job_lock(_dataset_of(batch_id)), acting() as connection:
        batch = batches.find(connection, batch_id)
        if batch.state not in {"staged", "held"}:
            raise Refused(f"batch {batch_id} is {batch.state}", remedy="only a staged or held batch can be discarded")
        throw_away(connection, batch_id, batch.dataset, by, reason=reason)
