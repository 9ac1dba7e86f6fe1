"""Rows that broke a rule: where they stand and why. Their values stay sealed (privacy rule 20)."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from schemas.declarations import declarations


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """How many rows of a dataset break one check and wait in quarantine, and since when."""

    dataset: str
    check_id: str
    fields: tuple[str, ...]
    title_zh: str
    title_en: str
    rows: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One quarantined row: its position in its batch (counted from 1), its key (``None`` if missing), the checks it breaks."""

    id: int
    batch: int
    position: int
    row_key: str | None
    checks: tuple[str, ...]


def listed(dataset: str | None = None) -> tuple[Heap, ...]:
    """Return what waits in quarantine by dataset and check, the largest heap of each dataset first."""
    query = sa.text(
        "SELECT q.dataset, c.check_id, c.fields, c.title_zh, c.title_en, count(*) AS rows, min(b.started_at) AS since "
        "FROM hub.quarantine q CROSS JOIN LATERAL unnest(q.checks) broken JOIN hub.batch b ON b.id = q.batch "
        "JOIN hub.batch_check c ON c.batch = q.batch AND c.check_id = broken "
        "WHERE q.closed_by IS NULL AND b.state <> 'discarded' AND c.severity = 'error' "
        "AND (CAST(:dataset AS text) IS NULL OR q.dataset = :dataset) "
        "GROUP BY q.dataset, c.check_id, c.fields, c.title_zh, c.title_en ORDER BY q.dataset, count(*) DESC, c.check_id"
    )
    with engine(Role.READER).connect() as connection:
        rows = connection.execute(query, {"dataset": dataset}).mappings()
        return tuple(Heap(**(dict(row) | {"fields": tuple(row["fields"])})) for row in rows)


def shown(dataset: str, *, by: str, limit: int = 50) -> tuple[Row, ...]:
    """Return the first quarantined rows of *dataset* without a value of theirs; the look is recorded."""
    declarations().contract(dataset)
    query = sa.text(
        "SELECT q.id, q.batch, q.position + 1 AS position, q.row_key, q.key_is_token, q.checks FROM hub.quarantine q "
        "JOIN hub.batch b ON b.id = q.batch WHERE q.dataset = :dataset AND q.closed_by IS NULL AND b.state <> 'discarded' "
        "ORDER BY q.batch, q.position LIMIT :limit"
    )
    with engine(Role.WRITER).begin() as connection:
        rows = connection.execute(query, {"dataset": dataset, "limit": limit}).all()
        record(connection, Event.QUARANTINE_READ, actor=by, details={"dataset": dataset, "rows": len(rows)})
    return tuple(
        Row(
            id=row.id,
            batch=row.batch,
            position=row.position,
            row_key=shown_key(row.row_key, token=row.key_is_token),
            checks=tuple(row.checks),
        )
        for row in rows
    )


def shown_key(key: bytes | None, *, token: bool) -> str | None:
    """Return a row key for people: as it is, or the beginning of its token where it is sensitive."""
    if key is None:
        return None
    return f"token {bytes(key).hex()[:12]}…" if token else bytes(key).decode("utf-8", "replace")
