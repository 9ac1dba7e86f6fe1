"""Keeping nothing longer than declared: histories, quarantined values, what discarded batches left, old Data Docs.

Everything goes in bounded steps, each a transaction with its own record under the publish lock, so a run can be cut off
anywhere and the next one goes on. Legal holds win.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Unavailable
from hub.flows import erasure
from hub.flows.holds import held_datasets
from hub.flows.readiness import require_ready
from hub.flows.staging import drop
from hub.settings import settings
from libraries.layout import ContributionTable, EntityLayout, layouts
from libraries.retention import begin_pruning, held_rows, prune, prune_retired, prune_spine, version_at
from libraries.retired import with_withdrawn
from libraries.versions import lock
from schemas.contract import Retention
from schemas.declarations import Declarations, declarations

STEP = 20_000  # rows: a publisher waits for one step at most, well under a second
_BATCH = re.compile(r"^b([0-9]+)_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What one run removed: history rows by contribution, identifiers by spine, quarantined values by dataset, and the rest.

    ``retired`` counts, by contribution, rows from which the values of fields went that had left the contract.
    """

    histories: Counter[str] = field(default_factory=Counter)
    retired: Counter[str] = field(default_factory=Counter)
    identifiers: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    staging: list[int] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)


def pruned(*, by: str, now: datetime | None = None, step: int = STEP) -> Pruned:
    """Remove what is older than its contract keeps it, and return how much that was."""
    declared, done, moment = declarations(), Pruned(), now or datetime.now(UTC)
    with engine(Role.WRITER).connect() as connection:
        require_ready(connection)
        held = held_datasets(connection)
        every = tuple(with_withdrawn(connection, layout) for layout in layouts(declared))
        quarantined = set(connection.execute(sa.text("SELECT DISTINCT dataset FROM hub.quarantine")).scalars())
    for layout in every:
        for table in layout.tables:
            if table.dataset not in held:
                name = f"{table.library}.{table.name}"
                done.histories[name] += sum(_history(declared, layout, table, moment, by, step))
                done.retired[name] += sum(_retired(declared, layout, table, moment, by, step))
        if layout.parent is None and layout.tables:
            done.identifiers[layout.path] += sum(_identifiers(declared, every, layout, moment, by, step))
    for dataset in sorted(quarantined - held):
        done.quarantined[dataset] += sum(_quarantine(declared, every, dataset, moment, by, step))
    _remains(declared, moment, by, done)
    with suppress(Unavailable):  # somebody reads one of the tables: the next run tries again
        done.rewritten.extend(erasure.rewritten(by=by))
    return done


def _kept(declared: Declarations, dataset: str) -> Retention:
    """Return how long the dataset's contract keeps things; of one whose contract is gone, the time of contracts that do not say."""
    contract = declared.contracts.get(dataset)
    return contract.retention if contract else Retention()


def _history(declared: Declarations, layout: EntityLayout, table: ContributionTable, now: datetime, by: str, step: int) -> Iterator[int]:
    cut = now - timedelta(days=_kept(declared, table.dataset).history_days)
    rows = step
    while rows == step:
        with engine(Role.WRITER).begin() as connection:
            lock(connection, table.library)
            oldest = begin_pruning(connection, table, version_at(connection, table.library, cut))
            rows = prune(connection, layout, table, limit=step)
            if rows:
                details = {"library": table.library, "entity": table.entity, "dataset": table.dataset, "oldest": oldest, "rows": rows}
                record(connection, Event.HISTORY_PRUNED, actor=by, details=details)
        yield rows


def _retired(declared: Declarations, layout: EntityLayout, table: ContributionTable, now: datetime, by: str, step: int) -> Iterator[int]:
    """Empty what fields that left the contract say in current rows, once such a row is as old as its history is kept."""
    cut = now - timedelta(days=_kept(declared, table.dataset).history_days)
    rows = step
    while rows == step:
        with engine(Role.WRITER).begin() as connection:
            lock(connection, table.library)
            oldest = version_at(connection, table.library, cut)
            rows = prune_retired(connection, layout, table, oldest=oldest + 1, limit=step)
            if rows:
                details = {"library": table.library, "entity": table.entity, "dataset": table.dataset, "oldest": oldest, "rows": rows}
                record(connection, Event.HISTORY_PRUNED, actor=by, details=details)
        yield rows


