"""Is the source still what it was? Found before a row moves, recorded with the batch, handled as the contract says."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pyarrow as pa
import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from connectors.protocol import Connector, Window
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Rejected
from hub.flows.reasons import Reason
from hub.flows.runs import Run
from schemas.contract import Contract
from schemas.drift import Reaction
from schemas.shapes import Change, Shape, changes, indispensable, sentences, shape_of, told


def watched(run: Run, source: Connector) -> Connector:
    """Compare *source* with the contract and with the last published batch; return it ready to be read.

    What changed is recorded with the batch and, once, in the audit log. Raise :class:`Rejected` where the contract
    says ``fail``; what it says to hold is given by :func:`reasons`. A missing column that the run can do without is read as null.
    """
    columns = source.columns()
    with engine(Role.WRITER).begin() as connection:
        accepted = _accepted(connection, run.contract.dataset)
        found = tuple(changes(run.contract, columns, accepted))
        _record(connection, run, shape_of(columns, run.contract), found)
    failing = [one for one in found if one.reaction is Reaction.FAIL and not one.known]
    if failing:
        raise Rejected(
            "; ".join(told(one.record()) for one in failing),
            remedy="ask the department whether it changed its table or took the right to read away; "
            "then correct the contract (`column`, `type`, or `drift` if it may be so) and raise its version",
        )
    return filled(run.contract, source)


def filled(contract: Contract, source: Connector) -> Connector:
    """Return *source* with null for each column of *contract* that it lacks and the run can do without."""
    have, needed = set(source.columns().names), indispensable(contract)
    lacking = {field.source_column for field in contract.fields if field.source_column not in have and field.name not in needed}
    return cast("Connector", _Filled(source, lacking)) if lacking else source


def reasons(connection: sa.Connection, batch: int) -> tuple[Reason, ...]:
    """Return why the batch is to be held; empty if nothing of its source needs an officer."""
    kept = connection.execute(sa.text("SELECT drift FROM hub.batch WHERE id = :batch"), {"batch": batch}).scalar_one()
    return tuple(_reason(one) for one in kept if one["reaction"] == Reaction.HOLD and not one["known"])


def _reason(change: dict[str, str]) -> Reason:
    zh, en = sentences(change)
    return Reason(
        rule="drift",
        measured=change.get("after", "—"),
        limit=change.get("before", "—"),
        zh=zh,
        en=en,
        do_zh="向部门核实；放行即接受源端现状，作废则不接受",
        do_en="ask the department. Releasing accepts the source as it is now; discarding does not",
    )


def _accepted(connection: sa.Connection, dataset: str) -> Shape | None:
    """Return the shape that the newest published batch saw: releasing a held one accepted it."""
    newest = sa.text(
        "SELECT shape FROM hub.batch WHERE dataset = :dataset AND shape IS NOT NULL AND state IN ('published', 'withdrawn') "
        "ORDER BY id DESC LIMIT 1"
    )
    return connection.execute(newest, {"dataset": dataset}).scalar_one_or_none()


def _record(connection: sa.Connection, run: Run, shape: Shape, found: tuple[Change, ...]) -> None:
    kept = [one.record() for one in found]
    statement = sa.text("UPDATE hub.batch SET shape = CAST(:shape AS jsonb), drift = CAST(:drift AS jsonb) WHERE id = :batch")
    connection.execute(statement, {"shape": json.dumps(shape), "drift": json.dumps(kept), "batch": run.batch})
    if news := [one for one in kept if not one["known"]]:
        details = {"batch": run.batch, "dataset": run.contract.dataset, "changes": news}
        record(connection, Event.SOURCE_DRIFTED, actor=run.started_by, details=details)


class _Filled:
    """A session whose missing columns are null. Everything but reading is the session's own."""

    def __init__(self, source: Connector, lacking: set[str]) -> None:
        self._source, self._lacking = source, lacking

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the session has)
        return getattr(self._source, name)

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Yield the rows with null for what the source lacks."""
        present = [name for name in columns if name not in self._lacking] or self._source.columns().names[:1]
        for batch in self._source.read(present, window):
            nothing = pa.nulls(batch.num_rows, pa.string())
            arrays = [nothing if name in self._lacking else batch.column(name) for name in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
