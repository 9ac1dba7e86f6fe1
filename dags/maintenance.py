"""Once a night: remove what is older than its contract keeps it, and write tables anew from which somebody was erased."""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.failures import told_to_airflow
from hub.settings import settings

with DAG(
    "maintenance__retention",
    dag_display_name="清理超过保存期限的数据 · Retention",
    description="Prune histories, quarantined values and leftovers by the retention that contracts declare",
    tags=["maintenance"],
    schedule=CronTriggerTimetable("40 3 * * *", timezone=settings().timezone),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
):

    @task
    def prune(run_id: str | None = None) -> None:
        """Run one pass; a pass that was cut off goes on where it stood."""
        with told_to_airflow():
            from hub.flows import retention  # noqa: PLC0415 (heavy: not while parsing)

            retention.pruned(by=f"airflow:{run_id}")

    prune()
