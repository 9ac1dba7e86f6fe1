"""The record of every run: planned → staged → held | published | discarded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Mistake

UNSETTLED = frozenset({"planned", "staged", "held"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """How one rule fared in a batch, in rows."""

    check_id: str
    rule: str
    fields: tuple[str, ...]
    severity: str
    title_zh: str
    title_en: str
    judged: int
    failing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One run of one job. ``counts`` are rows, ``seconds`` are per stage; times carry their zone."""

    id: int
    dataset: str
    state: str
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    reason: str | None
    cursor_field: str | None
    cursor_after: str | None
    cursor_until: str | None
    snapshot: str | None
    contract_version: int
    policy_version: int
    code_version: str
    protection: str
    counts: dict[str, object] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    source_checksum: str | None = None
    target_checksum: str | None = None
    gate: dict[str, object] | None = None
    docs: str | None = None
    shape: dict[str, str] | None = None
    drift: list[dict[str, object]] = field(default_factory=list)
    contract_key: str | None = None
    contract_digest: str | None = None


def find(connection: sa.Connection, batch_id: int) -> Batch:
    """Return the batch *batch_id*; raise :class:`Mistake` if there is none."""
    row = connection.execute(sa.text("SELECT * FROM hub.batch WHERE id = :id"), {"id": batch_id}).mappings().one_or_none()
    if row is None:
        raise Mistake(f"there is no batch {batch_id}", remedy="`hub batch list` shows the batches there are")
    return Batch(**row)


def newest(dataset: str | None = None, *, limit: int = 30) -> tuple[Batch, ...]:
    """Return the newest batches, newest first, of all jobs or one."""
    query = sa.text("SELECT * FROM hub.batch WHERE CAST(:dataset AS text) IS NULL OR dataset = :dataset ORDER BY id DESC LIMIT :limit")
    with engine(Role.READER).connect() as connection:
        return tuple(Batch(**row) for row in connection.execute(query, {"dataset": dataset, "limit": limit}).mappings())


def show(batch_id: int) -> tuple[Batch, tuple[CheckResult, ...]]:
    """Return one batch and how each rule fared in it, in the contract's order."""
    query = sa.text(
        "SELECT check_id, rule, fields, severity, title_zh, title_en, judged, failing FROM hub.batch_check "
        "WHERE batch = :id ORDER BY position"
    )
    with engine(Role.READER).connect() as connection:
        batch = find(connection, batch_id)
        rows = connection.execute(query, {"id": batch_id}).mappings()
        return batch, tuple(CheckResult(**(dict(row) | {"fields": tuple(row["fields"])})) for row in rows)


def held_batch(dataset: str, *, started_by: str) -> Batch | None:
    """Return the batch of *dataset* that *started_by* began and that waits for an officer, or ``None``."""
    query = sa.text("SELECT * FROM hub.batch WHERE dataset = :dataset AND started_by = :by AND state = 'held' ORDER BY id DESC LIMIT 1")
    with engine(Role.READER).connect() as connection:
        row = connection.execute(query, {"dataset": dataset, "by": started_by}).mappings().one_or_none()
    return Batch(**row) if row is not None else None


def claim(connection: sa.Connection, batch_id: int) -> str:
    """Return the state of a batch, which nobody else changes until the caller's transaction ends.

    A job's lock lives in one connection and ends with it, as at a restart of the server; a batch's own row does not.
    """
    return str(connection.execute(sa.text("SELECT state FROM hub.batch WHERE id = :id FOR UPDATE"), {"id": batch_id}).scalar_one())


def begin(connection: sa.Connection, values: Mapping[str, object]) -> int:
    """Record a planned batch and return its id."""
    columns = ", ".join(values)
    slots = ", ".join(f":{name}" for name in values)
    statement = sa.text(f"INSERT INTO hub.batch ({columns}, state) VALUES ({slots}, 'planned') RETURNING id")
    return int(connection.execute(statement, dict(values)).scalar_one())


def update(connection: sa.Connection, batch_id: int, **values: object) -> None:
    """Set columns of one batch; dictionaries are stored as JSON."""
    ready = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in values.items()}
    assignments = ", ".join(f"{name} = :{name}" for name in ready)
    connection.execute(sa.text(f"UPDATE hub.batch SET {assignments} WHERE id = :id"), ready | {"id": batch_id})


def record_checks(connection: sa.Connection, batch_id: int, results: tuple[CheckResult, ...]) -> None:
    """Record how each rule fared."""
    statement = sa.text(
        "INSERT INTO hub.batch_check (batch, position, check_id, rule, fields, severity, title_zh, title_en, judged, failing) "
        "VALUES (:batch, :position, :check_id, :rule, :fields, :severity, :title_zh, :title_en, :judged, :failing)"
    )
    rows = [
        {"batch": batch_id, "position": position, "fields": list(result.fields)}
        | {name: getattr(result, name) for name in ("check_id", "rule", "severity", "title_zh", "title_en", "judged", "failing")}
        for position, result in enumerate(results)
    ]
    if rows:
        connection.execute(statement, rows)
