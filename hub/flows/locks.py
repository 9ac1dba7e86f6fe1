"""One run of a job at a time, and no more readers of a source than it allows: Airflow's own locks do not bind the command line."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import HubError, Unavailable

READER_WAIT_SECONDS = 60.0


@contextmanager
def reader_slot(source: str, readers: int, *, wait: float = READER_WAIT_SECONDS) -> Iterator[None]:
    """Be one of the at most *readers* that read *source* at the same time, in whatever process; the slot ends with this one.

    Waits for a slot, then raises :class:`Unavailable`.
    """
    with _locking() as connection:
        deadline = time.monotonic() + wait
        while not any(_taken(connection, f"source:{source}:{slot}") for slot in range(readers)):
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"source {source} is being read already, and may be by {readers} at the same time",
                    remedy="try again when the other job has ended; `readers` of the source says how many may read at once",
                )
            time.sleep(min(1.0, wait / 10))
        yield


@contextmanager
def _locking() -> Iterator[sa.Connection]:
    """Yield a connection that takes locks; they are free when this ends, not a moment later when the server sees it close."""
    with engine(Role.WRITER).connect() as connection:
        try:
            yield connection
        finally:
            with suppress(HubError, sa.exc.SQLAlchemyError):  # if the connection broke, the server has freed them
                connection.execute(sa.text("SELECT pg_advisory_unlock_all()"))


def _taken(connection: sa.Connection, name: str, *, shared: bool = False) -> bool:
    function = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
    taken = connection.execute(sa.text(f"SELECT {function}(hashtextextended(:key, 0))"), {"key": name}).scalar_one()
    connection.commit()
    return bool(taken)


@contextmanager
def job_lock(dataset: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of *dataset*'s job; it ends with this process, however it ends. Those who hold it *shared* hold it together.

    Raise :class:`Unavailable` at once if another process holds it.
    """
    with _locking() as connection:
        if not _taken(connection, f"job:{dataset}", shared=shared):
            raise Unavailable(f"the job of {dataset} is running already", remedy="wait for it to end (`hub batch list`), then try again")
        yield
