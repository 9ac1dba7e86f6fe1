"""Airflow's processes from one parent: what all of them import is imported once, and each is a fork of it.

Run as `python -m dags.serve` by hub.flows.scheduler. On two cores this halves the time to the first task
(docs/decisions/0005-heavy-imports-once.md). Ends when told to (SIGTERM) or when one of its processes ends:
half an Airflow is worse than none, because it looks alive. On several machines run `airflow scheduler` and
the rest by themselves instead: deploy/README.md.
"""

import ctypes
import gc
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from airflow import settings
from airflow.__main__ import main as airflow_command

from dags.prepare import prepare

COMPONENTS = {
    # The logs lie on this machine, so no port is opened to serve them.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "api-server": ("api-server", "--workers", "1"),
    "dag-processor": ("dag-processor",),
}
_PATIENCE = 25


def serve(logs: Path) -> int:
    """Prepare the database, start every component and wait; return 0 if stopped on request, 1 if one ended by itself."""
    prepare()
    settings.dispose_orm(do_log=False)  # connections must not be shared with the forks
    gc.freeze()
    running = {_fork(arguments, logs / f"{name}.log"): name for name, arguments in COMPONENTS.items()}
    asked = _stop_on_request(running)
    ended, _ = os.wait()
    if not asked:
        sys.stderr.write(f"{running[ended]} ended by itself; stopping the others\n")
    del running[ended]
    _stop(running)
    return 0 if asked else 1


def _fork(arguments: tuple[str, ...], log: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    _end_with_parent()
    out = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.dup2(out, sys.stdout.fileno())
    os.dup2(out, sys.stderr.fileno())
    settings.configure_orm()  # type: ignore[no-untyped-call]
    sys.argv = ["airflow", *arguments]
    try:
        airflow_command()  # type: ignore[no-untyped-call]
    finally:
        os._exit(0)  # never return into the parent's code


def _end_with_parent() -> None:
    """Should the parent be killed outright, its forks must not serve on unseen (Linux: prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _stop_on_request(running: dict[int, str]) -> list[int]:
    """Pass SIGTERM on; return the list that the signal is noted in."""
    asked: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        for pid in running:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, pass_on)
    return asked


def _stop(running: dict[int, str]) -> None:
    for pid in running:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while running and time.monotonic() < deadline:
        ended, _ = os.waitpid(-1, os.WNOHANG)
        running.pop(ended, None)
        time.sleep(0.05)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[1])))
