"""A warm process that forks one fresh process per run of a job, as Airflow's executor does, and tells how it ended.

Orders come as lines of JSON on standard input, answers go out the same way:
    {"order": "warm", "name": ...} → {}: run a job here once, so that no later run pays for what is loaded at its first use
    {"order": "start", "what": "sync" | "stage" | "publish", "name": ..., "kill_at": N, "wait_at": N, "file": path, ...} → {"pid": ...}
    {"order": "end", "pid": ...} → {"signal": ..., "code": ..., "steps": [...], "said": ...}

A run counts its steps where it speaks to a database, the hub's or its source: each statement and commit of SQLAlchemy,
each statement, row batch (written or read) and commit of ADBC, each stretch of rows read from MariaDB.
Before step N it kills itself with SIGKILL, or waits as long as *file* is there; instead of its number, ``wait_for`` and ``nth`` may name
a step. ``largest_file`` bounds the bytes of each file that the run writes, as a full disk would.
Nothing of the hub is replaced.
"""

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import adbc_driver_manager.dbapi as adbc
import pyarrow as pa
import sqlalchemy as sa
from pymysql.cursors import SSCursor

from hub.errors import HubError
from hub.flows import keys, sync
from hub.settings import settings
from schemas.declarations import declarations


class Steps:
    """Counts steps, and waits or ends the process at one of them."""

    def __init__(self, order: dict[str, Any]) -> None:
        """Take what *order* says of killing and waiting."""
        self.taken: list[str] = []
        self._order = order
        self._one = threading.Lock()

    def __call__(self, what: str) -> None:
        """Count the step *what*, which comes next."""
        with self._one:
            self.taken.append(what)
            number = len(self.taken)
            if number == self._order.get("kill_at"):
                os.kill(os.getpid(), signal.SIGKILL)
            here = number == self._order.get("wait_at") or self._comes(what)
        if here:
            file = Path(self._order["file"])
            file.touch()
            while file.exists():
                time.sleep(0.02)

    def _comes(self, what: str) -> bool:
        """Whether *what* is the step before which the order wants to wait: the n-th of its name."""
        wanted = self._order.get("wait_for")
        return bool(wanted and wanted in what and sum(wanted in step for step in self.taken) == self._order.get("nth", 1))


def watch(steps: Steps) -> None:
    """Count what goes to the database, before it goes."""
    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *given: steps(str(given[2])[:80]))
    sa.event.listen(sa.Engine, "commit", lambda _connection: steps("COMMIT"))
    for kind, name in ((adbc.Cursor, "execute"), (adbc.Cursor, "adbc_ingest"), (adbc.Connection, "commit")):
        setattr(kind, name, _counted(getattr(kind, name), f"adbc {name}", steps))
    setattr(SSCursor, "fetchmany", _counted(SSCursor.fetchmany, "read", steps))  # noqa: B010 (a patch, and seen as one)
    fetch = adbc.Cursor.fetch_record_batch
    setattr(adbc.Cursor, "fetch_record_batch", lambda cursor: _Read(fetch(cursor), steps))  # noqa: B010


def _counted(original: Any, name: str, steps: Steps) -> Any:
    def counted(*args: Any, **kwargs: Any) -> Any:
        steps(f"{name} {str(args[1])[:80]}" if len(args) > 1 and name != "read" else name)
        return original(*args, **kwargs)

    return counted


class _Read:
    """A stream of record batches, each of them a step."""

    def __init__(self, reader: pa.RecordBatchReader, steps: Steps) -> None:
        self.schema, self._reader, self._steps = reader.schema, reader, steps

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._reader:
            self._steps("read")
            yield batch


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Run one job to its end in this process and tell how it went."""
    steps = Steps(order)
    watch(steps)
    if "largest_file" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"], resource.RLIM_INFINITY))
    code, said = 0, ""
    try:
        if order["what"] == "publish":
            sync.publish(int(order["name"]), started_by="driver")
        else:
            said = str(getattr(sync, order["what"])(order["name"], started_by="driver"))
    except HubError as error:
        code, said = error.exit_code, str(error)
    steps("END")
    return {"code": code, "said": said, "steps": steps.taken}


def start(order: dict[str, Any]) -> tuple[int, int]:
    """Fork a process for *order*; return its number and the end to read its answer from."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    os.close(reading)
    code = 1
    try:
        os.write(writing, json.dumps(run(order)).encode())
        code = 0
    finally:
        os._exit(code)


def main() -> None:
    """Follow orders until standard input closes."""
    running: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if order["order"] == "warm":
            sync.sync(order["name"], started_by="driver")
            for remembered in (settings, declarations, keys.keyring):
                remembered.cache_clear()
            answer: dict[str, Any] = {}
        elif order["order"] == "start":
            pid, running_end = start(order)
            running[pid] = running_end
            answer = {"pid": pid}
        else:
            with os.fdopen(running.pop(order["pid"])) as end:
                said = end.read()
            _, status = os.waitpid(order["pid"], 0)
            answer = {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, **(json.loads(said) if said else {})}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
