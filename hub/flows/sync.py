"""Bringing one dataset into step: plan, read and stage, gate, publish.

``stage`` and ``publish`` are two tasks of one run. Killed anywhere and called again,
the result is as if nothing had happened: staging commits at its end, publishing is one transaction.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from connectors.protocol import Connector, Window
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import HubError, Refused
from hub.flows import batches, gates, reconciliation
from hub.flows.ahead import ahead
from hub.flows.code import code_version
from hub.flows.keypass import KeyColumns, KeyPass, Reference, key_pass
from hub.flows.keys import keyring
from hub.flows.locks import job_lock
from hub.flows.publication import publish_staged
from hub.flows.runs import Published, Run, staged_rows, throw_away
from hub.flows.shares import Share, protection_of, shares_of
from hub.flows.sources import open_source
from hub.flows.staging import Names, Stage, make_durable, staged
from hub.flows.stream import Seconds, Stream
from hub.settings import settings
from libraries import plan
from libraries.layout import layout_of
from libraries.statements import scalar
from libraries.views import quoted
from schemas.contract import Contract, Mode
from schemas.declarations import Declarations, declarations
from schemas.rules.checks import Check, checks_of, set_check

Progress = Callable[[str, int], None]


def quiet(_step: str, _rows: int) -> None:
    """Report nothing."""


def sync(dataset: str, *, started_by: str, progress: Progress = quiet) -> Published:
    """Stage and publish *dataset*; raise :class:`Rejected` if the gate holds the batch."""
    return publish(stage(dataset, started_by=started_by, progress=progress), started_by=started_by)


def stage(dataset: str, *, started_by: str, progress: Progress = quiet) -> int:
    """Read, check, protect and stage one batch of *dataset*, judge it, and return its id.

    What an earlier run left unfinished is discarded first. A held batch waits for an officer: :class:`Refused`.
    """
    declared = declarations()
    contract = declared.contract(dataset)
    with job_lock(dataset):
        _require_not_paused(dataset)
        run = _plan(declared, contract, started_by)
        try:
            _stage(run, progress)
        except HubError as error:
            _discard(run.batch, started_by, reason=error.problem)
            raise
    return run.batch


def _require_not_paused(dataset: str) -> None:
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


def _plan(declared: Declarations, contract: Contract, started_by: str) -> Run:
    shares = shares_of(declared, contract, keyring())
    protection = protection_of(shares, declared, keyring())
    with engine(Role.WRITER).begin() as connection:
        plan.require_applied(declared, connection, {share.layout.library for share in shares})
        _discard_unfinished(connection, contract.dataset, started_by)
        window = _window_start(connection, contract, protection)
        batch = batches.begin(
            connection,
            {
                "dataset": contract.dataset, "started_by": started_by, "contract_version": contract.version,
                "policy_version": declared.policy.version, "code_version": code_version(), "protection": protection,
                "cursor_field": window.cursor, "cursor_after": window.after,
            },
        )  # fmt: skip
    checks = checks_of(contract, declared.kinds, declared.codes)
    single = _single(contract, shares).values()
    checks += tuple(set_check("duplicate_subject", (share.given.subject,), contract=contract) for share in single)
    checks += tuple(set_check("owner", (_owner_field(share),), contract=contract) for share in shares if share.entity.owner)
    return Run(
        declared=declared,
        contract=contract,
        shares=shares,
        checks=checks,
        protection=protection,
        batch=batch,
        window=window,
        started_by=started_by,
    )


def _single(contract: Contract, shares: tuple[Share, ...]) -> dict[int, Share]:
    """Return the shares of which a second row for one subject is a mistake, unless the row key is the subject itself."""
    return {number: share for number, share in enumerate(shares) if share.one_row_per_subject and contract.key != (share.given.subject,)}


def _owner_field(share: Share) -> str:
    assert share.entity.owner is not None  # noqa: S101 (the caller asked)
    return share.given.fields[share.entity.owner.field]


def _window_start(connection: sa.Connection, contract: Contract, protection: str) -> Window:
    """Return where reading begins: after the watermark, or at the beginning if rows must be protected anew."""
    if contract.sync.mode is Mode.FULL or contract.sync.cursor is None:
        return Window()
    cursor = contract.field(contract.sync.cursor).source_column
    query = sa.text("SELECT cursor, protection FROM hub.watermark WHERE dataset = :dataset")
    mark = connection.execute(query, {"dataset": contract.dataset}).one_or_none()
    if mark is None or mark.protection != protection:
        return Window(cursor=cursor)
    return Window(cursor=cursor, after=mark.cursor)


def _discard_unfinished(connection: sa.Connection, dataset: str, actor: str) -> None:
    unfinished = sa.text("SELECT id FROM hub.batch WHERE dataset = :dataset AND state IN ('planned', 'staged')")
    for (batch,) in connection.execute(unfinished, {"dataset": dataset}).all():
        throw_away(connection, batch, dataset, actor, reason="a later run took its place")


def _discard(batch: int, actor: str, *, reason: str) -> None:
    with engine(Role.WRITER).begin() as connection:
        throw_away(connection, batch, batches.find(connection, batch).dataset, actor, reason=reason)


# Staging


def _stage(run: Run, progress: Progress) -> None:
    seconds = Seconds()
    began = time.perf_counter()
    with open_source(run.declared, run.contract, now=datetime.now(UTC)) as source, _staging(run) as stage:
        window, until = _window(run, source)
        began = seconds.of("open", began)
        columns = _key_columns(run)
        keys = key_pass(
            source, run.contract, run.shares, stage, columns,
            key=run.shares[0].protection.checksum_key, timezone=_timezone(run), progress=progress,
        )  # fmt: skip
        began = seconds.of("key_pass", began)
        earlier = Counter(source.oddities)
        outcome = _take(run, source, window, stage, keys, seconds=seconds, progress=progress)
        if window.bounded and reconciliation.unseen(stage, run.shares, run.contract):
            window = Window()
            stage.empty()
            earlier = Counter(source.oddities)
            outcome = _take(run, source, window, stage, keys, seconds=seconds, progress=progress)
        outcome.oddities = source.oddities - earlier
        snapshot = source.snapshot
        stage.analyze([stage.names.rows(number) for number in range(len(run.shares))])
        stage.commit()
    seconds.of("stream", began)
    began = time.perf_counter()
    verdict = gates.judge_batch(run.contract, run.checks, outcome, run.batch)
    seconds.of("gate", began)
    _record_staged(run, window, until, keys=keys, outcome=outcome, verdict=verdict, seconds=seconds, snapshot=snapshot)


@contextmanager
def _staging(run: Run) -> Iterator[Stage]:
    with engine(Role.WRITER).connect() as connection:
        empty = tuple(
            not scalar(connection, f"SELECT count(*) FROM (SELECT FROM {quoted(share.table.library, share.table.name)} LIMIT 1) one")
            for share in run.shares
        )
    stage = Stage(Names(batch=run.batch), run.shares, first=empty, key_columns=_key_columns(run).names)
    try:
        yield stage
    finally:
        stage.close()


def _key_columns(run: Run) -> KeyColumns:
    single = _single(run.contract, run.shares)
    checks = [check for check in run.checks if check.rule == "duplicate_subject"]
    references = tuple(_reference(run.declared, check) for check in run.checks if check.rule == "reference")
    return KeyColumns(single=dict(zip(single, checks, strict=True)), references=references)


def _reference(declared: Declarations, check: Check) -> Reference:
    path = str(check.parameters["entity"])
    layout, entity = layout_of(declared, path), declared.entity(path)[1]
    existing = f"SELECT k.key FROM {layout.spine} k JOIN {quoted(layout.library, layout.entity)} v ON v.subject = k.subject"
    return Reference(check=check, kind=declared.kinds[entity.subject], existing=existing)


def _timezone(run: Run) -> str:
    return run.declared.sources[run.contract.source].timezone


def _window(run: Run, source: Connector) -> tuple[Window, str | None]:
    """Return the window to read, and the cursor value up to which the library will be in step.

    It opens earlier than the watermark by the declared lateness, and closes at the source's newest value.
    """
    cursor, after = run.window.cursor, run.window.after
    if cursor is None:
        return Window(), None
    until = source.newest(cursor)
    if after is None:
        return Window(), until
    late = run.contract.sync.late_seconds
    return Window(cursor=cursor, after=source.earlier(after, late) if late else after, until=until), until


def _take(
    run: Run, source: Connector, window: Window, stage: Stage, keys: KeyPass, *, seconds: Seconds, progress: Progress
) -> gates.Outcome:
    stream = Stream(
        contract=run.contract,
        shares=run.shares,
        checks=run.checks,
        failing_keys={name: values for name, values in keys.failing.items() if name in {check.id for check in run.checks}},
        owners=dict(_owners(run)),
        quarantine_key=keyring().key("quarantine"),
        batch=run.batch,
        today=datetime.now(ZoneInfo(settings().timezone)).date(),
        timezone=_timezone(run),
        seconds=seconds,
    )
    outcome = gates.Outcome()
    for taken in ahead(stream.take(source, window)):
        began = time.perf_counter()
        for number, rows in enumerate(taken.shares):
            stage.write_share(number, rows)
        stage.write("quarantine", taken.quarantined, schema="hub")
        seconds.of("write", began)
        outcome.add(taken)
        progress("rows", outcome.read)
    return outcome


def _owners(run: Run) -> Iterator[tuple[str, tuple[str, object, int | None]]]:
    import pyarrow as pa  # noqa: PLC0415 (only here)

    checks = {check.fields[0]: check.id for check in run.checks if check.rule == "owner"}
    for share in run.shares:
        owner = share.entity.owner
        if owner is not None:
            field = _owner_field(share)
            allowed = [value for value, dataset in owner.datasets.items() if dataset == run.contract.dataset]
            yield checks[field], (field, pa.array(allowed, pa.string()), owner.first)


def _record_staged(
    run: Run,
    window: Window,
    until: str | None,
    *,
    keys: KeyPass,
    outcome: gates.Outcome,
    verdict: gates.Gate,
    seconds: Seconds,
    snapshot: str | None,
) -> None:
    counts = outcome.counts() | {"source_rows": keys.rows, "without_key": keys.without_key, "repeated_keys": keys.repeated}
    with engine(Role.WRITER).begin() as connection:
        tables = staged(Names(batch=run.batch), run.shares, reprotected=False)
        reasons = [*verdict.reasons, *gates.deletes(connection, run.contract, tables)]
        counts |= {"staged": staged_rows(connection, run)}
        batches.record_checks(connection, run.batch, verdict.results)
        batches.update(
            connection, run.batch, state="held" if reasons else "staged", snapshot=snapshot, cursor_after=window.after, cursor_until=until,
            counts=counts, seconds={step: round(spent, 3) for step, spent in seconds.spent.items()},
            source_checksum=reconciliation.shown(keys.checksum), gate={"passed": not reasons, "reasons": reasons}, docs=verdict.docs,
        )  # fmt: skip
        facts = {"batch": run.batch, "dataset": run.contract.dataset}
        if reasons:
            make_durable(connection, run.batch)
            record(connection, Event.BATCH_HELD, actor=run.started_by, details=facts | {"reasons": reasons})
        else:
            numbers = {name: counts[name] for name in ("read", "valid", "quarantined")}
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
        with engine(Role.WRITER).begin() as connection:
            state = batches.find(connection, batch_id).state
            if state != "held":
                raise Refused(f"batch {batch_id} is {state}, not held", remedy="only a held batch can be released")
            batches.update(connection, batch_id, reason=reason)
            record(connection, Event.BATCH_RELEASED, actor=by, details={"batch": batch_id, "dataset": dataset, "reason": reason})
        published = publish_staged(batch_id, by, release=True)
    return published if published is not None else sync(dataset, started_by=by)


def discard(batch_id: int, *, by: str, reason: str) -> None:
    """Throw a staged or held batch away, with the reason in the audit log. The libraries stay as they are."""
    with job_lock(_dataset_of(batch_id)):
        with engine(Role.READER).connect() as connection:
            batch = batches.find(connection, batch_id)
        if batch.state not in {"staged", "held"}:
            raise Refused(f"batch {batch_id} is {batch.state}", remedy="only a staged or held batch can be discarded")
        _discard(batch_id, by, reason=reason)
