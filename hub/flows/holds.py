"""Legal holds: what must be kept for a case, of one person or of one dataset. A hold wins over pruning and erasure."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Mistake, Refused
from hub.flows.persons import by_identifier, kind_of
from hub.flows.readiness import acting
from libraries.erasure import Known
from schemas.declarations import declarations


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold in force: of *dataset*, or of *subjects* persons (as subject ids, by library and entity)."""

    id: int
    dataset: str | None
    subjects: int
    reason: str
    legal_basis: str
    placed_by: str
    placed_at: datetime


def hold_subject(identifier: str, kind: str, *, reason: str, legal_basis: str, by: str) -> int:
    """Hold all rows of one person and return the hold's number; ``Refused`` if no library knows them."""
    declared = declarations()
    with acting() as connection:
        known = by_identifier(connection, declared, identifier, kind_of(declared, kind)).known
        if not known.subjects:
            raise Refused("no library knows a person by that identifier", remedy="check the number; there is nothing to hold")
        number = _place(connection, None, reason, legal_basis, by)
        for path, ids in known.subjects.items():
            library, entity = path.split(".")
            rows = [{"hold": number, "library": library, "entity": entity, "subject": subject} for subject in ids]
            connection.execute(sa.text("INSERT INTO hub.held_subject VALUES (:hold, :library, :entity, :subject)"), rows)
        details = {"hold": number, "subjects": known.subjects, "reason": reason, "legal_basis": legal_basis}
        record(connection, Event.SUBJECT_HELD, actor=by, details=details)
    return number


def hold_dataset(dataset: str, *, reason: str, legal_basis: str, by: str) -> int:
    """Hold everything of one dataset and return the hold's number."""
    declarations().contract(dataset)
    with acting() as connection:
        number = _place(connection, dataset, reason, legal_basis, by)
        details = {"hold": number, "dataset": dataset, "reason": reason, "legal_basis": legal_basis}
        record(connection, Event.DATASET_HELD, actor=by, details=details)
    return number


def _place(connection: sa.Connection, dataset: str | None, reason: str, legal_basis: str, by: str) -> int:
    statement = sa.text(
        "INSERT INTO hub.hold (dataset, reason, legal_basis, placed_by) VALUES (:dataset, :reason, :legal_basis, :by) RETURNING id"
    )
    values = {"dataset": dataset, "reason": reason, "legal_basis": legal_basis, "by": by}
    return int(connection.execute(statement, values).scalar_one())


def release(number: int, *, reason: str, by: str) -> None:
    """End a hold; the next pruning removes what it kept back."""
    statement = sa.text(
        "UPDATE hub.hold SET released_by = :by, released_at = now(), release_reason = :reason WHERE id = :id AND released_at IS NULL"
    )
    with acting() as connection:
        if not connection.execute(statement, {"id": number, "by": by, "reason": reason}).rowcount:
            raise Mistake(f"there is no hold {number} in force", remedy="`hub subject holds` lists them")
        record(connection, Event.HOLD_RELEASED, actor=by, details={"hold": number, "reason": reason})


def listed() -> tuple[Hold, ...]:
    """Return the holds in force, oldest first."""
    query = sa.text(
        "SELECT h.id, h.dataset, count(s.subject) AS subjects, h.reason, h.legal_basis, h.placed_by, h.placed_at FROM hub.hold h "
        "LEFT JOIN hub.held_subject s ON s.hold = h.id WHERE h.released_at IS NULL GROUP BY h.id ORDER BY h.id"
    )
    with engine(Role.READER).connect() as connection:
        return tuple(Hold(**row) for row in connection.execute(query).mappings())


def held_datasets(connection: sa.Connection) -> frozenset[str]:
    """Return the datasets under a hold."""
    query = sa.text("SELECT dataset FROM hub.hold WHERE released_at IS NULL AND dataset IS NOT NULL")
    return frozenset(connection.execute(query).scalars())


def require_free(connection: sa.Connection, known: Known, datasets: frozenset[str]) -> None:
    """Raise :class:`Refused` if a hold is on the person or on a dataset that has rows of theirs."""
    query = sa.text(
        "SELECT h.id FROM hub.hold h JOIN hub.held_subject s ON s.hold = h.id WHERE h.released_at IS NULL "
        "AND s.library || '.' || s.entity = :path AND s.subject = ANY(:subjects)"
    )
    holds = {
        number
        for path, ids in known.subjects.items()
        for number in connection.execute(query, {"path": path, "subjects": list(ids)}).scalars()
    }
    held = sorted(held_datasets(connection) & datasets)
    if holds or held:
        named = ", ".join([*(f"hold {number}" for number in sorted(holds)), *(f"dataset {name} is held" for name in held)])
        raise Refused(f"a legal hold forbids it: {named}", remedy="`hub subject holds` shows the case; release the hold when it ends")
