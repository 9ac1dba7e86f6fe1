"""Epochs of a library: which of its versions were lost with a database, and which follow.

A number that somebody may have seen never comes to mean something else: after a recovery numbering goes on
well above the last one known (docs/decisions). Within an epoch numbers have no gaps.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from hub.errors import Mistake, Refused
from libraries.versions import current_version, lock

# What may have been published after the checkpoint last got through: a killed run's version, or weeks of a second
# place that nobody mounted. A library makes a few versions a day.
MARGIN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryEpoch:
    """One library in one epoch after the first: versions up to ``kept`` stand, from ``first`` on they are new."""

    library: str
    epoch: int
    kept: int
    first: int


def continue_library(connection: sa.Connection, library: str, epoch: int, *, known: int) -> LibraryEpoch:
    """Let *library* go on in *epoch*, above every version that was lost; *known* is the newest the checkpoint has.

    The first version of the epoch says what the last one kept said. Needs the owner role; holds the publish lock.
    """
    lock(connection, library)
    kept = current_version(connection, library)
    opened = LibraryEpoch(library=library, epoch=epoch, kept=kept, first=max(kept, known) + MARGIN)
    values = {"library": library, "epoch": epoch, "kept": kept, "first": opened.first}
    connection.execute(
        sa.text("INSERT INTO hub.library_epoch (library, epoch, kept, first) VALUES (:library, :epoch, :kept, :first)"), values
    )
    connection.execute(sa.text("INSERT INTO hub.library_version (library, version, cause) VALUES (:library, :first, 'recovery')"), values)
    return opened


def require_kept(connection: sa.Connection, library: str, version: int) -> None:
    """Raise :class:`Refused` if *version* was lost in a recovery, :class:`Mistake` if *library* has not got so far."""
    found = sa.text("SELECT epoch, kept, first FROM hub.library_epoch WHERE library = :library AND kept < :version AND :version < first")
    lost = connection.execute(found, {"library": library, "version": version}).first()
    if lost is not None:
        raise Refused(
            f"version {version} of {library} was lost when its database was restored (epoch {lost.epoch})",
            remedy=f"take the whole library as it is now, then its changes; versions up to {lost.kept} and from {lost.first} stand",
        )
    newest = current_version(connection, library)
    if version > newest:
        raise Mistake(f"{library} has no version {version}", remedy=f"its newest is {newest}; `hub library versions {library}` lists them")
