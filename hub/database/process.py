"""Whether the embedded server's process lives: read from its lock file and the process table."""

import time
from pathlib import Path

import psutil

from hub.database.place import Place
from hub.errors import Unavailable


def running(place: Place) -> int | None:
    """Return the process id of the live server of *place*, or None. A number reused by another program is None."""
    pid = _recorded(place.data / "postmaster.pid")
    return pid if pid is not None and _serves(pid, place.data) else None


def clear_stale_lock(place: Place) -> None:
    """Remove the lock files (data and socket) of a killed server, once none of its children is left.

    PostgreSQL does so by itself, except when the old number is taken: by another program of its user, or by the
    dead server where nothing reaps it (a container whose first process is no init).
    Call under the starter's lock, with the server not running.
    """
    locks = [lock for lock in (place.data / "postmaster.pid", place.socket / ".s.PGSQL.5432.lock") if lock.exists()]
    if not locks:
        return
    deadline = time.monotonic() + 30
    while _children(place.data):  # they notice the death of their parent and go
        if time.monotonic() > deadline:
            raise Unavailable("processes of a killed PostgreSQL still run", remedy=f"stop the processes working in {place.data}")
        time.sleep(0.05)
    for lock in locks:
        lock.unlink()


def _recorded(lock: Path) -> int | None:
    try:
        return int(lock.read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _serves(pid: int, data: Path) -> bool:
    try:
        found = psutil.Process(pid)
        return found.status() != psutil.STATUS_ZOMBIE and Path(found.cwd()) == data
    except psutil.Error:
        return False


def _children(data: Path) -> list[int]:
    return [found.pid for found in psutil.process_iter(["name"]) if found.info["name"] == "postgres" and _serves(found.pid, data)]
