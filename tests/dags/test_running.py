"""Real Airflow on the real database: what runs, what is tried again, what it keeps, and that it speaks to nobody."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from demo import city
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Refused
from hub.flows import airflow_client, bases, scheduler
from hub.flows.airflow_environment import environment
from hub.flows.database import ready
from hub.settings import settings
from schemas.declarations import declarations

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]

# Seen by every process of Airflow: each address that it wants to reach, and each name that it looks up.
_WATCH = """
import os, sys
def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        target = str(arguments[1][0])
    elif event == "socket.getaddrinfo" and arguments[0] is not None:
        target = arguments[0].decode() if isinstance(arguments[0], bytes) else str(arguments[0])
    else:
        return
    with open(os.environ["WATCHED"], "a") as out:
        out.write(target + "\\n")
sys.addaudithook(watch)
"""
_HERE = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that every Python process started from here writes its targets into."""
    folder = tmp_path_factory.mktemp("watch")
    (folder / "sitecustomize.py").write_text(_WATCH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("WATCHED", str(folder / "targets"))
        yield folder / "targets"


@pytest.fixture(scope="module")
def running(hub_database: Path, watched: Path) -> Iterator[scheduler.Status]:
    """Airflow over a small demo city."""
    ready()
    city.build(hub_database, city.administrator(), scale=0.01)
    bases.applied(by="test")
    yield scheduler.up(timetable=False)
    scheduler.down()


def _airflow(statement: str) -> list[tuple[object, ...]]:
    with engine(Role.AIRFLOW).connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def test_a_job_runs_and_what_airflow_keeps_of_it_is_a_number(running: scheduler.Status) -> None:
    ended = scheduler.wait("division", scheduler.trigger("division"), seconds=300)
    assert ended.succeeded, ended.reason
    batch = _airflow("SELECT value FROM xcom WHERE dag_id = 'sync__division' AND task_id = 'stage' AND key = 'return_value'")
    assert [str(value).isdigit() for (value,) in batch] == [True]
    kept = _airflow("SELECT rendered_fields::text FROM rendered_task_instance_fields WHERE dag_id = 'sync__division'")
    assert {key for (fields,) in kept for key in json.loads(fields)} <= {"op_args", "op_kwargs", "templates_dict", "batch"}
    updated = {uri for (uri,) in _airflow("SELECT a.uri FROM asset_event e JOIN asset a ON a.id = e.asset_id")}
    assert "hub://geographic/division" in updated


def test_a_large_table_is_staged_by_a_task_for_each_part_as_one_batch(running: scheduler.Status) -> None:
    scheduler.wait("household_register", scheduler.trigger("household_register"), seconds=300)
    parts = _airflow(
        "SELECT map_index, state FROM task_instance WHERE dag_id = 'sync__household_register' AND task_id = 'stage_part' ORDER BY 1"
    )
    assert parts == [(0, "success"), (1, "success")]
    with engine(Role.READER).connect() as connection:
        batches = connection.execute(sa.text("SELECT state, counts -> 'parts' FROM hub.batch WHERE dataset = 'household_register'"))
        # In so small a city a few bad rows are a large share: its batch is held.
        assert [tuple(row) for row in batches] == [("held", 2)]


def test_a_second_start_changes_nothing_but_pools_that_are_not_as_declared(running: scheduler.Status) -> None:
    pool = "department_civil_affairs"
    airflow_client.patch(f"/pools/{pool}", {"pool": pool, "slots": 7, "include_deferred": True})
    assert scheduler.up(timetable=False) == running
    found = airflow_client.get(f"/pools/{pool}")
    assert (found["slots"], found["include_deferred"]) == (1, False)


def test_a_department_never_holds_both_workers_whatever_it_asks_for(running: scheduler.Status) -> None:
    datasets = [contract.dataset for contract in declarations().contracts.values() if contract.department == "civil_affairs"]
    assert len({declarations().contracts[one].source for one in datasets}) == len(datasets) > 2
    runs = [(one, scheduler.trigger(one)) for one in datasets]
    for dataset, run_id in runs:
        scheduler.wait(dataset, run_id, seconds=300)
    assert len(_airflow("SELECT DISTINCT dag_id FROM task_instance WHERE pool = 'department_civil_affairs'")) == len(datasets)
    overlapping = _airflow(
        "SELECT a.dag_id, b.dag_id FROM task_instance a JOIN task_instance b ON a.dag_id < b.dag_id "
        "AND a.start_date < b.end_date AND b.start_date < a.end_date "
        "WHERE a.pool = 'department_civil_affairs' AND b.pool = a.pool"
    )
    assert overlapping == []


def test_the_interface_demands_the_generated_login(running: scheduler.Status) -> None:
    command = [sys.executable, "-c", f"import urllib.request as u; u.urlopen('{running.address}/api/v2/dags')"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "401" in ended.stderr


def test_a_paused_job_is_not_run_until_it_is_resumed(running: scheduler.Status) -> None:
    scheduler.pause("division")
    with pytest.raises(Refused, match="hub job resume division"):
        scheduler.trigger("division")
    scheduler.resume("division")
    assert scheduler.wait("division", scheduler.trigger("division"), seconds=300).succeeded


def test_only_a_source_that_may_come_back_is_tried_again(running: scheduler.Status) -> None:
    (file,) = (settings().state / "demo").rglob("*standard_address*")
    file.rename(file.with_suffix(".away"))
    away = scheduler.trigger("standard_address")
    with pytest.raises(Exception, match="has not ended"):
        scheduler.wait("standard_address", away, seconds=25)
    states = {
        state for (state,) in _airflow("SELECT state FROM task_instance WHERE dag_id = 'sync__standard_address' AND task_id = 'stage'")
    }
    assert states <= {"up_for_retry", "queued", "scheduled", "running"}
    file.with_suffix(".away").rename(file)

    broken = scheduler.wait("insured_unit", _with_a_broken_file("insured_unit"), seconds=300)
    assert not broken.succeeded
    assert "What to do" in str(broken.reason)
    assert _airflow("SELECT try_number FROM task_instance WHERE dag_id = 'sync__insured_unit' AND task_id = 'stage'") == [(1,)]


def _with_a_broken_file(dataset: str) -> str:
    for file in (settings().state / "demo").rglob(f"*{dataset}*"):
        file.write_bytes(b"no workbook at all")
    return scheduler.trigger(dataset)


def test_no_secret_stands_in_a_command_line_or_a_log(running: scheduler.Status) -> None:
    secrets = [file.read_text().strip() for file in settings().secrets.iterdir() if file.is_file() and not file.name.endswith(".json")]
    lines = subprocess.run(["/bin/ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    logs = "".join(file.read_text(errors="replace") for file in (settings().state / "logs" / "airflow").rglob("*.log"))
    assert "scheduler" in logs
    assert [secret for secret in secrets if secret in lines or secret in logs] == []


def test_airflow_reports_to_nobody_and_the_watch_is_awake(running: scheduler.Status, watched: Path) -> None:
    assert airflow_client.health()["scheduler"]["status"] == "healthy"
    targets = set(watched.read_text().split())
    assert "127.0.0.1" in targets  # tasks speak to Airflow's API
    assert targets <= _HERE
    # 192.0.2.0/24 is for documentation (RFC 5737): nothing answers there.
    out = "import socket; socket.socket().connect_ex(('192.0.2.1', 9)) if not socket.setdefaulttimeout(0.2) else None"
    subprocess.run([sys.executable, "-c", out], env=environment() | {"WATCHED": os.environ["WATCHED"]}, check=True)
    assert "192.0.2.1" in set(watched.read_text().split())


def test_killing_the_parent_leaves_nothing_behind_and_the_next_start_serves_again(running: scheduler.Status) -> None:
    parent = psutil.Process(json.loads((settings().state / "run" / "airflow.json").read_text())["pid"])
    components = parent.children()
    parent.kill()
    psutil.wait_procs(components, timeout=60)
    assert [component for component in components if component.is_running() and component.status() != psutil.STATUS_ZOMBIE] == []
    assert not scheduler.status().running
    assert scheduler.up(timetable=False).running
