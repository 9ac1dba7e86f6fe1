"""One run of a job at a time, whoever started it: Airflow's own locks do not bind the command line."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Unavailable


@contextmanager
def job_lock(dataset: str) -> Iterator[None]:
    """Hold the lock of *dataset*'s job; it ends with this process, however it ends.

    Raise :class:`Unavailable` at once if another process holds it.
    """
    with engine(Role.WRITER).connect() as connection:
        key = {"key": f"job:{dataset}"}
        taken = connection.execute(sa.text("SELECT pg_try_advisory_lock(hashtextextended(:key, 0))"), key).scalar_one()
        connection.commit()
        if not taken:
            raise Unavailable(f"the job of {dataset} is running already", remedy="wait for it to end (`hub batch list`), then try again")
        yield
