"""Parsing is cheap: a DAG file runs every few minutes and again before each task."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from hub.settings import REPOSITORY
from tests.dags.conftest import Ask, declare

_LOADED = """
import json, runpy, sys
runpy.run_path("dags/sync.py")
print(json.dumps(sorted(sys.modules)))
"""

_TIMED = """
import json, time
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
started = time.monotonic()
bag = BundleDagBag("dags", bundle_path=Path("dags").resolve(), bundle_name="dags-folder")
print(json.dumps({"dags": sum(name.startswith("sync__") for name in bag.dags), "seconds": time.monotonic() - started, "errors": bag.import_errors}))
"""


def test_parsing_imports_nothing_heavy(tmp_path: Path) -> None:
    declare(tmp_path, "marriage_register")
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "AIRFLOW"))},
        "HUB_HOME": str(tmp_path),
        "HUB_STATE": str(tmp_path / "state"),
        "AIRFLOW_HOME": str(REPOSITORY),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/never-used.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path),
    }
    ended = subprocess.run([sys.executable, "-c", _LOADED], env=variables, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    loaded = set(json.loads(ended.stdout.splitlines()[-1]))
    assert "schemas.manifest" in loaded
    heavy = {
        "pyarrow",
        "numpy",
        "pandas",
        "great_expectations",
        "adbc_driver_postgresql",
        "shapely",
        "hub.flows",
        "connectors",
        "masking",
        "libraries",
    }
    assert loaded & heavy == set()


def test_a_thousand_jobs_parse_in_seconds_from_their_file(ask_airflow: Ask, tmp_path: Path) -> None:
    home, state = tmp_path / "home", tmp_path / "state"
    for number in range(1000):
        declare(home, f"register_{number:04}", source=f"source_{number % 20}")
    started = time.monotonic()
    ask_airflow("import json\nfrom schemas.manifest import jobs\nprint(json.dumps({'jobs': len(jobs())}))", home, state)
    listed = time.monotonic() - started

    found = ask_airflow(_TIMED, home, state)

    assert found["errors"] == {}
    assert found["dags"] == 1000
    # Airflow gives a file 30 s ([core] dagbag_import_timeout); the bound leaves room for a busy machine.
    assert found["seconds"] < 20, f"parsed in {found['seconds']:.1f} s, listed in {listed:.1f} s"
    print(f"1,000 jobs: parsed in {found['seconds']:.1f} s, listed in {listed:.1f} s")