def _identifiers(
    declared: Declarations, every_entity: tuple[EntityLayout, ...], spine: EntityLayout, now: datetime, by: str, step: int
) -> Iterator[int]:
    """Remove identifiers of subjects that nothing speaks of any more, once they are older than any history of theirs is kept."""
    every = tuple(layout for layout in every_entity if layout.spine == spine.spine)
    days = max(_kept(declared, table.dataset).history_days for layout in every for table in layout.tables)
    rows = step
    while rows == step:
        with engine(Role.WRITER).begin() as connection:
            lock(connection, spine.library)
            oldest = version_at(connection, spine.library, now - timedelta(days=days))
            rows = prune_spine(connection, every, oldest=oldest, limit=step)
            if rows:
                details = {"library": spine.library, "entity": spine.entity, "dataset": None, "oldest": oldest, "rows": rows}
                record(connection, Event.HISTORY_PRUNED, actor=by, details=details)
        yield rows


def _quarantine(declared: Declarations, every: tuple[EntityLayout, ...], dataset: str, now: datetime, by: str, step: int) -> Iterator[int]:
    """Remove sealed rows that are closed, and the values of those that still wait: their keys stay, or a sync would wonder."""
    old = (
        "SELECT q.id FROM hub.quarantine q JOIN hub.batch b ON b.id = q.batch WHERE q.dataset = :dataset AND b.started_at < :cut "
        f"AND (q.closed_by IS NOT NULL OR q.sealed <> '') AND NOT EXISTS ({held_rows(every, dataset)}) "
        "ORDER BY q.id LIMIT :step"
    )
    statement = sa.text(
        f"WITH old AS MATERIALIZED ({old}), gone AS (DELETE FROM hub.quarantine q USING old WHERE q.id = old.id "
        "AND q.closed_by IS NOT NULL RETURNING q.id), emptied AS (UPDATE hub.quarantine q SET sealed = '' FROM old "
        "WHERE q.id = old.id AND q.closed_by IS NULL RETURNING q.id) SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM emptied)"
    )
    cut = now - timedelta(days=_kept(declared, dataset).quarantine_days)
    rows = step
    while rows == step:
        with engine(Role.WRITER).begin() as connection:
            rows = int(connection.execute(statement, {"dataset": dataset, "cut": cut, "step": step}).scalar_one())
            if rows:
                record(connection, Event.QUARANTINE_EXPIRED, actor=by, details={"dataset": dataset, "rows": rows})
        yield rows


def _remains(declared: Declarations, now: datetime, by: str, done: Pruned) -> None:
    """Drop staging tables of batches that are over, and pages of batches that were discarded or are older than their history."""
    tables = sa.text("SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relkind = 'r'")
    waiting = sa.text("SELECT id FROM hub.batch WHERE state IN ('planned', 'staged', 'held')")
    with engine(Role.WRITER).begin() as connection:
        staged = {int(found.group(1)) for name in connection.execute(tables).scalars() if (found := _BATCH.match(name))}
        for batch in sorted(staged - set(connection.execute(waiting).scalars())):
            drop(connection, batch)
            done.staging.append(batch)
        done.documents.extend(_documents(connection, declared, now))
        if done.staging or done.documents:
            record(connection, Event.REMAINS_CLEANED, actor=by, details={"tables": done.staging, "documents": done.documents})


def _documents(connection: sa.Connection, declared: Declarations, now: datetime) -> Iterator[str]:
    query = sa.text("SELECT dataset, id, state, started_at FROM hub.batch WHERE docs IS NOT NULL ORDER BY id")
    for batch in connection.execute(query).all():
        contract = declared.contracts.get(batch.dataset)
        kept = timedelta(days=contract.retention.history_days) if contract else timedelta(0)
        page = settings().state / "docs" / batch.dataset / f"{batch.id}.html"
        if (batch.state == "discarded" or batch.started_at < now - kept) and page.is_file():
            page.unlink()
            yield f"{batch.dataset}/{batch.id}.html"
