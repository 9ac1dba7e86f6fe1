"""A held batch in real Airflow: the officer is asked in its interface, and the command line ends the waiting too."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from demo import city
from hub.database.engine import engine
from hub.database.roles import Role
from hub.flows import airflow_client as api
from hub.flows import bases, batches, scheduler, sync
from hub.flows.airflow_environment import ADMINISTRATOR
from hub.flows.database import ready
from hub.settings import settings

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]

RELEASE, DISCARD = "放行 · Release", "作废 · Discard"


@pytest.fixture(scope="module")
def divisions(hub_database: Path) -> Iterator[Path]:
    """Airflow over a small demo city, whose divisions are published; their file."""
    ready()
    city.build(hub_database, city.administrator(), scale=0.01)
    bases.applied(by="test")
    scheduler.up(timetable=False)
    ended = scheduler.wait("division", scheduler.trigger("division"), seconds=300)
    assert ended.succeeded, ended.reason
    (file,) = (settings().state / "demo").rglob("divisions.csv")
    yield file
    scheduler.down()


def asked(tmp_file: Path) -> tuple[str, int]:
    """Let half of the file's rows go and run the job; return the run that waits and the batch that it asks about."""
    lines = tmp_file.read_bytes().splitlines(keepends=True)
    tmp_file.write_bytes(b"".join(lines[: len(lines) // 2]))
    run_id = scheduler.trigger("division")
    ended = scheduler.wait("division", run_id, seconds=300)
    assert not ended.succeeded
    assert "are gone at the source" in str(ended.reason)
    until(lambda: publishing(run_id)["state"] == "awaiting_input")
    waiting = batches.held_batch("division", started_by=f"airflow:{run_id}")
    assert waiting is not None
    return run_id, waiting.id


def path(run_id: str) -> str:
    return f"/dags/sync__division/dagRuns/{quote(run_id, safe='')}"


def publishing(run_id: str) -> dict[str, object]:
    return api.get(f"{path(run_id)}/taskInstances/publish")


def question(run_id: str) -> dict[str, object]:
    return api.get(f"{path(run_id)}/taskInstances/publish/-1/hitlDetails")


def answer(run_id: str, option: str, reason: str) -> None:
    api.patch(f"{path(run_id)}/taskInstances/publish/-1/hitlDetails", {"chosen_options": [option], "params_input": {"reason": reason}})


def until(reached: Callable[[], bool], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def parked(run_id: str) -> bool:
    """Whether the task waits for an answer, and has for as long as it takes to read the question."""
    return _waits(run_id) and (time.sleep(5) or _waits(run_id))


def _waits(run_id: str) -> bool:
    return publishing(run_id)["state"] == "awaiting_input" and not question(run_id)["response_received"]


def ended(run_id: str) -> str:
    """Return how a run ended."""
    until(lambda: _over(run_id), seconds=240)
    return str(api.get(path(run_id))["state"])


def _over(run_id: str) -> bool:
    return api.get(path(run_id))["state"] in {"success", "failed"}


def settled(run_id: str, option: str, reason: str) -> str:
    """Answer, and return how the run ended. An answer may be lost with a task that was tried again: it is then asked anew."""
    until(lambda: parked(run_id))
    answer(run_id, option, reason)
    deadline = time.monotonic() + 240
    while not _over(run_id):
        assert time.monotonic() < deadline, publishing(run_id)
        if parked(run_id):
            answer(run_id, option, reason)
        time.sleep(0.5)
    return str(api.get(path(run_id))["state"])


def state(batch: int) -> str:
    return batches.show(batch)[0].state


def last_decision() -> dict[str, object]:
    query = "SELECT event, actor, details FROM audit.entry WHERE event IN ('batch:released', 'batch:discarded') ORDER BY id DESC LIMIT 1"
    with engine("hub_owner").connect() as connection:
        return dict(connection.execute(sa.text(query)).mappings().one())


def test_an_officer_is_told_every_reason_and_their_answer_is_carried_out_under_their_name(divisions: Path) -> None:
    run_id, batch = asked(divisions)
    told = question(run_id)
    assert str(batch) in str(told["subject"])
    assert "are gone at the source" in str(told["body"])
    assert "源端少了" in str(told["body"])

    until(lambda: parked(run_id))
    answer(run_id, RELEASE, "  ")  # a decision without a reason is none
    until(lambda: parked(run_id))
    assert state(batch) == "held"

    assert settled(run_id, RELEASE, "divisions were merged") == "success"
    assert state(batch) == "published"
    assert last_decision() == {
        "event": "batch:released",
        "actor": f"airflow-user:{ADMINISTRATOR}",
        "details": {"batch": batch, "dataset": "division", "reason": "divisions were merged"},
    }


def test_a_batch_that_is_thrown_away_leaves_a_skipped_task_and_wakes_nobody(divisions: Path) -> None:
    run_id, batch = asked(divisions)

    assert settled(run_id, DISCARD, "the file was cut off") == "success"
    assert publishing(run_id)["state"] == "skipped"
    assert state(batch) == "discarded"
    assert last_decision()["actor"] == f"airflow-user:{ADMINISTRATOR}"


def test_a_decision_on_the_command_line_ends_the_waiting_at_its_next_look(divisions: Path) -> None:
    run_id, batch = asked(divisions)
    _look_now(run_id)
    until(lambda: int(str(publishing(run_id)["try_number"])) >= 1 and publishing(run_id)["state"] == "awaiting_input")
    assert state(batch) == "held"  # it looked, and waits on

    sync.release(batch, by="cli:officer", reason="settled by telephone")
    _look_now(run_id)

    assert ended(run_id) == "success"
    assert publishing(run_id)["state"] == "success"
    assert last_decision()["actor"] == "cli:officer"


def _look_now(run_id: str) -> None:
    """Move the deadline of the wait, minutes ahead, to now."""
    with engine(Role.AIRFLOW).begin() as connection:
        moved = sa.text("UPDATE task_instance SET trigger_timeout = now() WHERE run_id = :run AND task_id = 'publish'")
        assert connection.execute(moved, {"run": run_id}).rowcount == 1
    until(lambda: publishing(run_id)["state"] != "awaiting_input", seconds=60)


def test_what_waits_takes_no_slot_of_the_library(divisions: Path) -> None:
    run_id, batch = asked(divisions)

    assert api.get("/pools/library_geographic")["occupied_slots"] == 0

    assert settled(run_id, DISCARD, "enough") == "success"
    assert state(batch) == "discarded"
