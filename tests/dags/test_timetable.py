"""Working days and hours as Airflow sees them: when a job runs next, what a missed run becomes, who comes first."""

from pathlib import Path

import pytest

from tests.dags.conftest import Ask, declare

# Airflow's own way to the next run and to its database and back, at a given time of the day.
_NEXT = """
import json
from pathlib import Path
import airflow.timetables.trigger as trigger
import dags.timetable as ours
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import timezone
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction

now = timezone.parse("{now}")
trigger.utcnow = ours.utcnow = lambda: now
bag = BundleDagBag("dags", bundle_path=Path("dags").resolve(), bundle_name="dags-folder")
stored = json.loads(json.dumps(DagSerialization.to_dict(bag.dags["sync__births"])))
timetable = DagSerialization.from_dict(stored).timetable
last = {last}
found = []
for _ in range({runs}):
    info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=TimeRestriction(None, None, catchup=False))
    found.append(info.run_after.in_timezone("Asia/Shanghai").strftime("%Y-%m-%d %H:%M"))
    last, now = info.data_interval, max(now, info.run_after)
print(json.dumps({"type": type(timetable).__name__, "summary": timetable.summary, "found": found, "errors": bag.import_errors}))
"""


def _next(ask: Ask, home: Path, *, now: str, last: str | None = None, runs: int = 1) -> dict[str, object]:
    exact = "None" if last is None else f'DataInterval.exact(timezone.parse("{last}"))'
    script = _NEXT.replace("{now}", now).replace("{last}", exact).replace("{runs}", str(runs))
    found = ask(script, home, home / "state")
    assert found["errors"] == {}
    return found


def test_a_working_day_timetable_follows_the_yearly_notice(ask_airflow: Ask, tmp_path: Path) -> None:
    declare(tmp_path, "births", timetable="{cron: '0 2 * * *', days: working}")
    found = _next(ask_airflow, tmp_path, now="2026-09-19T12:00:00+08:00", runs=5)
    assert found["type"] == "OpenTimes"
    # A Sunday that is worked, then the days before the Mid-Autumn holiday.
    assert found["found"] == [f"2026-09-{day} 02:00" for day in (20, 21, 22, 23, 24)]


def test_rest_days_are_the_others(ask_airflow: Ask, tmp_path: Path) -> None:
    declare(tmp_path, "births", timetable="{cron: '0 2 * * *', days: rest}")
    found = _next(ask_airflow, tmp_path, now="2026-09-19T12:00:00+08:00", runs=4)
    assert found["found"] == ["2026-09-25 02:00", "2026-09-26 02:00", "2026-09-27 02:00", "2026-10-01 02:00"]


def test_runs_keep_to_the_hours_of_the_contract_and_of_its_source(ask_airflow: Ask, tmp_path: Path) -> None:
    declare(tmp_path, "births", timetable="{cron: '0 */2 * * *', hours: '22:00-06:00'}", hours="00:00-03:00")
    found = _next(ask_airflow, tmp_path, now="2026-09-21T12:00:00+08:00", runs=4)
    assert found["found"] == ["2026-09-22 00:00", "2026-09-22 02:00", "2026-09-23 00:00", "2026-09-23 02:00"]
    assert found["summary"] == "0 */2 * * * · 22:00-06:00 · 00:00-03:00"


def test_missed_runs_collapse_into_one_made_up_for_inside_the_hours(ask_airflow: Ask, tmp_path: Path) -> None:
    declare(tmp_path, "births", timetable="{cron: '0 * * * *', hours: '22:00-06:00'}")
    last = "2026-09-14T23:00:00+08:00"
    inside = _next(ask_airflow, tmp_path, now="2026-09-21T03:30:00+08:00", last=last, runs=2)
    assert inside["found"] == ["2026-09-21 03:00", "2026-09-21 04:00"]
    outside = _next(ask_airflow, tmp_path, now="2026-09-21T09:30:00+08:00", last=last, runs=2)
    assert outside["found"] == ["2026-09-21 22:00", "2026-09-21 23:00"]


def test_a_year_without_a_calendar_is_told_on_the_job(ask_airflow: Ask, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "workdays.yaml").write_text("years:\n  - {year: 2020, notice: old}\n", encoding="utf-8")
    declare(tmp_path, "births", timetable="{cron: '0 2 * * *', days: working}")
    script = """
import json
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag("dags", bundle_path=Path("dags").resolve(), bundle_name="dags-folder")
print(json.dumps({"page": bag.dags["sync__births"].doc_md, "description": bag.dags["sync__births"].description}))
"""
    found = ask_airflow(script, tmp_path, tmp_path / "state")
    assert "working days of 2021 are not in" in found["page"]
    assert "2021 年的放假调休安排尚未录入" in found["description"]


_WEIGHTS = """
import json
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag("dags", bundle_path=Path("dags").resolve(), bundle_name="dags-folder")
print(json.dumps({dag.dag_id: {task.task_id: task.priority_weight for task in dag.tasks} for dag in bag.dags.values() if dag.dag_id.startswith('sync__')}))
"""


def test_each_departments_first_job_comes_before_anybodys_second(ask_airflow: Ask, tmp_path: Path) -> None:
    for number in range(4):
        declare(tmp_path, f"births_{number}", department="civil_affairs")
    declare(tmp_path, "zoning", department="natural_resources", source="maps")
    weights = ask_airflow(_WEIGHTS, tmp_path, tmp_path / "state")
    order = sorted(weights, key=lambda name: -weights[name]["stage"])
    assert set(order[:2]) == {"sync__births_0", "sync__zoning"}
    assert order[2:] == ["sync__births_1", "sync__births_2", "sync__births_3"]
    # What is staged is published before more is staged.
    assert min(each["publish"] for each in weights.values()) > max(each["stage"] for each in weights.values())


@pytest.mark.parametrize(("run", "ended"), [("scheduled__2026-09-21", "AirflowSkipException"), ("manual__1", "AirflowFailException")])
def test_a_timed_run_whose_turn_comes_outside_its_hours_waits_for_its_next_time(
    ask_airflow: Ask, tmp_path: Path, run: str, ended: str
) -> None:
    declare(tmp_path, "births", timetable="{cron: '0 2 * * *', hours: '02:00-02:01'}")
    script = f"""
import json
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
import schemas.opening
bag = BundleDagBag("dags", bundle_path=Path("dags").resolve(), bundle_name="dags-folder")
schemas.opening.within = lambda hours, clock: False  # the hours are over
try:
    bag.dags["sync__births"].task_dict["stage"].python_callable(run_id="{run}")
except BaseException as error:
    kind = type(error).__name__
print(json.dumps({{"ended": kind}}))
"""
    assert ask_airflow(script, tmp_path, tmp_path / "state") == {"ended": ended}
