"""Publishing a staged batch: its libraries, watermark, counts and audit entry, in one transaction."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import cast

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from connectors.protocol import Window
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Rejected, Unavailable
from hub.flows import batches, checkpoints, holding, reconciliation
from hub.flows.keys import keyring
from hub.flows.readiness import require_ready
from hub.flows.runs import Published, Run, emptied, throw_away
from hub.flows.shares import protection_of, shares_of
from hub.flows.staging import Names, drop, staged
from hub.flows.suppression import erased_since
from libraries import plan
from libraries.publishing import Merged, merge
from libraries.versions import current_version, lock, record_version
from schemas.declarations import declarations


def publish_staged(batch_id: int, started_by: str, *, release: bool) -> Published | None:
    """Merge a staged batch and return what changed, or ``None`` if it must be read again. The caller holds the job's lock."""
    with engine(Role.READER).connect() as connection:
        batch = batches.find(connection, batch_id)
    if batch.state == "published":
        checkpoints.note()  # the task that published it may have been killed before it came to that
        return _published_before(batch)
    run = _resume(batch, started_by, release=release)
    if run is None:
        return None
    try:
        return _publish(run, batch)
    except reconciliation.Disagreement as found:
        holding.settle_disagreement(batch, found, started_by)
        return None


def _published_before(batch: batches.Batch) -> Published:
    versions = cast("dict[str, int]", batch.counts["versions"])
    entities = cast("dict[str, dict[str, int]]", batch.counts["entities"])
    return Published(batch=batch.id, versions=versions, merged={path: Merged(**counts) for path, counts in entities.items()})


def _resume(batch: batches.Batch, started_by: str, *, release: bool) -> Run | None:
    """Return the run that continues *batch*, or ``None`` if it must be read again."""
    if batch.state == "held" and not release:
        raise holding.held(batch)
    if batch.state not in {"staged", "held"}:
        raise Rejected(f"batch {batch.id} of {batch.dataset} is {batch.state}, not staged", remedy="run the job again")
    declared = declarations()
    contract = declared.contract(batch.dataset)
    shares = shares_of(declared, contract, keyring())
    protection = protection_of(shares, declared, keyring())
    run = Run(
        declared=declared,
        contract=contract,
        shares=shares,
        checks=(),
        protection=protection,
        batch=batch.id,
        window=Window(),
        started_by=started_by,
    )
    with engine(Role.WRITER).begin() as connection:
        require_ready(connection)
        plan.require_applied(declared, connection, {share.layout.library for share in shares})
        intact = protection == batch.protection and _intact(connection, run, batch)
        if not intact:
            throw_away(connection, batch.id, batch.dataset, started_by, reason="its staged rows no longer fit; read again")
    return run if intact else None


def _intact(connection: sa.Connection, run: Run, batch: batches.Batch) -> bool:
    """Whether staging still holds what was counted, and the libraries still hold what it was compared with.

    A crash of the server empties unlogged tables; an act other than publishing may have changed the dataset's rows.
    """
    present = sa.text("SELECT to_regclass(:name) IS NOT NULL")
    if not connection.execute(present, {"name": f"staging.{Names(batch=batch.id).closing}"}).scalar_one():
        return False
    staged = cast("dict[str, int]", batch.counts["staged"])
    return not emptied(connection, run, staged) and not _changed_since(connection, batch)


def _changed_since(connection: sa.Connection, batch: batches.Batch) -> bool:
    versions = cast("dict[str, int]", batch.counts["based_on"])
    query = sa.text(
        "SELECT EXISTS (SELECT FROM hub.library_version v LEFT JOIN hub.batch b ON b.id = v.batch WHERE v.library = :library "
        "AND v.version > :version AND (v.cause NOT IN ('publish', 'authority') OR b.dataset = :dataset))"
    )
    given = ({"library": library, "version": version, "dataset": batch.dataset} for library, version in versions.items())
    return any(connection.execute(query, one).scalar_one() for one in given)


def _publish(run: Run, batch: batches.Batch) -> Published | None:
    began = time.perf_counter()
    names = Names(batch=run.batch)
    with engine(Role.WRITER).begin() as connection:
        for library in run.libraries:
            lock(connection, library)
        if (state := batches.claim(connection, batch.id)) != batch.state:
            raise Unavailable(
                f"batch {batch.id} of {batch.dataset} is {state} by now: while the database was away, another run took this one's place",
                remedy="`hub batch list` shows what became of it; run the job again if it was discarded",
            )
        if erased_since(connection, batch.counts):
            throw_away(connection, batch.id, batch.dataset, run.started_by, reason="somebody was erased since it was read; read again")
            return None
        waiting = {library: current_version(connection, library) + 1 for library in run.libraries}
        unchanged = cast("dict[str, int]", batch.counts["unchanged"])
        counted = cast("dict[str, int]", batch.counts["staged"])
        shares = staged(names, run.shares, reprotected=_is_reprotected(connection, run), unchanged=unchanged, counted=counted)
        merged = {share.path: merge(connection, one, waiting[share.layout.library]) for share, one in zip(run.shares, shares, strict=True)}
        changed = sorted({path.split(".")[0] for path, result in merged.items() if result.anything})
        versions = {library: record_version(connection, library, run.batch) for library in changed}
        number = reconciliation.accountable_share(run)
        path, one = run.shares[number].path, shares[number]
        accepted = batch.state == "held" and holding.names_a_disagreement(batch)
        target = reconciliation.reconcile(connection, run, batch, merged[path], one, waiting[one.layout.library], accepted=accepted)
        whole = bool(batch.counts["whole"]) and "replayed" not in batch.counts
        reconciliation.close_quarantine(connection, run.contract.dataset, names, full=whole)
        _record_published(connection, run, batch, merged, versions, str(target), seconds=time.perf_counter() - began)
        drop(connection, run.batch)
    checkpoints.note()
    return Published(batch=run.batch, versions=versions, merged=merged)


def _is_reprotected(connection: sa.Connection, run: Run) -> bool:
    query = sa.text("SELECT protection FROM hub.watermark WHERE dataset = :dataset")
    earlier = connection.execute(query, {"dataset": run.contract.dataset}).scalar_one_or_none()
    return earlier is not None and earlier != run.protection


def _record_published(
    connection: sa.Connection,
    run: Run,
    batch: batches.Batch,
    merged: dict[str, Merged],
    versions: dict[str, int],
    target: str,
    *,
    seconds: float,
) -> None:
    counts = {path: asdict(result) for path, result in merged.items()}
    batches.update(
        connection, run.batch, state="published", ended_at=datetime.now(UTC), target_checksum=target,
        counts=batch.counts | {"entities": counts, "versions": versions}, seconds=batch.seconds | {"publish": round(seconds, 3)},
    )  # fmt: skip
    cursor = None if "asked" in batch.counts else batch.cursor_until
    connection.execute(
        sa.text(
            "INSERT INTO hub.watermark (dataset, cursor, protection, batch) VALUES (:dataset, :cursor, :protection, :batch) "
            "ON CONFLICT (dataset) DO UPDATE SET cursor = coalesce(excluded.cursor, hub.watermark.cursor), "
            "protection = excluded.protection, batch = excluded.batch"
        ),
        {
            "dataset": run.contract.dataset,
            "cursor": cursor,
            "protection": run.protection,
            "batch": run.batch,
        },
    )
    details = {"batch": run.batch, "dataset": run.contract.dataset, "versions": versions, "counts": counts, "target_checksum": target}
    record(connection, Event.BATCH_PUBLISHED, actor=run.started_by, details=json.loads(json.dumps(details)))
