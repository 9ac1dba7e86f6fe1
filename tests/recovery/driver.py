"""A warm process that forks one fresh process per run of a job, as Airflow's executor does, and tells how it ended.

Orders come as lines of JSON on standard input, answers go out the same way:
    {"order": "start", "what": "sync" | "stage" | "publish", "name": ..., "kill_at": N, "wait_at": N, "file": path} → {"pid": ...}
    {"order": "end", "pid": ...} → {"signal": ..., "code": ..., "steps": [...], "said": ...}

A run counts its steps where it speaks to the hub's database: each statement and commit of SQLAlchemy,
each statement, row batch and commit of ADBC. Before step N it kills itself with SIGKILL, or waits as long as *file* is there.
Nothing of the hub is replaced.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import adbc_driver_manager.dbapi as adbc
import great_expectations  # noqa: F401 (imported once: it takes seconds)
import sqlalchemy as sa

import schemas.expectations  # noqa: F401 (likewise)
from hub.errors import HubError
from hub.flows import sync


class Steps:
    """Counts steps, and waits or ends the process at one of them."""

    def __init__(self, order: dict[str, Any]) -> None:
        """Take what *order* says of killing and waiting."""
        self.taken: list[str] = []
        self._order = order

    def __call__(self, what: str) -> None:
        """Count the step *what*, which comes next."""
        self.taken.append(what)
        if len(self.taken) == self._order.get("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if len(self.taken) == self._order.get("wait_at"):
            file = Path(self._order["file"])
            file.touch()
            while file.exists():
                time.sleep(0.02)


def watch(steps: Steps) -> None:
    """Count what goes to the database, before it goes."""
    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *given: steps(str(given[2])[:80]))
    sa.event.listen(sa.Engine, "commit", lambda _connection: steps("COMMIT"))
    for kind, name in ((adbc.Cursor, "execute"), (adbc.Cursor, "adbc_ingest"), (adbc.Connection, "commit")):
        setattr(kind, name, _counted(getattr(kind, name), name, steps))


def _counted(original: Any, name: str, steps: Steps) -> Any:
    def counted(*args: Any, **kwargs: Any) -> Any:
        steps(f"adbc {name} {str(args[1])[:80] if len(args) > 1 else ''}")
        return original(*args, **kwargs)

    return counted


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Run one job to its end in this process and tell how it went."""
    steps = Steps(order)
    watch(steps)
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
        if order["order"] == "start":
            pid, running_end = start(order)
            running[pid] = running_end
            answer: dict[str, Any] = {"pid": pid}
        else:
            with os.fdopen(running.pop(order["pid"])) as end:
                said = end.read()
            _, status = os.waitpid(order["pid"], 0)
            answer = {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, **(json.loads(said) if said else {})}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
