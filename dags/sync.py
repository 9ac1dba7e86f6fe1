"""One DAG per declared job: stage what its source holds, in one read or in parts, then publish it, or ask an officer.

Parsed every few minutes and again before each task, so nothing heavy is imported at the top
(tests/dags/test_import_budget.py): the jobs come from one compact file.
"""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Asset, CronTriggerTimetable, XComArg, get_parsing_context, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.asked import asked, form
from dags.decision import Publish
from dags.failures import told_to_airflow
from dags.opening import opening
from dags.timetable import OpenTimes
from hub.settings import settings
from schemas.manifest import Job, jobs
from schemas.opening import calendar_warning

# Airflow takes the waiting task of the greatest weight first. Each department's first job comes before anybody's second,
# so that five hundred jobs of one do not stand before another's only one; and what is staged is published before more is staged.
_FIRST, _PUBLISH = 10_000, 20_000


def _timetable(job: Job) -> CronTriggerTimetable | OpenTimes | None:
    if job.schedule is None:
        return None
    if job.days == "all" and not job.hours:
        return CronTriggerTimetable(job.schedule, timezone=settings().timezone)
    return OpenTimes(job.schedule, timezone=settings().timezone, days=job.days, hours=job.hours)


def _notice(job: Job) -> str | None:
    """Return what an officer must see first: what is wrong with the contract, or that the calendar ends."""
    if job.mistake or job.known_until is None:
        return job.mistake
    today = datetime.now(ZoneInfo(settings().timezone)).date()
    return calendar_warning(job.known_until, today)


def _dag(job: Job) -> DAG:
    notice = _notice(job)
    dag = DAG(
        f"sync__{job.dataset}",
        dag_display_name=f"{job.title_zh} · {job.title_en}",
        description=notice or job.title_en,
        doc_md=f"**{notice}**\n\n{job.doc_md}" if notice else job.doc_md,
        tags=sorted({job.department, *job.libraries}),
        schedule=_timetable(job),
        # No start date: with one, every new job would run at once for the time before it was declared.
        catchup=False,
        max_active_runs=1,
        params=form(windows=job.incremental),
        default_args={
            "owner": job.department,
            # Used for Unavailable alone: told_to_airflow fails the rest at once.
            "retries": 3,
            "retry_delay": timedelta(seconds=30),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=15),
        },
    )

    Publish(
        task_id="publish",
        dag=dag,
        batch=_staged_in_parts(dag, job) if job.parts > 1 else _staged(dag, job),
        pool=f"library_{job.libraries[0]}",
        weight_rule="absolute",
        priority_weight=_PUBLISH,
        outlets=[Asset(f"hub://{entity.replace('.', '/')}") for entity in job.entities],
    )
    return dag


def _staged(dag: DAG, job: Job) -> XComArg:
    """Add the task that stages a batch in one read, and return the batch's id."""

    @task(dag=dag, **_reading(job))
    def stage(run_id: str | None = None, params: Any = None) -> int:  # noqa: ANN401 (Airflow's own)
        _require_open(job, run_id)
        with told_to_airflow():
            from hub.flows import sync  # noqa: PLC0415 (heavy: not while parsing)

            return sync.stage(job.dataset, started_by=f"airflow:{run_id}", asked=asked(params))

    return stage()


def _staged_in_parts(dag: DAG, job: Job) -> XComArg:
    """Add the tasks that stage a large table in parts, a task each, as many at once as the source allows; return the batch's id."""

    @task(dag=dag, **_reading(job))
    def divide(run_id: str | None = None, params: Any = None, ti: Any = None) -> list[dict[str, int]]:  # noqa: ANN401 (Airflow's own)
        _require_open(job, run_id)
        with told_to_airflow():
            from hub.flows import parts  # noqa: PLC0415 (heavy: not while parsing)

            division = parts.divide(job.dataset, started_by=f"airflow:{run_id}", asked=asked(params))
        ti.xcom_push(key="batch", value=division.batch if division else None)
        return [{"batch": division.batch, "part": part} for part in division.remaining] if division else []

    @task(dag=dag, **_reading(job))
    def stage_part(batch: int, part: int, run_id: str | None = None) -> None:
        with told_to_airflow():
            from hub.flows import parts  # noqa: PLC0415 (heavy: not while parsing)

            parts.stage_part(batch, part, started_by=f"airflow:{run_id}")

    # Parts that were all read before are no parts to map; but where `divide` was skipped, outside the hours, nothing is read.
    @task(dag=dag, trigger_rule="none_failed_min_one_success", **_reading(job))
    def stage(batch: int | None, run_id: str | None = None, params: Any = None) -> int:  # noqa: ANN401 (Airflow's own)
        with told_to_airflow():
            from hub.flows import sync  # noqa: PLC0415 (heavy: not while parsing)

            if batch is None:
                return sync.stage_at_once(job.dataset, started_by=f"airflow:{run_id}", asked=asked(params))
            return sync.stage_parts(batch, started_by=f"airflow:{run_id}")

    division: Any = divide()
    staged = stage(division["batch"])
    stage_part.expand_kwargs(division) >> staged
    return staged


def _reading(job: Job) -> dict[str, Any]:
    return {"pool": job.pool, "weight_rule": "absolute", "priority_weight": max(_FIRST - job.place, 1)}


def _require_open(job: Job, run_id: str | None) -> None:
    if str(run_id).startswith("scheduled__") and not _open_now(job):
        raise AirflowSkipException(f"it is outside {', '.join(job.hours)}: the job runs at its next time")


def _open_now(job: Job) -> bool:
    """Whether the hours allow a run now: the scheduler may have been down, or the job's turn may have come late."""
    return opening("all", job.hours).allows(datetime.now(ZoneInfo(settings().timezone)))


_wanted = get_parsing_context().dag_id  # set when a worker runs one task of one DAG

for _job in jobs():
    if _wanted is None or _wanted == f"sync__{_job.dataset}":
        globals()[f"sync__{_job.dataset}"] = _dag(_job)
