"""Staging a large table in parts: each is read and committed by itself, by whichever process, and all together are one batch.

A part that was committed is not read again: a run that was killed goes on with the parts that are missing.
The parts are read at different times and so do not share the source's snapshot: each row is as it was when its part was read,
as with a source that has no snapshots. What is doubled, gone or nowhere is found over all parts together.
"""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, cast

import sqlalchemy as sa

from connectors.protocol import Connector, Part, Window, parts_between
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import HubError, Refused, Unavailable
from hub.flows import batches, drift, part_record, planning, windows
from hub.flows.code import code_version
from hub.flows.freshness import newest_of
from hub.flows.keys import keyring
from hub.flows.locks import job_lock
from hub.flows.progress import Progress, quiet
from hub.flows.recording import Read, based_on, judge
from hub.flows.runs import Run
from hub.flows.shares import protection_of, shares_of
from hub.flows.sources import open_source
from hub.flows.staging import Names, Stage
from hub.flows.stream import Seconds
from hub.flows.suppression import WithoutErased
from hub.flows.taking import Taking, empty_tables
from hub.flows.windows import AS_DECLARED, Asked, Opened
from libraries.views import quoted
from masking.bounds import seal_bounds, unseal_bounds
from schemas.contract import Contract
from schemas.declarations import Declarations, declarations

RESUMED_WITHIN: Final = timedelta(hours=24)
"""Parts that were read longer ago are read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """A planned batch and the numbers of its parts that were not read yet."""

    batch: int
    remaining: tuple[int, ...]


def divide(dataset: str, *, started_by: str, asked: Asked = AS_DECLARED) -> Division | None:
    """Plan a batch of *dataset* in parts, or go on with one that an earlier run began; ``None`` where one read does.

    One read does for a window, for a source that cannot be divided, and where no parts are declared.
    """
    declared = declarations()
    contract = declared.contract(dataset)
    if contract.sync.parts == 1 or asked.window:
        return None
    with job_lock(dataset):
        planning.require_not_paused(dataset)
        begun = _begun(declared, contract)
        if begun is not None:
            return begun
        if planning.window_of(declared, contract, asked).after is not None:
            return None
        with open_source(declared, contract, now=datetime.now(UTC)) as session:
            bounds = _bounds_of(session, contract)
            if not bounds:
                return None
            run = planning.plan_run(declared, contract, started_by, asked)
            try:
                _begin(run, session, bounds)
            except HubError as error:
                planning.discard(run.batch, started_by, reason=error.problem)
                raise
    return Division(batch=run.batch, remaining=tuple(range(len(bounds) + 1)))


def _bounds_of(session: Connector, contract: Contract) -> Sequence[object]:
    """Return the values of the key that divide the place; none where it cannot be divided, or they cannot be kept."""
    key = [contract.field(name).source_column for name in contract.key]
    bounds = [part.high for part in session.parts(key, contract.sync.parts)][:-1]
    try:
        seal_bounds(bounds, keyring().key("quarantine"), "0")
    except ValueError:
        return ()
    return bounds


def _begin(run: Run, session: Connector, bounds: Sequence[object]) -> None:
    source = drift.watched(run, session)
    state = based_on(run)
    opened = windows.opened(run.contract, run.window, source, asked=run.asked, timezone=_zone(run))
    with closing(Stage(Names(batch=run.batch), run.shares, lanes=1)) as stage:
        stage.create(first=empty_tables(run))
        stage.run(f"CREATE UNLOGGED TABLE {quoted('staging', stage.names.parts)} ({part_record.COLUMNS})")
        sealed = seal_bounds(bounds, keyring().key("quarantine"), str(run.batch))
        part_record.write_bounds(stage, sealed)
        stage.commit()
    with engine(Role.WRITER).begin() as connection:
        counts = {"based_on": state, "parts": len(bounds) + 1}
        batches.update(connection, run.batch, counts=counts, cursor_until=opened.until)


def _begun(declared: Declarations, contract: Contract) -> Division | None:
    """Return the batch in parts that the last run left unfinished, if it was begun as a batch would be begun now."""
    unfinished = "SELECT id FROM hub.batch WHERE dataset = :dataset AND state = 'planned' AND counts ? 'parts' AND started_at > :since"
    with engine(Role.WRITER).connect() as connection:
        given = {"dataset": contract.dataset, "since": datetime.now(UTC) - RESUMED_WITHIN}
        number = connection.execute(sa.text(f"{unfinished} ORDER BY id DESC LIMIT 1"), given).scalar_one_or_none()
        if number is None:
            return None
        batch = batches.find(connection, number)
        if not _fits(batch, declared, contract) or part_record.bounds(connection, number) is None:
            return None
        done = part_record.recorded(connection, number)
    wanted = range(cast("int", batch.counts["parts"]))
    return Division(batch=number, remaining=tuple(part for part in wanted if part not in done))


def _fits(batch: batches.Batch, declared: Declarations, contract: Contract) -> bool:
    protection = protection_of(shares_of(declared, contract, keyring()), declared, keyring())
    now = (contract.version, declared.policy.version, code_version(), protection)
    return now == (batch.contract_version, batch.policy_version, batch.code_version, batch.protection)


def stage_part(batch_id: int, number: int, *, started_by: str, progress: Progress = quiet) -> None:
    """Read, check, protect and stage one part of a divided batch, unless that was done before.

    Nothing of a part is staged before all of it is. Raise :class:`Refused` if a later run took the batch's place.
    """
    with engine(Role.READER).connect() as connection:
        dataset = batches.find(connection, batch_id).dataset
    with job_lock(dataset, shared=True):
        run = _resumed(batch_id, started_by)
        divided = _divided(run) if run is not None else None
        if run is not None and divided is not None and number not in divided[1]:
            _take(run, number, divided[0][number], progress)


def _resumed(batch_id: int, started_by: str) -> Run | None:
    """Return the run of a planned batch, or ``None`` if it would be planned otherwise by now."""
    with engine(Role.READER).connect() as connection:
        batch = batches.find(connection, batch_id)
    if batch.state != "planned":
        raise Refused(
            f"batch {batch_id} of {batch.dataset} is {batch.state}: {batch.reason or 'another run finished it'}",
            remedy="run the job again (`hub batch list` shows what came in between)",
        )
    declared = declarations()
    contract = declared.contract(batch.dataset)
    if not _fits(batch, declared, contract):
        return None
    return planning.run_of(declared, contract, batch.id, Window(cursor=batch.cursor_field), started_by=started_by)


def _divided(run: Run) -> tuple[list[Part], frozenset[int]] | None:
    """Return the parts of the run's batch and which of them were taken, or ``None`` if a crash of the database server lost them."""
    with engine(Role.WRITER).connect() as connection:
        sealed = part_record.bounds(connection, run.batch)
        if sealed is None:
            return None
        done = part_record.recorded(connection, run.batch)
    bounds = unseal_bounds(sealed, keyring().key("quarantine"), str(run.batch))
    column = run.contract.field(run.contract.key[0]).source_column
    return parts_between(column, bounds), done


