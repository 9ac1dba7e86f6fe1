"""Every declared job is one DAG, in a stable order, with the assets, pools and pages its contract calls for."""

from pathlib import Path

import pytest

from hub.settings import REPOSITORY
from tests.dags.conftest import Ask, declare

_PARSE = """
import json, runpy
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
from schemas.manifest import jobs, pools

def task(one):
    return {"pool": one.pool, "runs_if": one.trigger_rule.value, "outlets": [asset.uri for asset in one.outlets], "after": sorted(one.upstream_task_ids)}

bag = BundleDagBag("dags", bundle_path=Path("dags").resolve(), bundle_name="dags-folder")
print(json.dumps({
    "errors": bag.import_errors,
    "order": [name for name in runpy.run_path("dags/sync.py") if name.startswith("sync__")],
    "dags": {dag.dag_id: {
        "tags": sorted(dag.tags), "runs": dag.max_active_runs, "catchup": dag.catchup, "page": dag.doc_md, "description": dag.description,
        "schedule": getattr(dag.timetable, "expression", None), "zone": str(getattr(dag.timetable, "timezone", "")),
        "title": dag.dag_display_name, "start": str(dag.start_date), "tasks": {name: task(one) for name, one in dag.task_dict.items()},
    } for dag in bag.dags.values() if dag.dag_id.startswith("sync__")},
    "others": sorted(name for name in bag.dags if not name.startswith("sync__")),
    "pools": pools(jobs()),
}))
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three jobs, one of them with a schedule that is none."""
    home = tmp_path_factory.mktemp("city")
    declare(home, "marriage_register", source="civil_files", readers=3, schedule="30 1 * * *")
    declare(home, "birth_register")
    large = declare(home, "adoption_register", schedule="every now and then")
    large.write_text(large.read_text(encoding="utf-8").replace("parts: 1", "parts: 8"), encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the list of the city's jobs is kept."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def parsed(ask_airflow: Ask, city: Path, state: Path) -> dict[str, dict]:
    """What Airflow makes of the three jobs."""
    return ask_airflow(_PARSE, city, state)


@pytest.fixture
def marriages(parsed: dict[str, dict]) -> dict[str, object]:
    """The DAG of one job."""
    return parsed["dags"]["sync__marriage_register"]


def test_every_job_is_one_dag_in_order(parsed: dict[str, dict]) -> None:
    assert parsed["errors"] == {}
    assert parsed["order"] == ["sync__adoption_register", "sync__birth_register", "sync__marriage_register"]
    assert sorted(parsed["dags"]) == parsed["order"]


def test_beside_the_jobs_there_is_the_nightly_pruning_alone(parsed: dict[str, dict]) -> None:
    assert parsed["others"] == ["maintenance__retention"]


def test_a_job_stages_and_then_publishes_in_the_pools_of_its_department_and_library(parsed: dict[str, dict], marriages: dict) -> None:
    assert marriages["tasks"]["stage"]["pool"] == "department_civil_affairs"
    assert marriages["tasks"]["publish"]["pool"] == "library_geographic"
    assert marriages["tasks"]["publish"]["after"] == ["stage"]
    assert parsed["pools"] == {"department_civil_affairs": 2, "library_geographic": 1}


_POOLS = """
import json
from schemas.manifest import jobs, pools
print(json.dumps({"pools": pools(jobs()), "of": {job.dataset: job.pool for job in jobs()}}))
"""


def _departments(home: Path, **concurrent: int) -> None:
    rows = [
        f"  - {{department: {name}, title: {{zh: 部门, en: Department}}, credit_code: 11100000000013338W, concurrent_jobs: {jobs}}}"
        for name, jobs in concurrent.items()
    ]
    (home / "catalog").mkdir(exist_ok=True)
    (home / "catalog" / "departments.yaml").write_text("\n".join(["departments:", *rows, ""]), encoding="utf-8")


def test_however_many_sources_a_department_has_it_holds_no_more_slots_than_declared(ask_airflow: Ask, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for number in range(30):
        declare(home, f"job_{number}", source=f"source_{number % 10}", readers=1, department="greedy")
    declare(home, "small_job", source="small_files", readers=1, department="small")

    unsaid = ask_airflow(_POOLS, home, tmp_path / "state")
    _departments(home, greedy=3, small=1)
    declared = ask_airflow(_POOLS, home, tmp_path / "state")

    assert unsaid["pools"] == {"department_greedy": 1, "department_small": 1, "library_geographic": 1}
    greedy = {name: slots for name, slots in declared["pools"].items() if name.startswith("department_greedy")}
    assert greedy == {"department_greedy.1": 1, "department_greedy.2": 1, "department_greedy.3": 1}
    assert declared["of"]["small_job"] == "department_small"


def test_no_source_is_read_by_more_than_it_allows_however_many_jobs_its_department_may_run(ask_airflow: Ask, tmp_path: Path) -> None:
    home = tmp_path / "home"
    declare(home, "first", source="wide", readers=4)
    declare(home, "second", source="narrow", readers=1)
    _departments(home, civil_affairs=8)

    found = ask_airflow(_POOLS, home, tmp_path / "state")

    assert {dataset: found["pools"][pool] for dataset, pool in found["of"].items()} == {"first": 4, "second": 1}


def test_a_large_table_is_staged_by_a_task_for_each_of_its_parts(parsed: dict[str, dict]) -> None:
    tasks = parsed["dags"]["sync__adoption_register"]["tasks"]
    assert {name: one["after"] for name, one in tasks.items()} == {
        "divide": [],
        "stage_part": ["divide"],
        "stage": ["divide", "stage_part"],
        "publish": ["stage"],
    }
    assert {tasks[name]["pool"] for name in ("divide", "stage_part", "stage")} == {"department_civil_affairs"}


def test_a_large_table_is_not_read_where_its_division_was_skipped_outside_the_hours(parsed: dict[str, dict]) -> None:
    tasks = parsed["dags"]["sync__adoption_register"]["tasks"]
    assert tasks["stage"]["runs_if"] == "none_failed_min_one_success"


def test_a_job_updates_one_asset_per_entity_when_it_publishes(marriages: dict) -> None:
    assert marriages["tasks"]["publish"]["outlets"] == ["hub://geographic/division", "hub://geographic/division_name"]
    assert marriages["tasks"]["stage"]["outlets"] == []


def test_a_job_runs_by_its_timetable_in_the_business_time_zone_and_never_catches_up(marriages: dict) -> None:
    assert (marriages["schedule"], marriages["zone"]) == ("30 1 * * *", "Asia/Shanghai")
    assert (marriages["runs"], marriages["catchup"], marriages["start"]) == (1, False, "None")
    assert marriages["tags"] == ["civil_affairs", "geographic"]


def test_the_page_of_a_job_says_in_both_languages_what_its_contract_says(marriages: dict) -> None:
    assert marriages["title"] == "婚姻登记 · Marriages"
    for part in (
        "婚姻登记信息",
        "Registered marriages",
        "编号 · Number",
        "行主键不重复 · The row key is unique",
        "30 1 * * *",
        "有条件共享",
        "婚姻状况核验",
    ):
        assert part in marriages["page"]


def test_a_schedule_that_is_no_cron_expression_stops_only_its_own_timetable(parsed: dict[str, dict]) -> None:
    adoptions = parsed["dags"]["sync__adoption_register"]
    assert adoptions["schedule"] is None
    assert "every now and then" in adoptions["description"]


def test_a_worker_builds_the_one_dag_it_runs(ask_airflow: Ask, city: Path, state: Path, parsed: dict[str, dict]) -> None:
    found = ask_airflow(_PARSE, city, state, _AIRFLOW_PARSING_CONTEXT_DAG_ID="sync__birth_register")
    assert found["order"] == ["sync__birth_register"]


def test_a_contract_that_no_longer_reads_keeps_its_job_and_says_so_and_a_withdrawn_one_goes(ask_airflow: Ask, tmp_path: Path) -> None:
    home, state = tmp_path / "home", tmp_path / "state"
    broken, withdrawn = declare(home, "marriage_register"), declare(home, "adoption_register")
    declare(home, "birth_register")
    ask_airflow("import json\nfrom schemas.manifest import jobs\nprint(json.dumps({'jobs': len(jobs())}))", home, state)
    broken.write_text(broken.read_text(encoding="utf-8").replace("version: 1", "version: one"), encoding="utf-8")
    withdrawn.unlink()

    found = ask_airflow(_PARSE, home, state)

    assert found["errors"] == {}
    assert found["order"] == ["sync__birth_register", "sync__marriage_register"]
    assert "marriage_register.yaml:3" in found["dags"]["sync__marriage_register"]["page"]


def test_the_shipped_declarations_parse(ask_airflow: Ask, tmp_path: Path) -> None:
    found = ask_airflow(_PARSE, REPOSITORY, tmp_path)
    assert found["errors"] == {}
    assert found["order"] == sorted(found["dags"])
    assert all(dag["tasks"]["publish"]["outlets"] for dag in found["dags"].values())
