"""What must hold before anything is served or written: the newest database, and its keys."""

import sqlalchemy as sa

from hub.flows.checkpoints import require_current
from hub.flows.key_checks import require_same_keys
from hub.flows.keys import keyring


def require_ready(connection: sa.Connection) -> None:
    """Raise :class:`Refused` if the database is an older one or the keys are others; *connection* is the writer's."""
    require_current(connection)
    require_same_keys(connection, keyring())
