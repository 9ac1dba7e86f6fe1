"""A thousand declared jobs: ``python -m bench.jobs [jobs]``.

Each figure is of a fresh process that has imported Airflow, as its DAG processor and its tasks have: all jobs parsed from the
DAG file, one job parsed as a task does, and the list of jobs written anew, which happens once after a declaration changed.
CPU seconds stand beside, because a machine may be busy. Results go to ``bench/results/jobs.json``.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hub.settings import REPOSITORY

JOBS = 1000
DEPARTMENTS = 20
RESULTS = Path(__file__).parent / "results"
LIMITS = {"all jobs parsed": 5.0, "one job parsed": 0.5}

_PARSE = """
import json, resource, time
import airflow.sdk, airflow.dag_processing.dagbag
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
used = resource.getrusage(resource.RUSAGE_SELF)
began = time.perf_counter()
bag = BundleDagBag("dags", bundle_path=Path("dags").resolve(), bundle_name="dags-folder")
seconds = time.perf_counter() - began
now = resource.getrusage(resource.RUSAGE_SELF)
cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
print(json.dumps({"seconds": seconds, "cpu": cpu, "dags": len(bag.dags), "errors": bag.import_errors}))
"""
_LIST = """
import json, resource, time
began = time.perf_counter()
from schemas.manifest import jobs
found = jobs()
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu = sum(one.ru_utime + one.ru_stime for one in used)
print(json.dumps({"seconds": time.perf_counter() - began, "cpu": cpu, "dags": len(found), "errors": {}}))
"""

_SOURCE = """\
source: {source}
department: {department}
title: {{zh: 登记库, en: Register}}
connector: csv
path: ${{HUB_STATE}}/nowhere
"""
_CONTRACT = """\
dataset: {dataset}
department: {department}
version: 1
title: {{zh: 登记, en: Register}}
abstract: {{zh: 登记信息, en: What is registered}}
source: {source}
file: {dataset}.csv
schedule: {{cron: '{minute} 1 * * *', days: working, hours: '00:00-06:00'}}
key: [number]
fields:
  - {{name: number, title: {{zh: 编号, en: Number}}, type: string, level: L1, required: true}}
  - {{name: code, title: {{zh: 区划, en: Division}}, type: string, level: L1, kind: division_code}}
contributes:
  - {{entity: geographic.division, subject: code, fields: {{division_name: number}}}}
sharing: {{class: conditional, scope: 市级部门, use: 核验}}
"""


def declare(home: Path, number: int) -> None:
    """Write *number* contracts of twenty departments, each department with a source of its own."""
    (home / "connectors" / "sources").mkdir(parents=True)
    for place in range(number):
        department = f"department_{place % DEPARTMENTS}"
        dataset, source = f"register_{place:04}", f"source_{place % DEPARTMENTS}"
        folder = home / "schemas" / "contracts" / department
        folder.mkdir(parents=True, exist_ok=True)
        (home / "connectors" / "sources" / f"{source}.yaml").write_text(
            _SOURCE.format(source=source, department=department), encoding="utf-8"
        )
        text = _CONTRACT.format(dataset=dataset, department=department, source=source, minute=place % 60)
        (folder / f"{dataset}.yaml").write_text(text, encoding="utf-8")


def ask(script: str, folder: Path, **more: str) -> dict[str, float]:
    """Run *script* in a fresh process over the declarations in *folder* and return what it printed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "AIRFLOW", "_AIRFLOW"))}
    airflow = {
        "AIRFLOW_HOME": str(REPOSITORY),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/never-used.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
    }
    environment = own | airflow | {"HUB_HOME": str(folder / "home"), "HUB_STATE": str(folder / "state")} | more
    ended = subprocess.run(  # noqa: S603 (this interpreter, a script of ours)
        [sys.executable, "-c", script], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def cases(folder: Path) -> dict[str, dict[str, float]]:
    """Return what each case took."""
    one = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": "sync__register_0007"}
    return {
        "jobs listed anew": ask(_LIST, folder),
        "list of jobs read": ask(_LIST, folder),
        "all jobs parsed": ask(_PARSE, folder),
        "one job parsed": ask(_PARSE, folder, **one),
    }


def main() -> None:
    """Measure, print and keep the results."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else JOBS
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as temporary:
        declare(Path(temporary) / "home", number)
        found = cases(Path(temporary))
    table = Table(title=f"{number:,} declared jobs", title_justify="left")
    for column in ("case", "jobs", "seconds", "CPU seconds", "limit"):
        table.add_column(column, justify="left" if column == "case" else "right")
    for case, one in found.items():
        table.add_row(case, f"{one['dags']:,.0f}", f"{one['seconds']:.2f}", f"{one['cpu']:.2f}", f"{LIMITS.get(case, '')}")
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": platform.machine(), "cores": os.cpu_count(), "jobs": number}
    kept = {case: {name: round(one[name], 3) for name in ("dags", "seconds", "cpu")} for case, one in found.items()}
    (RESULTS / "jobs.json").write_text(json.dumps(about | {"cases": kept}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
