"""Taking a published batch back: its libraries, watermark, quarantine and audit entry, in one transaction."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Refused
from hub.flows import batches, checkpoints, jobs
from hub.flows.batches import Batch
from hub.flows.keys import keyring
from hub.flows.locks import job_lock
from hub.flows.readiness import require_ready
from hub.flows.runs import throw_away
from hub.flows.shares import Share, protection_of, shares_of
from libraries import plan
from libraries.layout import EntityLayout, layouts
from libraries.statements import run
from libraries.versions import current_version, lock, record_version
from libraries.withdrawal import Withdrawn, undo_corrections, withdraw
from schemas.declarations import Declarations, declarations


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What taking a batch back did: new versions by library, rows by entity, corrected identifiers undone."""

    batch: int
    dataset: str
    versions: dict[str, int]
    entities: dict[str, Withdrawn]
    corrections: int


def withdraw_batch(batch_id: int, *, by: str, reason: str) -> Withdrawal:
    """Make every row as if the batch had never been, pause its job, and set its watermark back to the batch's beginning.

    Everything happens in one transaction under the publish locks. Resuming the job reads the window again.
    Raise :class:`Refused` for a batch that is not published, or whose tables are no longer those it was published into.
    """
    with engine(Role.READER).connect() as connection:
        dataset = batches.find(connection, batch_id).dataset
    declared = declarations()
    shares = shares_of(declared, declared.contract(dataset), keyring())
    with job_lock(dataset), engine(Role.WRITER).begin() as connection:
        require_ready(connection)
        batch = batches.find(connection, batch_id)
        _require_withdrawable(connection, declared, batch, shares)
        libraries = {share.layout.library for share in shares}
        for library in sorted(libraries):
            lock(connection, library)
        plan.require_applied(declared, connection, libraries)
        _throw_staged_away(connection, batch, by)
        done = _take_out(connection, declared, batch, shares)
        _reopen_quarantine(connection, batch)
        _step_back(connection, batch)
        _record(connection, batch, done, by=by, reason=reason)
    checkpoints.note()
    return done


def _require_withdrawable(connection: sa.Connection, declared: Declarations, batch: Batch, shares: tuple[Share, ...]) -> None:
    if batch.state != "published":
        raise Refused(f"batch {batch.id} is {batch.state}, not published", remedy="only a published batch can be withdrawn")
    if protection_of(shares, declared, keyring()) != batch.protection:
        raise Refused(
            f"the tables, policy or keys of {batch.dataset} changed since batch {batch.id}: its rows no longer fit",
            remedy="run the job: it reads everything anew, and what the source says replaces what the batch brought",
        )
    held = sa.text("SELECT id FROM hub.batch WHERE dataset = :dataset AND state = 'held' LIMIT 1")
    waiting = connection.execute(held, {"dataset": batch.dataset}).scalar_one_or_none()
    if waiting is not None:
        raise Refused(f"batch {waiting} of {batch.dataset} is held", remedy=f"release or discard {waiting} first")


def _throw_staged_away(connection: sa.Connection, batch: Batch, by: str) -> None:
    """Discard what was read after the batch: its window begins where the batch's ended."""
    query = sa.text("SELECT id FROM hub.batch WHERE dataset = :dataset AND state IN ('planned', 'staged')")
    for (staged,) in connection.execute(query, {"dataset": batch.dataset}).all():
        throw_away(connection, staged, batch.dataset, by, reason=f"batch {batch.id} before it was withdrawn")


def _take_out(connection: sa.Connection, declared: Declarations, batch: Batch, shares: tuple[Share, ...]) -> Withdrawal:
    query = sa.text("SELECT library, version FROM hub.library_version WHERE batch = :batch AND cause = 'publish' ORDER BY library")
    made = {row.library: row.version for row in connection.execute(query, {"batch": batch.id})}
    waiting = {library: current_version(connection, library) + 1 for library in made}
    entities = {
        share.path: withdraw(
            connection, share.table, batch=batch.id, made=made[share.layout.library], version=waiting[share.layout.library]
        )
        for share in shares
        if share.layout.library in made
    }
    corrections = sum(
        undo_corrections(connection, _of_one_spine(declared, share), batch=batch.id, made=made[share.layout.library])
        for share in shares
        if share.layout.library in made and batch.dataset in share.layout.exists_by
    )
    changed = sorted({path.split(".")[0] for path, done in entities.items() if done.anything})
    versions = {library: record_version(connection, library, batch.id, cause="withdrawal") for library in changed}
    return Withdrawal(batch=batch.id, dataset=batch.dataset, versions=versions, entities=entities, corrections=corrections)


def _of_one_spine(declared: Declarations, share: Share) -> tuple[EntityLayout, ...]:
    return tuple(layout for layout in layouts(declared) if layout.spine == share.layout.spine)


def _reopen_quarantine(connection: sa.Connection, batch: Batch) -> None:
    """Let rows wait again that the batch had closed, unless a later batch quarantined them anew; its own were never there."""
    run(connection, f"DELETE FROM hub.quarantine WHERE batch = {batch.id:d}")
    run(
        connection,
        f"UPDATE hub.quarantine q SET closed_by = NULL WHERE q.closed_by = {batch.id:d} AND NOT EXISTS "
        f"(SELECT FROM hub.quarantine n WHERE n.dataset = q.dataset AND n.row_key = q.row_key AND n.batch > q.batch)",
    )


def _step_back(connection: sa.Connection, batch: Batch) -> None:
    """Set the watermark to where the batch began, under the protection that held then, unless it stands further back already.

    It then names the batch withdrawn; a watermark that names an older withdrawn one was not read past since.
    """
    earlier = sa.text(
        "SELECT protection FROM hub.batch WHERE dataset = :dataset AND id < :batch AND state = 'published' ORDER BY id DESC LIMIT 1"
    )
    protection = connection.execute(earlier, {"dataset": batch.dataset, "batch": batch.id}).scalar_one_or_none()
    back = sa.text(
        "UPDATE hub.watermark w SET cursor = :cursor, protection = :protection, batch = :batch WHERE w.dataset = :dataset "
        "AND NOT EXISTS (SELECT FROM hub.batch b WHERE b.id = w.batch AND b.state = 'withdrawn' AND b.id < :batch)"
    )
    values = {"cursor": batch.cursor_after, "protection": protection or batch.protection, "batch": batch.id, "dataset": batch.dataset}
    connection.execute(back, values)


def _record(connection: sa.Connection, batch: Batch, done: Withdrawal, *, by: str, reason: str) -> None:
    counts = {path: asdict(one) for path, one in done.entities.items()} | {"corrections": done.corrections}
    batches.update(connection, batch.id, state="withdrawn", reason=reason, counts=batch.counts | {"withdrawn": counts})
    details = {"batch": batch.id, "dataset": batch.dataset, "reason": reason, "versions": done.versions, "counts": counts}
    record(connection, Event.BATCH_WITHDRAWN, actor=by, details=details)
    why = f"batch {batch.id} was withdrawn: {reason}"
    jobs.set_paused(connection, batch.dataset, paused=True, by=by, reason=why)
    record(connection, Event.JOB_PAUSED, actor=by, details={"dataset": batch.dataset, "reason": why})
