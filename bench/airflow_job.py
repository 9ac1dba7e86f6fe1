"""A small job in a running Airflow: ``python -m bench.airflow_job [rows]``.

1,000 rows from PostgreSQL, twenty rules, five sensitive columns, from its trigger to what is published, beside an empty DAG of two tasks
in the same Airflow, all warm. The seconds are told apart by the records of Airflow and of the batch; CPU seconds are those of all of
Airflow's processes, because a machine may be busy. Results go to ``bench/results/airflow_job.json``.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from urllib.parse import quote

import psutil
from rich.console import Console
from rich.table import Table

from bench import people
from hub.settings import settings

ROWS, RUNS = 1000, 5
RESULTS = Path(__file__).parent / "results"
_EMPTY = """
from airflow.sdk import DAG, task

with DAG("bench_empty", schedule=None):

    @task
    def first() -> int:
        return 1

    @task
    def second(number: int) -> None:
        pass

    second(first())
"""
_ENDED = {"success", "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """One run: seconds in all and per stretch, CPU seconds of all of Airflow's processes meanwhile."""

    seconds: float
    cpu: float
    stretches: dict[str, float]


def prepare(rows: int, folder: Path) -> None:
    """Set up server, source, declarations, tables and an Airflow with one DAG more."""
    os.environ |= {"HUB_HOME": str(folder / "home"), "HUB_STATE": str(folder / "state"), "HUB_KEYS": str(folder / "keys")}
    settings.cache_clear()
    people.write_home(folder / "home")
    (folder / "dags").mkdir()
    (folder / "dags" / "bench_empty.py").write_text(_EMPTY, encoding="utf-8")
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": "dags-folder", "classpath": local, "kwargs": {}},
        {"name": "bench", "classpath": local, "kwargs": {"path": str(folder / "dags")}},
    ]
    os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps(bundles)
    from hub.flows import bases, scheduler  # noqa: PLC0415 (settings come first)
    from hub.flows.database import ready  # noqa: PLC0415

    ready()
    people.build_source(rows)
    bases.applied(by="bench")
    scheduler.up(timetable=False)


def run(dag: str) -> Took:
    """Run *dag* once and tell its seconds apart."""
    from hub.flows import airflow_client as api  # noqa: PLC0415 (settings come first)

    cpu = _cpu()
    run_id = f"bench__{datetime.now(UTC):%H%M%S.%f}"
    began = datetime.now(UTC)
    api.post(f"/dags/{dag}/dagRuns", {"dag_run_id": run_id, "logical_date": None})
    path = f"/dags/{dag}/dagRuns/{quote(run_id, safe='')}"
    while (found := api.get(path))["state"] not in _ENDED:
        time.sleep(0.2)
    if found["state"] != "success":
        raise SystemExit(f"a run of {dag} failed: read the logs of its tasks")
    tasks = cast("list[dict[str, str]]", api.get(f"{path}/taskInstances")["task_instances"])
    return Took(
        seconds=(_time(found["end_date"]) - began).total_seconds(), cpu=_cpu() - cpu, stretches=_stretches(began, found, tasks, dag)
    )


def _stretches(began: datetime, found: dict[str, object], tasks: list[dict[str, str]], dag: str) -> dict[str, float]:
    first, second = sorted(tasks, key=lambda task: task["start_date"])
    points = [
        ("trigger → running", _time(found["start_date"])),
        ("→ first task queued", _time(first["queued_when"])),
        ("→ first task runs", _time(first["start_date"])),
        *(_inside(_time(first["start_date"]), "stage") if dag.startswith("sync__") else []),
        ("→ first task ended", _time(first["end_date"])),
        ("→ second task queued", _time(second["queued_when"])),
        ("→ second task runs", _time(second["start_date"])),
        ("→ second task ended", _time(second["end_date"])),
        ("→ run ended", _time(found["end_date"])),
    ]
    stretches, before = {}, began
    for name, at in points:
        stretches[name] = round((at - before).total_seconds(), 3)
        before = at
    return stretches


def _inside(_started: datetime, _task: str) -> list[tuple[str, datetime]]:
    """Return when the batch was planned: until then the task had been forked, its DAG parsed and its modules found."""
    from hub.flows import batches  # noqa: PLC0415 (settings come first)

    return [("→ batch planned", batches.newest("bench_people", limit=1)[0].started_at)]


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


def _cpu() -> float:
    """Return the CPU seconds of Airflow's processes so far, those that ended included."""
    record = json.loads((settings().state / "run" / "airflow.json").read_bytes())
    parent = psutil.Process(record["pid"])
    times = [process.cpu_times() for process in [parent, *parent.children(recursive=True)]]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


def measured(dag: str) -> Took:
    """Return the run of median seconds of several, after one that warms up."""
    run(dag)
    taken = sorted((run(dag) for _ in range(RUNS)), key=lambda took: took.seconds)
    return taken[RUNS // 2]


def steps_of_batch() -> dict[str, float]:
    """Return the batch's own seconds, of the newest run."""
    from hub.flows import batches  # noqa: PLC0415 (settings come first)

    return batches.newest("bench_people", limit=1)[0].seconds


def show(found: dict[str, Took], batch: dict[str, float], rows: int) -> None:
    """Print the table."""
    table = Table(title=f"{rows:,} rows in a running Airflow, median of {RUNS}", title_justify="left")
    for column in ("", *found):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("seconds", *(f"{one.seconds:.2f}" for one in found.values()))
    table.add_row("CPU seconds", *(f"{one.cpu:.2f}" for one in found.values()))
    names = list(dict.fromkeys(name for one in reversed(list(found.values())) for name in one.stretches))
    for name in names:
        table.add_row(name, *(f"{one.stretches[name]:.2f}" if name in one.stretches else "" for one in found.values()))
    Console().print(table)
    Console().print("inside the tasks: " + ", ".join(f"{name} {spent:.2f}" for name, spent in batch.items()))


def main() -> None:
    """Measure, print and keep the results."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else ROWS
    load = statistics.fmean(os.getloadavg()[:1])
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        from hub.database import embedded  # noqa: PLC0415
        from hub.flows import scheduler  # noqa: PLC0415

        try:
            prepare(rows, Path(folder))
            found = {"empty DAG of two tasks": measured("bench_empty"), "job": measured("sync__bench_people")}
            batch = steps_of_batch()
        finally:
            scheduler.down()
            embedded.down()
    show(found, batch, rows)
    RESULTS.mkdir(exist_ok=True)
    about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": platform.machine(), "cores": os.cpu_count(), "load": load}
    kept = {name: asdict(one) for name, one in found.items()}
    text = json.dumps(about | {"rows": rows, "runs": kept, "batch": batch}, indent=2, ensure_ascii=False)
    (RESULTS / "airflow_job.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
