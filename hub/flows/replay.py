"""Replaying quarantined rows: judged again under the present rules and codes, from their seals, without the source.

Rows that hold now go the normal way, as a small batch, through staging and publishing; rows that still fail stay where they are,
with their first judgement and their own term. Open rows are the newest word on their key, so nothing newer is overwritten.
"""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from connectors.protocol import Window
from hub.database.arrow import answer
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import HubError, Refused, Unavailable
from hub.flows import batches, gates, planning
from hub.flows.keysets import Gathered
from hub.flows.locks import job_lock
from hub.flows.progress import quiet
from hub.flows.publication import publish_staged
from hub.flows.reasons import as_gate
from hub.flows.recording import Read, based_on, counts_of
from hub.flows.remembered import RememberedRows, Target, remembered, target_of, unsealed
from hub.flows.runs import Run, single_shares, staged_rows, throw_away
from hub.flows.stream import Seconds
from hub.flows.suppression import WithoutErased
from hub.flows.taking import Account, Taking, staging
from hub.flows.windows import Opened
from libraries.views import quoted
from masking.fingerprints import Tags, key_tags
from schemas.declarations import declarations


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay did, in rows; ``batch`` is ``None`` if nothing was published. ``versions`` as of a published batch."""

    dataset: str
    batch: int | None
    rows: int
    valid: int
    versions: dict[str, int]


def replay(name: str, *, started_by: str) -> Replayed:
    """Judge the open quarantined rows of a dataset or a batch again, and publish those that hold now.

    :class:`Refused` if the job is paused or held, or if the rows of the library are to be protected anew first.
    """
    target = target_of(name)
    declared = declarations()
    contract = declared.contract(target.dataset)
    with job_lock(target.dataset):
        planning.require_not_paused(target.dataset)
        with engine(Role.READER).connect() as connection:
            rows = remembered(connection, target)
        if not rows:
            return Replayed(dataset=target.dataset, batch=None, rows=0, valid=0, versions={})
        run = planning.plan_run(declared, contract, started_by)
        try:
            _require_same_protection(run)
            outcome = _stage(run, target, RememberedRows(contract, unsealed(rows)))
        except HubError as error:
            _throw_away(run, reason=error.problem)
            raise
        valid = outcome.read - outcome.quarantined
        if not valid:
            _throw_away(run, reason=f"none of {outcome.read} quarantined rows holds under the present rules")
            return Replayed(dataset=target.dataset, batch=None, rows=outcome.read, valid=0, versions={})
        published = publish_staged(run.batch, started_by, release=False)
    if published is None:
        raise Unavailable(f"what was replayed of {target.dataset} no longer fits its library", remedy="replay it again")
    return Replayed(dataset=target.dataset, batch=published.batch, rows=outcome.read, valid=valid, versions=published.versions)


def _require_same_protection(run: Run) -> None:
    with engine(Role.READER).connect() as connection:
        query = sa.text("SELECT protection FROM hub.watermark WHERE dataset = :dataset")
        protection = connection.execute(query, {"dataset": run.contract.dataset}).scalar_one_or_none()
    if protection != run.protection:
        raise Refused(
            f"the policy or the keys changed since {run.contract.dataset} was last published",
            remedy=f"run the job first (`hub sync {run.contract.dataset}`): it protects every row anew; then replay",
        )


def _throw_away(run: Run, *, reason: str) -> None:
    with engine(Role.WRITER).begin() as connection:
        throw_away(connection, run.batch, run.contract.dataset, run.started_by, reason=reason)


def _stage(run: Run, target: Target, source: RememberedRows) -> gates.Outcome:
    seconds, read = (
        Seconds(),
        Read(opened=Opened(window=Window(), until=None), asked=run.asked, snapshot="quarantine", based_on=based_on(run)),
    )
    began = time.perf_counter()
    zone = run.declared.sources[run.contract.source].timezone
    erased = WithoutErased(source, run.contract, run.shares, timezone=zone)
    with staging(run) as stage:
        account = Taking(run, stage, seconds, quiet).take_again(erased.session, _spoken_for(run, target))
        account.outcome.suppression = erased.counts()
        stage.finish()
    seconds.of("replay", began)
    verdict = gates.judge_batch(run.contract, run.checks, account.outcome, run.batch, whole=False)
    _record_staged(run, read, account, verdict, seconds)
    return account.outcome


def _spoken_for(run: Run, target: Target) -> dict[int, Tags]:
    """Return the subjects that rows of the library speak for whose keys are not replayed: no replayed row may become a second one."""
    replayed = f"SELECT FROM hub.quarantine q WHERE {target.legible} AND q.row_key = t.row_key"
    found: dict[int, Tags] = {}
    for number in single_shares(run.contract, run.shares):
        share = run.shares[number]
        table = quoted(share.table.library, share.table.name)
        spoken = (
            f"SELECT k.key FROM {table} t JOIN {share.layout.spine} k ON k.subject = t.subject AND k.current WHERE NOT EXISTS ({replayed})"
        )
        key = run.shares[0].protection.checksum_key
        found[number] = Gathered([key_tags(batch.column(0), key) for batch in answer(Role.WRITER, spoken)]).sorted()
    return found


def _record_staged(run: Run, read: Read, account: Account, verdict: gates.Gate, seconds: Seconds) -> None:
    """Record the batch as staged. The gate judges deliveries: of rows put aside most may well fail again."""
    outcome = account.outcome
    with engine(Role.WRITER).begin() as connection:
        counts = counts_of(read, account) | {"replayed": outcome.read, "staged": staged_rows(connection, run)}
        batches.record_checks(connection, run.batch, verdict.results)
        batches.update(
            connection, run.batch, state="staged", snapshot=read.snapshot, counts=counts, gate=as_gate(()), docs=verdict.docs,
            seconds={step: round(spent, 3) for step, spent in seconds.spent.items()}, source_checksum=str(account.source),
        )  # fmt: skip
        valid = outcome.read - outcome.quarantined
        facts = {"batch": run.batch, "dataset": run.contract.dataset, "rows": outcome.read, "valid": valid}
        record(connection, Event.QUARANTINE_REPLAYED, actor=run.started_by, details=facts)
