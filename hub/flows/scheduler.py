"""Running jobs by Airflow: start and stop it, run a job by hand, pause one, see what goes on.

Airflow is started as separate processes and spoken to by its REST API; nothing here imports it.
"""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import quote

from hub.database import embedded
from hub.errors import Mistake, Refused, Unavailable
from hub.flows import airflow_client as api
from hub.flows import airflow_environment, airflow_processes
from hub.flows.batches import Batch, held_batch
from hub.flows.jobs import listed
from hub.flows.reasons import in_words, reasons_of
from hub.settings import settings
from schemas.manifest import jobs, pools

_START_SECONDS = 180
_POLL_SECONDS = 0.5
_TRIES = 5
Answer = TypeVar("Answer")
_ENDED = frozenset({"success", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Whether Airflow runs, and where its interface is."""

    running: bool
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one run of a job by Airflow ended; ``reason`` is the failing task's own message, or None."""

    dataset: str
    run_id: str
    succeeded: bool
    reason: str | None


def up(*, timetable: bool = True) -> Status:
    """Start Airflow (and the embedded database) unless it runs; return once every job can be run.

    Without *timetable* jobs run by hand only: for the demo, whose jobs must come in order. An Airflow that runs
    the other way is started anew. Raises ``Unavailable``, with the log to read, if it does not come up.
    """
    if settings().database_url is None:
        embedded.up()
    with _alone():
        if not (airflow_processes.running() and airflow_processes.follows_timetable() == timetable):
            airflow_processes.stop()
            airflow_environment.choose_port()
            jobs()  # listed now, so that nobody's first parse has to wait for it
            airflow_processes.start(timetable=timetable)
        _until(_every_job_is_known, what="Airflow did not come up")
        _set_pools()
        _pause_what_officers_paused()
    return status()


def down() -> None:
    """Stop Airflow; running tasks get 30 s. The database stays up (``hub db down``)."""
    with _alone():
        airflow_processes.stop()


def status() -> Status:
    """Return whether Airflow runs and where, without starting anything."""
    return Status(running=airflow_processes.running(), address=airflow_environment.address())


def trigger(dataset: str) -> str:
    """Run the job of *dataset* once, now; return Airflow's run id. ``Refused`` if the job is paused."""
    if _patiently(lambda: api.get(_path(dataset)))["is_paused"]:
        raise Refused(f"the job of {dataset} is paused", remedy=f"run `hub job resume {dataset}` first")
    run_id = f"hub__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"
    with contextlib.suppress(Refused):  # there already: the first answer was lost on the way
        _patiently(lambda: api.post(f"{_path(dataset)}/dagRuns", {"dag_run_id": run_id, "logical_date": None}))
    return run_id


def wait(dataset: str, run_id: str, *, seconds: float = 3600) -> Ended:
    """Return how run *run_id* of *dataset* ended; ``Unavailable`` if it has not within *seconds*.

    A run whose batch is held has not succeeded: it waits for an officer, which may take days.
    """
    path = f"{_path(dataset)}/dagRuns/{quote(run_id, safe='')}"

    def state() -> str:
        return str(_patiently(lambda: api.get(path))["state"])

    def held() -> Batch | None:
        return held_batch(dataset, started_by=f"airflow:{run_id}")

    _until(lambda: state() in _ENDED or held() is not None, what=f"the run of {dataset} has not ended", seconds=seconds)
    waiting = held()
    if waiting is not None:
        reason = f"batch {waiting.id} is held: {in_words(reasons_of(waiting))}"
        return Ended(dataset=dataset, run_id=run_id, succeeded=False, reason=reason)
    succeeded = state() == "success"
    return Ended(dataset=dataset, run_id=run_id, succeeded=succeeded, reason=None if succeeded else _patiently(lambda: _reason(path)))


def pause(dataset: str) -> None:
    """Let the job of *dataset* start no more, by timetable or by hand; a run under way goes on."""
    api.patch(_path(dataset), {"is_paused": True})


def resume(dataset: str) -> None:
    """Let the job of *dataset* run again, by its timetable."""
    api.patch(_path(dataset), {"is_paused": False})


def _path(dataset: str) -> str:
    if dataset not in {job.dataset for job in jobs()}:
        raise Mistake(f"there is no job `{dataset}`", remedy="`hub job list` shows the jobs")
    return f"/dags/sync__{dataset}"


def _reason(path: str) -> str | None:
    """Find the failing task's message in its log: dags.failures sees to it that it holds no value."""
    tasks = api.get(f"{path}/taskInstances")["task_instances"]
    for task in tasks if isinstance(tasks, list) else []:
        if task["state"] == "failed":
            log = api.get(f"{path}/taskInstances/{task['task_id']}/logs/{task['try_number']}")
            return next(_messages(log["content"]), f"task {task['task_id']} failed")
    return None


def _messages(content: object) -> Iterator[str]:
    for line in content if isinstance(content, list) else []:
        if str(line.get("event")).startswith("Task failed"):
            for error in (line.get("error_detail") or [])[:1]:  # the first is the one raised, the rest its causes
                yield str(error["exc_value"])


def _every_job_is_known() -> bool:
    if not airflow_processes.running():
        raise Unavailable("Airflow ended", remedy=f"read {airflow_processes.log_file('serve')} and the logs beside it")
    try:
        components = api.health()
        healthy = all(components[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor"))
        if healthy:
            api.warm_tasks_api()
            _refuse_unreadable_dags()
        return healthy and _known() >= {f"sync__{job.dataset}" for job in jobs()}
    except Unavailable:
        return False  # not listening yet


def _set_pools() -> None:
    """Bring the pools of an Airflow that ran already to the declarations: a task whose pool is not there never starts."""
    declared = [{"name": name, "slots": slots, "include_deferred": False} for name, slots in sorted(pools(jobs()).items())]
    body: dict[str, object] = {"actions": [{"action": "create", "action_on_existence": "overwrite", "entities": declared}]}
    _patiently(lambda: api.patch("/pools", body))


def _pause_what_officers_paused() -> None:
    """Pauses given while Airflow was down reach it now, or its timetable would start jobs only to fail them."""
    for job in listed():
        if job.paused:
            pause(job.contract.dataset)


def _refuse_unreadable_dags() -> None:
    errors = api.get("/importErrors")["import_errors"]
    for error in errors if isinstance(errors, list) else []:
        last = str(error["stack_trace"]).strip().splitlines()[-1]
        raise Mistake(f"Airflow cannot read dags/{error['filename']}: {last}", remedy="run `hub check`; if it finds nothing, report this")


def _known() -> set[str]:
    found: set[str] = set()
    while True:
        page = api.get(f"/dags?limit=100&offset={len(found)}")["dags"]
        if not isinstance(page, list) or not page:
            return found
        found |= {str(dag["dag_id"]) for dag in page}


def _patiently(call: Callable[[], Answer]) -> Answer:
    """Return the answer to *call*, asked again while Airflow runs but does not answer: it has one core to do it with."""
    for _ in range(_TRIES - 1):
        try:
            return call()
        except Unavailable:
            if not airflow_processes.running():
                raise
        time.sleep(_POLL_SECONDS)
    return call()


def _until(reached: Callable[[], bool], *, what: str, seconds: float = _START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise Unavailable(f"{what} within {seconds:.0f} s", remedy=f"read the logs in {settings().state / 'logs' / 'airflow'}")
        time.sleep(_POLL_SECONDS)


@contextmanager
def _alone() -> Iterator[None]:
    """Let one caller at a time start or stop; the kernel releases the lock if that caller dies."""
    file = settings().state / "airflow.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