def _take(run: Run, number: int, part: Part, progress: Progress) -> None:
    seconds, began = Seconds(), time.perf_counter()
    with (
        open_source(run.declared, run.contract, now=datetime.now(UTC)) as session,
        closing(Stage(Names(batch=run.batch), run.shares, lanes=1)) as stage,
    ):
        erased = WithoutErased(drift.filled(run.contract, session), run.contract, run.shares, timezone=_zone(run))
        source = erased.session
        seconds.of("open", began)
        earlier = Counter(source.oddities)
        taken = Taking(run, stage, seconds, progress).take_part(source, number, part)
        seen = erased.counts()
        part_record.write(
            stage,
            number,
            replace(
                taken,
                checks=tuple(check.id for check in run.checks),
                oddities=source.oddities - earlier,
                suppressed=cast("int", seen["suppressed"]),
                erasures_seen=cast("int", seen["erasures_seen"]),
                seconds=dict(seconds.spent),
            ),
        )
        stage.commit()


def join(batch_id: int, *, started_by: str, progress: Progress = quiet) -> bool:
    """Make one staged batch of the parts, and say whether that could be done; parts that are missing are read first.

    Where it cannot, the batch is discarded and must be read anew. The caller holds the job's lock.
    """
    with engine(Role.READER).connect() as connection:
        if batches.find(connection, batch_id).state in {"staged", "held", "published"}:
            return True  # a task that was killed after its commit
    run = _resumed(batch_id, started_by)
    divided = _divided(run) if run is not None else None
    if run is None or divided is None:
        planning.discard(batch_id, started_by, reason="its parts no longer fit; read again")
        return False
    parts, done = divided
    try:
        for number in sorted(set(range(len(parts))) - done):
            _take(run, number, parts[number], progress)
        return _join(run, parts, progress)
    except Unavailable:
        raise  # what was read stays read: it goes on from there
    except HubError as error:
        planning.discard(batch_id, started_by, reason=error.problem)
        raise


def _join(run: Run, parts: list[Part], progress: Progress) -> bool:
    with engine(Role.WRITER).connect() as connection:
        batch = batches.find(connection, run.batch)
        taken = list(part_record.read(connection, run.batch))
    if any(one.checks != tuple(check.id for check in run.checks) for one in taken):
        planning.discard(run.batch, run.started_by, reason="the contract changed while its parts were read; read again")
        return False
    seconds, began = Seconds(), time.perf_counter()
    for one in taken:
        for step, spent in one.seconds.items():
            seconds.spent[step] += spent
    with (
        open_source(run.declared, run.contract, now=datetime.now(UTC)) as session,
        closing(Stage(Names(batch=run.batch), run.shares, lanes=1)) as stage,
    ):
        erased = WithoutErased(drift.filled(run.contract, session), run.contract, run.shares, timezone=_zone(run))
        stage.forget_account()
        account = Taking(run, stage, seconds, progress).take_parts(erased.session, list(zip(parts, taken, strict=True)))
        account.outcome.oddities = sum((one.oddities for one in taken), Counter())
        account.outcome.suppression = {
            "suppressed": sum(one.suppressed for one in taken),
            "erasures_seen": min(one.erasures_seen for one in taken),
        }
        account.outcome.newest = newest_of(run.contract, session, timezone=_zone(run))
        stage.finish()
    seconds.of("join", began)
    opened = Opened(window=Window(), until=batch.cursor_until)
    read = Read(opened=opened, asked=run.asked, snapshot=None, based_on=cast("dict[str, int]", batch.counts["based_on"]), parts=len(parts))
    judge(run, read, account, seconds, first=empty_tables(run))
    return True


def _zone(run: Run) -> str:
    return run.declared.sources[run.contract.source].timezone
