"""One DAG per declared job: stage what its source holds, then publish it.

Parsed every few minutes and again before each task, so nothing heavy is imported at the top
(tests/dags/test_import_budget.py): the jobs come from one compact file.
"""

from datetime import timedelta

from airflow.sdk import DAG, Asset, CronTriggerTimetable, get_parsing_context, task

from dags.failures import told_to_airflow
from hub.settings import settings
from schemas.manifest import Job, jobs


def _dag(job: Job) -> DAG:
    dag = DAG(
        f"sync__{job.dataset}",
        dag_display_name=f"{job.title_zh} · {job.title_en}",
        description=job.mistake or job.title_en,
        doc_md=f"**{job.mistake}**\n\n{job.doc_md}" if job.mistake else job.doc_md,
        tags=sorted({job.department, *job.libraries}),
        schedule=CronTriggerTimetable(job.schedule, timezone=settings().timezone) if job.schedule else None,
        # No start date: with one, every new job would run at once for the time before it was declared.
        catchup=False,
        max_active_runs=1,
        default_args={
            "owner": job.department,
            # Used for Unavailable alone: told_to_airflow fails the rest at once.
            "retries": 3,
            "retry_delay": timedelta(seconds=30),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=15),
        },
    )

    @task(dag=dag, pool=f"source_{job.source}")
    def stage(dataset: str, run_id: str | None = None) -> int:
        with told_to_airflow():
            from hub.flows import sync  # noqa: PLC0415 (heavy: not while parsing)

            return sync.stage(dataset, started_by=f"airflow:{run_id}")

    @task(dag=dag, pool=f"library_{job.libraries[0]}", outlets=[Asset(f"hub://{entity.replace('.', '/')}") for entity in job.entities])
    def publish(batch: int, run_id: str | None = None) -> None:
        with told_to_airflow():
            from hub.flows import sync  # noqa: PLC0415 (heavy: not while parsing)

            sync.publish(batch, started_by=f"airflow:{run_id}")

    publish(stage(job.dataset))  # type: ignore[arg-type]  # the batch's id, once there is one
    return dag


_wanted = get_parsing_context().dag_id  # set when a worker runs one task of one DAG

for _job in jobs():
    if _wanted is None or _wanted == f"sync__{_job.dataset}":
        globals()[f"sync__{_job.dataset}"] = _dag(_job)
