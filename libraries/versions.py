"""Versions of a library: gapless integers, one writer at a time.

The advisory lock is held from the start of a merge to its commit,
so that a version's number is also its place in time.
"""

import sqlalchemy as sa

PATIENCE = "10min"  # a first load of a large dataset publishes for minutes, and others wait their turn


def lock(connection: sa.Connection, library: str, *, shared: bool = False) -> None:
    """Wait for and hold the publish lock of *library* until the transaction ends.

    *shared* holders only look: they keep publishers away from the tables while they do, not one another.
    """
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
    connection.execute(sa.text(f"SELECT {function}(hashtextextended('library:' || :library, 0))"), {"library": library})


def next_version(library: str, cause: str, batch: int | None = None) -> str:
    """Return the SQL that records the next version of *library*, under its publish lock."""
    return (
        f"SELECT pg_advisory_xact_lock(hashtextextended('library:{library}', 0)); "
        f"INSERT INTO hub.library_version (library, version, cause, batch) "
        f"SELECT '{library}', coalesce(max(version), 0) + 1, '{cause}', {batch if batch is not None else 'NULL'} "
        f"FROM hub.library_version WHERE library = '{library}'"
    )


def current_version(connection: sa.Connection, library: str) -> int:
    """Return the newest version of *library*, 0 before its first."""
    newest = sa.text("SELECT coalesce(max(version), 0) FROM hub.library_version WHERE library = :library")
    return connection.execute(newest, {"library": library}).scalar_one()


def record_version(connection: sa.Connection, library: str, batch: int | None, *, cause: str = "publish") -> int:
    """Record that *batch* (or, without one, *cause* alone) makes the next version of *library*; return it. The lock must be held."""
    connection.execute(
        sa.text(
            "INSERT INTO hub.library_version (library, version, cause, batch) "
            "SELECT :library, coalesce(max(version), 0) + 1, :cause, :batch FROM hub.library_version WHERE library = :library"
        ),
        {"library": library, "batch": batch, "cause": cause},
    )
    return current_version(connection, library)
