"""What must hold before anything is served or written: the newest database, its keys, and nobody in it whom it had to forget."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Refused
from hub.flows import erasure_log
from hub.flows.checkpoints import require_current
from hub.flows.key_checks import require_same_keys
from hub.flows.keys import keyring


@contextmanager
def acting() -> Iterator[sa.Connection]:
    """Open the transaction in which an officer's command changes something, as the writer.

    Raise :class:`Refused` if the database is an older one that awaits its recovery, or the keys are others.
    """
    with engine(Role.WRITER).begin() as connection:
        require_recovered(connection)
        yield connection


def require_recovered(connection: sa.Connection) -> None:
    """Raise :class:`Refused` if the database is an older one or the keys are others; *connection* is the writer's."""
    require_current(connection)
    require_same_keys(connection, keyring())


def require_ready(connection: sa.Connection) -> None:
    """Do as :func:`require_recovered`, and refuse while a restored database still knows people who were erased since.

    For whatever reads, writes or shows rows of people.
    """
    require_recovered(connection)
    forgotten = erasure_log.not_in_force(connection)
    if forgotten:
        raise Refused(
            f"{len(forgotten)} persons were erased whom this database does not know to be: it was restored from before that",
            remedy="run `hub subject reapply`; it erases them again",
        )
