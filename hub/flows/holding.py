"""Holding a batch for an officer: what was staged is made durable and the reasons are recorded, in one transaction."""

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Rejected
from hub.flows import batches
from hub.flows.batches import Batch
from hub.flows.reasons import Reason, as_gate, in_words, reasons_of
from hub.flows.reconciliation import Disagreement
from hub.flows.runs import throw_away
from hub.flows.staging import make_durable


def hold(connection: sa.Connection, batch: int, dataset: str, reasons: tuple[Reason, ...], actor: str) -> None:
    """Hold *batch* for *reasons* in the caller's transaction."""
    make_durable(connection, batch)
    gate = as_gate(reasons)
    batches.update(connection, batch, state="held", gate=gate)
    record(connection, Event.BATCH_HELD, actor=actor, details={"batch": batch, "dataset": dataset, "reasons": gate["reasons"]})


def held(batch: Batch) -> Rejected:
    """Return the error that says why *batch* waits for an officer."""
    return Rejected(
        f"batch {batch.id} of {batch.dataset} is held: {in_words(reasons_of(batch))}",
        remedy=f"`hub batch show {batch.id}`, then release or discard it",
    )


def names_a_disagreement(batch: Batch) -> bool:
    """Whether *batch* is known not to add up: an officer who releases it has been told."""
    return any(reason.rule == "reconciliation" for reason in reasons_of(batch))


def settle_disagreement(batch: Batch, found: Disagreement, actor: str) -> None:
    """Deal with a batch whose keys do not add up after the merge, which was rolled back.

    The first time it is thrown away, to be read once more: a source without a snapshot may have moved while it was read.
    If the next batch does not add up either, or an officer is releasing it, it is held: :class:`Rejected`.
    """
    reasons = (*reasons_of(batch), found.reason)
    with engine(Role.WRITER).begin() as connection:
        if batch.state == "staged" and not _disagreed_before(connection, batch):
            batches.update(connection, batch.id, gate=as_gate(reasons))
            throw_away(connection, batch.id, batch.dataset, actor, reason=f"{found.reason.en}; read once more")
            return
        hold(connection, batch.id, batch.dataset, reasons, actor)
        raise_for = batches.find(connection, batch.id)
    raise held(raise_for)


def _disagreed_before(connection: sa.Connection, batch: Batch) -> bool:
    query = sa.text("SELECT max(id) FROM hub.batch WHERE dataset = :dataset AND id < :id")
    earlier = connection.execute(query, {"dataset": batch.dataset, "id": batch.id}).scalar_one()
    if earlier is None:
        return False
    previous = batches.find(connection, earlier)
    return previous.state == "discarded" and names_a_disagreement(previous)
