"""Declarations of a small city, and a fresh interpreter to parse them in: Airflow reads its settings as it is imported."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.settings import REPOSITORY

Ask = Callable[..., object]

_SOURCE = """\
source: {name}
department: {department}
title: {{zh: 民政登记, en: Civil register}}
connector: csv
path: ${{HUB_STATE}}/nowhere
readers: {readers}
hours: "{hours}"
"""

_CONTRACT = """\
dataset: {dataset}
department: {department}
version: 1
title: {{zh: 婚姻登记, en: Marriages}}
abstract: {{zh: 婚姻登记信息, en: Registered marriages}}
source: {source}
file: {dataset}.csv
schedule: {schedule}
key: [number]
fields:
  - {{name: number, title: {{zh: 编号, en: Number}}, type: string, level: L1, required: true}}
  - {{name: code, title: {{zh: 区划, en: Division}}, type: string, level: L1}}
rules:
  - {{rule: unique_key, fields: [number]}}
contributes:
  - entity: geographic.division
    subject: code
    fields: {{division_name: number}}
  - entity: geographic.division_name
    subject: code
    fields: {{division_name: number}}
sync: {{mode: full, parts: 1}}
sharing: {{class: conditional, scope: 市级部门, use: 婚姻状况核验}}
"""


def declare(
    home: Path,
    dataset: str,
    *,
    source: str = "civil_files",
    readers: int = 2,
    schedule: str = "30 1 * * *",
    timetable: str | None = None,
    hours: str = "00:00-24:00",
    department: str = "civil_affairs",
) -> Path:
    """Write a source and a contract into *home*; return the contract's file. *timetable* stands instead of *schedule*, as YAML."""
    sources, contracts = home / "connectors" / "sources", home / "schemas" / "contracts" / department
    sources.mkdir(parents=True, exist_ok=True)
    contracts.mkdir(parents=True, exist_ok=True)
    source_text = _SOURCE.format(name=source, readers=readers, hours=hours, department=department)
    (sources / f"{source}.yaml").write_text(source_text, encoding="utf-8")
    file = contracts / f"{dataset}.yaml"
    text = _CONTRACT.format(dataset=dataset, source=source, schedule=timetable or f'"{schedule}"', department=department)
    file.write_text(text, encoding="utf-8")
    return file


# As Airflow does it: imported once, then a fork per file. Importing it for each test would take minutes.
_SERVER = """
import contextlib, io, json, os, sys, traceback
import airflow.sdk, airflow.dag_processing.dagbag, airflow.models.pool, airflow.serialization.serialized_objects, airflow.plugins_manager
for line in sys.stdin:
    question = json.loads(line)
    reader, writer = os.pipe()
    if not os.fork():
        os.environ.update(question["environment"])
        os.dup2(2, 1)  # what Airflow logs is no answer
        with os.fdopen(writer, "w") as out, contextlib.redirect_stdout(out):
            try:
                exec(question["script"], {"__name__": "asked"})
            except BaseException:
                print(json.dumps({"failed": traceback.format_exc()}))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        print(answer.read().splitlines()[-1], flush=True)
    os.wait()
"""


@pytest.fixture(scope="session")
def airflow_interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """An interpreter that has imported Airflow with the repository's configuration and answers questions in forks."""
    folder = tmp_path_factory.mktemp("airflow")
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "AIRFLOW"))},
        "AIRFLOW_HOME": str(REPOSITORY),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/never-used.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(folder),
    }
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER], env=variables, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield server
        server.stdin.close()


@pytest.fixture(scope="session")
def ask_airflow(airflow_interpreter: subprocess.Popen[str]) -> Ask:
    """Run a script where Airflow is imported, over the declarations of *home*; return what it prints as JSON."""

    def run(script: str, home: Path, state: Path, **more: str) -> object:
        environment = {"HUB_HOME": str(home), "HUB_STATE": str(state), **more}
        airflow_interpreter.stdin.write(json.dumps({"script": script, "environment": environment}) + "\n")
        airflow_interpreter.stdin.flush()
        answer = json.loads(airflow_interpreter.stdout.readline())
        assert "failed" not in answer, answer["failed"]
        return answer

    return run
