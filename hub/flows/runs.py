"""One run of a job: what it works with, what it left in staging, and how it is thrown away."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from connectors.protocol import Window
from hub.flows import batches
from hub.flows.shares import Share
from hub.flows.staging import Names, drop
from hub.flows.windows import AS_DECLARED, Asked
from libraries.publishing import Merged
from libraries.statements import scalar
from libraries.views import quoted
from schemas.contract import Contract
from schemas.declarations import Declarations
from schemas.rules.checks import Check, set_check


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run works with: the declarations it was planned by, its shares, its window, and what an officer asked of it."""

    declared: Declarations
    contract: Contract
    shares: tuple[Share, ...]
    checks: tuple[Check, ...]
    protection: str
    batch: int
    window: Window
    started_by: str
    asked: Asked = AS_DECLARED

    @property
    def libraries(self) -> tuple[str, ...]:
        """Names of the libraries it contributes to, sorted."""
        return tuple(sorted({share.layout.library for share in self.shares}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a published batch did: new versions by library, rows by entity."""

    batch: int
    versions: dict[str, int]
    merged: dict[str, Merged]


def accountable(shares: tuple[Share, ...], contract: Contract) -> int | None:
    """Return the number of a share to which every valid row of *contract* gives a row; ``None`` if there is none."""
    return next((number for number, share in enumerate(shares) if share.given.pick is None and _always_speaks(share, contract)), None)


def _always_speaks(share: Share, contract: Contract) -> bool:
    fields = [contract.field(name) for name in share.given.subject]
    return all((field.required or field.name in contract.key) and field.kind_by is None for field in fields)


def single_shares(contract: Contract, shares: tuple[Share, ...]) -> dict[int, Check]:
    """Return the checks of shares of which a second row for one subject is a mistake, by number of the share.

    Where the row key is the subject itself, the check of the key says it all.
    """
    return {
        number: set_check("duplicate_subject", share.given.subject, contract=contract)
        for number, share in enumerate(shares)
        if share.one_row_per_subject and contract.key != share.given.subject
    }


def throw_away(connection: sa.Connection, batch: int, dataset: str, actor: str, *, reason: str) -> None:
    """Discard *batch* with its staging tables and quarantined rows, and record why; one that another run has settled stays as it is."""
    if batches.claim(connection, batch) not in batches.UNSETTLED:
        return
    drop(connection, batch)
    # Nobody is shown what was never published, and its keys must not count as known when the source is read again.
    connection.execute(sa.text("DELETE FROM hub.quarantine WHERE batch = :batch"), {"batch": batch})
    batches.update(connection, batch, state="discarded", reason=reason, ended_at=datetime.now(UTC))
    record(connection, Event.BATCH_DISCARDED, actor=actor, details={"batch": batch, "dataset": dataset, "reason": reason})


def staged_rows(connection: sa.Connection, run: Run) -> dict[str, int]:
    """Count the rows of every staging table of the run's batch."""
    return {table: scalar(connection, f"SELECT count(*) FROM {quoted('staging', table)}") for table in _tables(run)}


def emptied(connection: sa.Connection, run: Run, staged: Mapping[str, int]) -> bool:
    """Whether staging tables that had rows have none, as a crash of the server leaves the unlogged ones, or are not there."""
    if set(staged) != set(_tables(run)):
        return True
    wanted = [quoted("staging", table) for table, rows in staged.items() if rows]
    return not all(connection.execute(sa.text(f"SELECT EXISTS (SELECT FROM {table})")).scalar_one() for table in wanted)


def _tables(run: Run) -> tuple[str, ...]:
    return Names(batch=run.batch).all(len(run.shares))
