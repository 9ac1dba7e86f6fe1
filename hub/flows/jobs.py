"""Jobs: what is declared, how each last went, and whether it may run."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.flows.readiness import acting
from schemas.contract import Contract
from schemas.declarations import declarations


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """One job: its contract, whether it is paused and why, and its newest batch (``None`` before the first run)."""

    contract: Contract
    department_zh: str
    connector: str
    paused: bool
    reason: str | None
    batch: int | None
    state: str | None
    started_at: datetime | None
    counts: dict[str, object]
    drift: list[dict[str, object]]


def listed() -> tuple[JobState, ...]:
    """Return every job, by department and dataset."""
    declared = declarations()
    newest = sa.text("SELECT DISTINCT ON (dataset) dataset, id, state, started_at, counts, drift FROM hub.batch ORDER BY dataset, id DESC")
    with engine(Role.READER).connect() as connection:
        batches = {row.dataset: row for row in connection.execute(newest)}
        paused = {row.dataset: row.reason for row in connection.execute(sa.text("SELECT dataset, reason FROM hub.job WHERE paused"))}
    found = []
    for contract in sorted(declared.contracts.values(), key=lambda each: (each.department, each.dataset)):
        batch = batches.get(contract.dataset)
        found.append(
            JobState(
                contract=contract,
                department_zh=declared.departments[contract.department].title.zh,
                connector=declared.sources[contract.source].connector,
                paused=contract.dataset in paused,
                reason=paused.get(contract.dataset),
                batch=batch.id if batch else None,
                state=batch.state if batch else None,
                started_at=batch.started_at if batch else None,
                counts=batch.counts if batch else {},
                drift=batch.drift if batch else [],
            )
        )
    return tuple(found)


def pause(dataset: str, *, by: str, reason: str | None) -> None:
    """Let the job start no more, whoever starts it; a run under way goes on. Recorded with its reason."""
    _set(dataset, paused=True, by=by, reason=reason, event=Event.JOB_PAUSED)


def resume(dataset: str, *, by: str, reason: str | None = None) -> None:
    """Let the job run again."""
    _set(dataset, paused=False, by=by, reason=reason, event=Event.JOB_RESUMED)


def _set(dataset: str, *, paused: bool, by: str, reason: str | None, event: Event) -> None:
    declarations().contract(dataset)
    with acting() as connection:
        set_paused(connection, dataset, paused=paused, by=by, reason=reason)
        record(connection, event, actor=by, details={"dataset": dataset, "reason": reason})


def set_paused(connection: sa.Connection, dataset: str, *, paused: bool, by: str, reason: str | None) -> None:
    """Note in the caller's transaction that the job may or may not start; the caller records why."""
    statement = sa.text(
        "INSERT INTO hub.job (dataset, paused, changed_by, reason) VALUES (:dataset, :paused, :by, :reason) "
        "ON CONFLICT (dataset) DO UPDATE SET paused = :paused, changed_by = :by, changed_at = now(), reason = :reason"
    )
    connection.execute(statement, {"dataset": dataset, "paused": paused, "by": by, "reason": reason})
