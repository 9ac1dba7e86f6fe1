"""Adding an entry to the audit log."""

import json
from collections.abc import Mapping

import sqlalchemy as sa

from audit.events import FIELDS, Event


def record(connection: sa.Connection, event: Event, *, actor: str, details: Mapping[str, object]) -> None:
    """Add one entry in the transaction of *connection*: it exists if and only if its effect does.

    *details* must have exactly the fields of :data:`audit.events.FIELDS`; ``ValueError`` otherwise.
    The log can only be added to: the writer may neither change nor read it (privacy rule 22).
    """
    if set(details) != set(FIELDS[event]):
        raise ValueError(f"{event} carries {', '.join(FIELDS[event])}")
    connection.execute(
        sa.text("INSERT INTO audit.entry (event, actor, details) VALUES (:event, :actor, CAST(:details AS jsonb))"),
        {"event": event.value, "actor": actor, "details": json.dumps(dict(details), ensure_ascii=False)},
    )
