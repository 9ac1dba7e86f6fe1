"""Publishing a staged batch: its libraries, watermark, counts and audit entry, in one transaction."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import cast

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from connectors.protocol import Window
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Rejected
from hub.flows import batches, reconciliation
from hub.flows.keys import keyring
from hub.flows.runs import Published, Run, staged_rows, throw_away
from hub.flows.shares import protection_of, shares_of
from hub.flows.staging import Names, drop, staged
from libraries import plan
from libraries.publishing import Merged, merge
from libraries.statements import scalar
from libraries.versions import current_version, lock, record_version
from libraries.views import quoted
from masking.fingerprints import KeyChecksum
from schemas.declarations import declarations

Progress = Callable[[str, int], None]


def publish_staged(batch_id: int, started_by: str, *, release: bool) -> Published | None:
    """Merge a staged batch and return what changed, or ``None`` if it must be read again. The caller holds the job's lock."""
    with engine(Role.READER).connect() as connection:
        batch = batches.find(connection, batch_id)
    if batch.state == "published":
        return _published_before(batch)
    run = _resume(batch, started_by, release=release)
    return _publish(run, batch) if run is not None else None


def _published_before(batch: batches.Batch) -> Published:
    versions = cast("dict[str, int]", batch.counts["versions"])
    entities = cast("dict[str, dict[str, int]]", batch.counts["entities"])
    return Published(batch=batch.id, versions=versions, merged={path: Merged(**counts) for path, counts in entities.items()})


def _resume(batch: batches.Batch, started_by: str, *, release: bool) -> Run | None:
    """Return the run that continues *batch*, or ``None`` if it must be read again."""
    if batch.state == "held" and not release:
        reasons = "; ".join(str(reason) for reason in (batch.gate or {}).get("reasons", []))  # type: ignore[attr-defined]
        raise Rejected(
            f"batch {batch.id} of {batch.dataset} is held: {reasons}", remedy=f"`hub batch show {batch.id}`, then release or discard it"
        )
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
        plan.require_applied(declared, connection, {share.layout.library for share in shares})
        intact = protection == batch.protection and _intact(connection, run, batch)
        if not intact:
            throw_away(connection, batch.id, batch.dataset, started_by, reason="its staged rows no longer fit; read again")
    return run if intact else None


def _intact(connection: sa.Connection, run: Run, batch: batches.Batch) -> bool:
    """Whether staging still holds what was counted (a crash of the server empties unlogged tables)."""
    present = sa.text("SELECT to_regclass(:name) IS NOT NULL")
    if not connection.execute(present, {"name": f"staging.{Names(batch=batch.id).keys}"}).scalar_one():
        return False
    rows = scalar(connection, f"SELECT count(*) FROM {quoted('staging', Names(batch=batch.id).keys)}")
    expected = int(batch.counts["source_rows"]) - int(batch.counts["without_key"])  # type: ignore[call-overload]
    return rows == expected and staged_rows(connection, run) == batch.counts["staged"]


def _publish(run: Run, batch: batches.Batch) -> Published:
    began = time.perf_counter()
    names = Names(batch=run.batch)
    with engine(Role.WRITER).begin() as connection:
        libraries = sorted({share.layout.library for share in run.shares})
        for library in libraries:
            lock(connection, library)
        waiting = {library: current_version(connection, library) + 1 for library in libraries}
        reprotected = _is_reprotected(connection, run)
        merged = {
            share.path: merge(connection, one, waiting[share.layout.library])
            for share, one in zip(run.shares, staged(names, run.shares, reprotected=reprotected), strict=True)
        }
        changed = sorted({path.split(".")[0] for path, result in merged.items() if result.anything})
        versions = {library: record_version(connection, library, run.batch) for library in changed}
        target = reconciliation.shown(_reconcile(connection, run, batch, names))
        reconciliation.close_quarantine(connection, run.contract.dataset, names, run.shares, full=batch.cursor_after is None)
        _record_published(connection, run, batch, merged, versions, target, seconds=time.perf_counter() - began)
        drop(connection, run.batch)
    return Published(batch=run.batch, versions=versions, merged=merged)


def _reconcile(connection: sa.Connection, run: Run, batch: batches.Batch, names: Names) -> KeyChecksum:
    key = run.shares[0].protection.checksum_key
    repeated = bool(batch.counts["repeated_keys"])
    source = batch.source_checksum or ""
    return reconciliation.reconcile(connection, run.shares, run.contract, names, source=source, repeated=repeated, key=key)


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
    connection.execute(
        sa.text(
            "INSERT INTO hub.watermark (dataset, cursor, protection, batch) VALUES (:dataset, :cursor, :protection, :batch) "
            "ON CONFLICT (dataset) DO UPDATE SET cursor = coalesce(excluded.cursor, hub.watermark.cursor), "
            "protection = excluded.protection, batch = excluded.batch"
        ),
        {"dataset": run.contract.dataset, "cursor": batch.cursor_until, "protection": run.protection, "batch": run.batch},
    )
    details = {"batch": run.batch, "dataset": run.contract.dataset, "versions": versions, "counts": counts, "target_checksum": target}
    record(connection, Event.BATCH_PUBLISHED, actor=run.started_by, details=json.loads(json.dumps(details)))
