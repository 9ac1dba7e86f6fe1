"""An officer's decision on a held batch, wherever it is taken: what to look at, and what became of it."""

import sqlalchemy as sa

from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Mistake, Rejected
from hub.flows import batches, sync
from hub.flows.batches import Batch
from hub.flows.reasons import reasons_of


def publish_or_hold(batch_id: int, *, started_by: str) -> Batch | None:
    """Publish a staged batch; return the batch that waits for an officer instead, or ``None`` if it was published.

    The one that waits may be another than *batch_id*: what no longer fits is read again.
    """
    try:
        sync.publish(batch_id, started_by=started_by)
    except Rejected:
        waiting = _waiting(batch_id)
        if waiting is None:
            raise
        return waiting
    return None


def _waiting(batch_id: int) -> Batch | None:
    query = sa.text(
        "SELECT h.id FROM hub.batch b JOIN hub.batch h USING (dataset) WHERE b.id = :id AND h.state = 'held' ORDER BY 1 DESC LIMIT 1"
    )
    with engine(Role.READER).connect() as connection:
        found = connection.execute(query, {"id": batch_id}).scalar_one_or_none()
        return batches.find(connection, found) if found is not None else None


def state_of(batch_id: int) -> str:
    """Return the state of a batch: ``held`` as long as it waits."""
    with engine(Role.READER).connect() as connection:
        return batches.find(connection, batch_id).state


def decide(batch_id: int, *, release: bool, by: str, reason: str) -> None:
    """Release or discard a held batch. A reason that says nothing is a :class:`Mistake`: it is what the record is for."""
    if not reason.strip():
        raise Mistake("a decision needs a reason", remedy="say in a few words why")
    if release:
        sync.release(batch_id, by=by, reason=reason.strip())
    else:
        sync.discard(batch_id, by=by, reason=reason.strip())


_QUESTION = """\
批次 {id}（`{dataset}`）未发布，基础库保持原样。
Batch {id} of `{dataset}` is not published; the library is as it was.

| 规则 rule | 实测 measured | 上限 limit | 原因 reason | 怎么办 what to do |
|---|---|---|---|---|
{reasons}

`hub batch show {id}` · `hub quarantine show {dataset}`
"""


def question(batch: Batch) -> str:
    """Return what an officer is asked about a held batch, in Markdown: every reason, in both languages, without a value."""
    rows = (
        f"| `{one.rule}` | {one.measured} | {one.limit} | {one.zh}<br>{one.en} | {one.do_zh}<br>{one.do_en} |" for one in reasons_of(batch)
    )
    return _QUESTION.format(id=batch.id, dataset=batch.dataset, reasons="\n".join(rows))
