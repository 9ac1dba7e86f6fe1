"""Airflow's processes: started apart from the caller, recorded in the state folder, found and stopped again."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

from hub.flows.airflow_environment import environment
from hub.settings import REPOSITORY, settings

_PATIENCE = 30
_ours: list[subprocess.Popen[bytes]] = []  # kept, for Python complains of a child that lives on unwatched


def start(*, timetable: bool) -> None:
    """Start Airflow, which outlives the caller; without *timetable* jobs run by hand only."""
    log = log_file("serve")
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    variables = environment() | {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(timetable)}
    with open(log, "ab", opener=_private) as out:
        started = subprocess.Popen(  # noqa: S603 (this interpreter, a module of ours)
            [sys.executable, "-m", "dags.serve", str(log.parent)],
            cwd=REPOSITORY, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, umask=0o077,
        )  # fmt: skip
    _ours.append(started)
    record = {"pid": started.pid, "created": psutil.Process(started.pid).create_time(), "timetable": timetable}
    _record().parent.mkdir(parents=True, exist_ok=True)
    _record().write_text(json.dumps(record), encoding="utf-8")


def running() -> bool:
    """Whether Airflow lives: all of it, as its parent ends with any of its processes."""
    return _process() is not None


def follows_timetable() -> bool:
    """Whether Airflow was started to follow the timetable."""
    return bool(json.loads(_record().read_bytes())["timetable"])


def stop() -> None:
    """Stop Airflow: first politely, so that running tasks may end; after 30 s for good."""
    parent = _process()
    if parent is None:
        return
    family = [parent, *parent.children(recursive=True)]
    parent.terminate()
    psutil.wait_procs([parent], timeout=_PATIENCE)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=_PATIENCE)
    _record().unlink(missing_ok=True)


def log_file(name: str) -> Path:
    """Return the log of a component, for people."""
    return settings().state / "logs" / "airflow" / f"{name}.log"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _record() -> Path:
    return settings().state / "run" / "airflow.json"


def _process() -> psutil.Process | None:
    """Return the recorded process if it is still the same one: numbers are reused, start times are not."""
    try:
        record = json.loads(_record().read_bytes())
        process = psutil.Process(record["pid"])
        alive = process.create_time() == record["created"] and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return process if alive else None
