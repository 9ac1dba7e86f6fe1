"""Carrying out steps on tables that are read and written meanwhile.

Each step is a transaction of its own that waits a moment for its locks and tries again: a waiting ALTER stands before every reader
behind it, so it never waits long. An index on a filled table is built beside its readers and writers, outside any transaction.
Killed anywhere, the plan made anew holds what is left.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from hub.errors import Unavailable
from libraries.statements import run_script
from libraries.versions import lock

LOCK_TIMEOUT = "200ms"
PATIENCE_SECONDS = 600.0
_PAUSE_SECONDS, _LONGEST_PAUSE = 0.1, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change: what it is for, and the SQL that makes it.

    ``beside`` says that it runs outside a transaction, beside readers and writers;
    ``forgets`` that stored values are lost for good, because they may not stay as they are.
    """

    library: str
    purpose: str
    sql: str
    beside: bool = False
    forgets: bool = False


def carry_out(engine: sa.Engine, steps: Iterable[Step], *, patience: float = PATIENCE_SECONDS) -> None:
    """Carry out *steps* in order; ``Unavailable`` if one cannot have its locks within *patience* seconds."""
    with engine.connect() as connection:
        for step in steps:
            if step.beside:
                _beside(engine, step)
            else:
                _patiently(connection, step, patience)


def _patiently(connection: sa.Connection, step: Step, patience: float) -> None:
    deadline, pause = time.monotonic() + patience, _PAUSE_SECONDS
    while True:
        try:
            with connection.begin():
                lock(connection, step.library)
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                run_script(connection, step.sql)
        except Unavailable:
            if time.monotonic() > deadline:
                break
        else:
            return
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    raise Unavailable(
        f"the library tables are in use: {step.purpose}",
        remedy="run `hub library apply` again when no long read is running; it goes on here",
    )


def _beside(engine: sa.Engine, step: Step) -> None:
    with engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        # It waits for whoever reads now, and nobody waits for it.
        alone.execute(sa.text("SET lock_timeout = 0"))
        run_script(alone, step.sql)
