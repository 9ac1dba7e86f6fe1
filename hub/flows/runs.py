"""One run of a job: what it works with, what it left in staging, and how it is thrown away."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from connectors.protocol import Window
from hub.flows import batches
from hub.flows.shares import Share
from hub.flows.staging import Names, drop
from libraries.publishing import Merged
from libraries.statements import scalar
from libraries.views import quoted
from schemas.contract import Contract
from schemas.declarations import Declarations
from schemas.rules.checks import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run works with: the declarations it was planned by, its shares, its window."""

    declared: Declarations
    contract: Contract
    shares: tuple[Share, ...]
    checks: tuple[Check, ...]
    protection: str
    batch: int
    window: Window
    started_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a published batch did: new versions by library, rows by entity."""

    batch: int
    versions: dict[str, int]
    merged: dict[str, Merged]


def throw_away(connection: sa.Connection, batch: int, dataset: str, actor: str, *, reason: str) -> None:
    """Discard *batch* with its staging tables and quarantined rows, and record why."""
    drop(connection, batch)
    # Nobody is shown what was never published, and its keys must not count as known when the source is read again.
    connection.execute(sa.text("DELETE FROM hub.quarantine WHERE batch = :batch"), {"batch": batch})
    batches.update(connection, batch, state="discarded", reason=reason, ended_at=datetime.now(UTC))
    record(connection, Event.BATCH_DISCARDED, actor=actor, details={"batch": batch, "dataset": dataset, "reason": reason})


def staged_rows(connection: sa.Connection, run: Run) -> dict[str, int]:
    """Count the staged rows of each share, by ``library.entity``."""
    names = Names(batch=run.batch)
    tables = {share.path: quoted("staging", names.rows(number)) for number, share in enumerate(run.shares)}
    return {path: scalar(connection, f"SELECT count(*) FROM {table}") for path, table in tables.items()}
