"""Bringing one dataset into step: plan, read and stage, gate, publish.

``stage`` and ``publish`` are two tasks of one run; a large table may be staged in parts, each a task of its own.
Killed anywhere and called again, the result is as if nothing had happened: staging commits at its end, publishing is one transaction.
"""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import HubError, Refused
from hub.flows import batches, drift, parts, windows
from hub.flows.freshness import newest_of
from hub.flows.locks import job_lock
from hub.flows.planning import discard as discard_batch
from hub.flows.planning import plan_run, require_not_paused
from hub.flows.progress import Progress, quiet
from hub.flows.publication import publish_staged
from hub.flows.readiness import acting
from hub.flows.recording import Read, based_on, judge
from hub.flows.runs import Published, Run, throw_away
from hub.flows.sources import open_source
from hub.flows.stream import Seconds
from hub.flows.suppression import WithoutErased
from hub.flows.taking import Taking, empty_tables, staging
from hub.flows.windows import AS_DECLARED, Asked
from schemas.declarations import declarations


def sync(dataset: str, *, started_by: str, asked: Asked = AS_DECLARED, progress: Progress = quiet) -> Published:
    """Stage and publish *dataset*; raise :class:`Rejected` if the gate holds the batch."""
    return publish(stage(dataset, started_by=started_by, asked=asked, progress=progress), started_by=started_by)


def stage(dataset: str, *, started_by: str, asked: Asked = AS_DECLARED, progress: Progress = quiet) -> int:
    """Read, check, protect and stage one batch of *dataset*, judge it, and return its id.

    What an earlier run left unfinished is discarded first, but for the parts of a large table that it has read.
    A held batch waits for an officer: :class:`Refused`.
    """
    _require_possible(dataset, asked)
    division = parts.divide(dataset, started_by=started_by, asked=asked)
    if division is None:
        return stage_at_once(dataset, started_by=started_by, asked=asked, progress=progress)
    for number in division.remaining:
        parts.stage_part(division.batch, number, started_by=started_by, progress=progress)
    return stage_parts(division.batch, started_by=started_by, progress=progress)


def stage_parts(batch_id: int, *, started_by: str, progress: Progress = quiet) -> int:
    """Make one batch of the parts of a divided one, judge it, and return its id; parts that are missing are read.

    A batch whose parts no longer fit the declarations, or were lost with the database server's memory, is read anew.
    """
    dataset = _dataset_of(batch_id)
    with job_lock(dataset):
        joined = parts.join(batch_id, started_by=started_by, progress=progress)
    return batch_id if joined else stage_at_once(dataset, started_by=started_by, progress=progress)


def stage_at_once(dataset: str, *, started_by: str, asked: Asked = AS_DECLARED, progress: Progress = quiet) -> int:
    """Do as :func:`stage` in one read."""
    declared = declarations()
    contract = declared.contract(dataset)
    with job_lock(dataset):
        require_not_paused(dataset)
        run = plan_run(declared, contract, started_by, asked)
        try:
            _stage(run, progress)
        except HubError as error:
            discard_batch(run.batch, started_by, reason=error.problem)
            raise
    return run.batch


def _require_possible(dataset: str, asked: Asked) -> None:
    declared = declarations()
    contract = declared.contract(dataset)
    windows.require_possible(contract, asked, timezone=declared.sources[contract.source].timezone)


def _stage(run: Run, progress: Progress) -> None:
    seconds, state, first = Seconds(), based_on(run), empty_tables(run)
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
        stage.finish()
    read = Read(opened=replace(opened, window=window), asked=run.asked, snapshot=snapshot, based_on=state)
    judge(run, read, account, seconds, first=first)


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
