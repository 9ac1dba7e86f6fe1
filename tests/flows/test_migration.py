"""Declarations that change: tables follow, history stays, readers go on, and a killed apply goes on where it stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from hub.database.engine import engine
from hub.errors import Mistake, Refused
from hub.flows import bases, erasure
from hub.settings import REPOSITORY
from libraries.changes import changes, state_at
from libraries.layout import layout_of
from libraries.plan import apply, plan
from schemas.declarations import declarations
from tests.flows.test_erasure import GROUNDS
from tests.flows.test_sync import LI, WANG, ZHANG, number, person

INSURED = (number("19900307", 1), "张三", "13900000009")


def edit(town, file: str, *replacements: tuple[str, str]) -> None:
    """Change a declaration; each piece must be there."""
    path = town.home / "schemas" / file
    text = path.read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    declarations.cache_clear()


LIBRARY, REGISTER, MARRIAGES = "libraries/population.yaml", "contracts/police/register.yaml", "contracts/civil/marriages.yaml"
SEX = "- {name: sex_code, title: {zh: 性别, en: Sex}, type: string, level: L2}"


def migrate(**how: bool) -> list[str]:
    """Apply the plan; return what its steps were for. Afterwards nothing is left to do."""
    steps = apply(declarations(), engine("hub_owner"), **how)
    with engine("hub_owner").connect() as connection:
        assert plan(declarations(), connection) == ()
    return [step.purpose for step in steps]


def as_of(path: str, version: int, columns: str) -> list[tuple[object, ...]]:
    with engine("hub_owner").connect() as connection:
        state = state_at(connection, layout_of(declarations(), path), version)
        return [tuple(row) for row in connection.execute(sa.text(f"SELECT {columns} FROM ({state}) s ORDER BY subject"))]


@pytest.fixture
def loaded(standing):
    """A town with two versions of its register: one person's name changed."""
    return standing("renamed", _load)


def _load(town):
    town.fill("police", [ZHANG, LI, WANG])
    town.sync("register")
    town.fill("police", [ZHANG, person("r2", "19850101", 3, "李四四"), WANG])
    town.sync("register")


def versions(town) -> list[int]:
    return [row["version"] for row in town.all("SELECT version FROM hub.library_version ORDER BY 1")]


def test_a_renamed_field_takes_its_stored_values_and_its_past_along(loaded):
    before, old = versions(loaded), as_of("population.person", 2, "subject, sex_code, phone")
    edit(
        loaded, LIBRARY,
        (SEX, SEX.replace("sex_code,", "gender, was: [sex_code],")),
        ("- name: phone\n", "- name: telephone\n        was: [phone]\n"),
    )  # fmt: skip
    edit(loaded, REGISTER, ("sex_code: sex", "gender: sex"), ("phone: phone}", "telephone: phone}"))
    edit(loaded, "contracts/welfare/insurance.yaml", ("phone: phone}", "telephone: phone}"))

    steps = migrate()

    assert "rename column population.person__register.sex_code to gender" in steps
    assert not [step for step in steps if step.startswith("record authority")]
    assert versions(loaded) == before
    assert as_of("population.person", 2, "subject, gender, telephone") == old
    assert loaded.all("SELECT gender FROM population.person") == [{"gender": "1"}] * 3
    # Sealed values are bound to the first name, so nothing is protected anew.
    assert loaded.sync("register").versions == {}


def test_a_field_of_another_type_begins_anew_and_what_was_stored_is_still_read(town):
    town.fill("police", [ZHANG])
    town.sync("register")
    town.fill("civil", [("J110101-1990-000001", number("19900307", 1), None, "2019-05-20")])
    town.sync("marriages")
    (version,) = [max(versions(town))]
    married = "- {name: married_on, title: {zh: 登记日期, en: Date}, type: date, level: L2}"
    edit(town, MARRIAGES, ("type: date, level: L2}", "type: string, level: L2}"))
    edit(town, LIBRARY, (married, married.replace("type: date", "type: string")))
    with pytest.raises(Mistake, match="type_was"):
        migrate()
    edit(town, LIBRARY, (married.replace("type: date", "type: string"), married.replace("type: date", "type: string, type_was: date")))

    migrate()

    shown = town.all("SELECT married_on FROM population.marriage")
    town.sync("marriages")
    assert shown == town.all("SELECT married_on FROM population.marriage") == [{"married_on": "2019-05-20"}]
    assert as_of("population.marriage", version, "married_on") == [("2019-05-20",)]
    assert town.all("SELECT married_on, married_on__date FROM population.marriage__marriages")[0]["married_on__date"] is None


def test_a_field_that_left_keeps_its_column_and_later_history_still_holds_it(loaded):
    edit(loaded, LIBRARY, (f"      {SEX}\n", ""))
    edit(loaded, REGISTER, ("sex_code: sex, ", ""))
    migrate()
    loaded.fill("police", [ZHANG, LI, person("r3", "20000229", 5, "王五五")])

    loaded.sync("register")

    assert loaded.all("SELECT DISTINCT sex_code FROM population.person__register__history") == [{"sex_code": "1"}]
    assert "sex_code" not in loaded.all("SELECT * FROM population.person LIMIT 1")[0]
    assert len(as_of("population.person", 2, "full_name")) == 3


def withdraw_insurance(town) -> None:
    """Let the insurance contribute no more."""
    (town.home / "schemas" / "contracts" / "welfare" / "insurance.yaml").unlink()
    text = (town.home / "schemas" / LIBRARY).read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "dataset: insurance" not in line]
    (town.home / "schemas" / LIBRARY).write_text("\n".join(kept), encoding="utf-8")
    declarations.cache_clear()


def test_a_dataset_that_left_an_entity_stays_in_its_past(loaded):
    loaded.fill("welfare", [INSURED])
    loaded.sync("insurance")
    (before,) = [max(versions(loaded))]
    said = as_of("population.person", before, "subject, phone")
    withdraw_insurance(loaded)

    steps = migrate()

    assert any(step.startswith("move the rows of population.person__insurance to its history") for step in steps)
    assert loaded.all("SELECT count(*) FROM population.person__insurance") == [{"count": 0}]
    assert as_of("population.person", before, "subject, phone") == said
    assert as_of("population.person", max(versions(loaded)), "subject, phone") != said
    with engine("hub_owner").connect() as connection:
        feed = changes(connection, layout_of(declarations(), "population.person"), after=before, until=max(versions(loaded)))
        assert [row[0] for row in connection.execute(sa.text(f"SELECT change FROM ({feed}) f"))] == ["update"]


def test_a_person_is_erased_from_datasets_that_left_too(loaded):
    loaded.fill("welfare", [INSURED])
    loaded.sync("insurance")
    withdraw_insurance(loaded)
    migrate()

    erasure.erase(ZHANG[1], "citizen_id", GROUNDS)

    assert loaded.all("SELECT count(*) FROM population.person__insurance__history") == [{"count": 0}]


def test_what_may_no_longer_rest_in_clear_is_forgotten_in_rows_and_history_and_only_on_request(loaded):
    edit(loaded, LIBRARY, (SEX, "- {name: sex_code, title: {zh: 性别, en: Sex}, type: string, level: L3, kind: person_name}"))
    edit(loaded, REGISTER, ("en: Sex}, type: string, level: L2}", "en: Sex}, type: string, level: L3, kind: person_name}"))

    with pytest.raises(Refused, match=r"forget what of population\.person was stored in clear"):
        migrate()
    migrate(forget=True)

    for table in ("person__register", "person__register__history"):
        kinds = loaded.all(f"SELECT DISTINCT pg_typeof(sex_code)::text AS kind, sex_code FROM population.{table}")
        assert kinds == [{"kind": "bytea", "sex_code": None}]
    loaded.sync("register")
    assert [len(row["sex_code"]) > 1 for row in loaded.all("SELECT sex_code FROM population.person__register")] == [True] * 3


NEW_FIELD = (SEX, f"{SEX}\n      - {{name: nation, title: {{zh: 民族, en: Nation}}, type: string, level: L2, indexed: true}}")


@pytest.fixture
def reader():
    """Open connections that read as services do."""
    opened: list[sa.Connection] = []

    def read() -> sa.Connection:
        opened.append(engine("hub_reader").connect())
        return opened[-1]

    yield read
    for connection in opened:
        connection.close()


def test_a_long_read_blocks_no_other_reader_and_apply_finishes_after_it(loaded, reader: Callable[[], sa.Connection]):
    long = reader()
    long.execute(sa.text("SELECT * FROM population.person")).all()  # its transaction stays open
    edit(loaded, LIBRARY, NEW_FIELD)
    done: list[list[str]] = []
    applying = threading.Thread(target=lambda: done.append(migrate()))
    applying.start()
    slowest, until = 0.0, time.monotonic() + 3
    while time.monotonic() < until:
        began = time.monotonic()
        with engine("hub_reader").connect() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM population.person")).scalar_one() == 3
        slowest = max(slowest, time.monotonic() - began)

    assert not done
    assert slowest < 1.5, f"a reader waited {slowest:.2f} s"
    long.rollback()
    applying.join(timeout=30)
    assert done


def test_an_index_on_a_filled_table_is_built_beside_and_an_unfinished_one_is_built_anew(loaded):
    edit(loaded, LIBRARY, (SEX, SEX.replace("level: L2}", "level: L2, indexed: true}")))
    with engine("hub_owner").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("SET lock_timeout = '100ms'"))
        writing = engine("hub_writer").connect()
        writing.execute(sa.text("LOCK TABLE population.person__register IN ROW EXCLUSIVE MODE"))
        with pytest.raises(Exception, match="55P03"):
            connection.execute(sa.text("CREATE INDEX CONCURRENTLY cut_off ON population.person__register (sex_code)"))
        writing.close()
    assert loaded.all("SELECT indisvalid FROM pg_index WHERE indexrelid = 'population.cut_off'::regclass") == [{"indisvalid": False}]

    steps = migrate()

    assert steps[:1] == ["clear away the unfinished index population.cut_off"]
    assert "index population.person__register by btree (sex_code)" in steps


_KILLED = """
import os, signal, sys
from hub.database.engine import engine
from libraries import applying, plan
from schemas.declarations import declarations
left = [int(sys.argv[1])]
run = applying.run_script
def counted(connection, sql):
    run(connection, sql)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
applying.run_script = counted
plan.apply(declarations(), engine("hub_owner"))
"""


@pytest.mark.parametrize("kills", [(1,), pytest.param((1, 2, 1, 1, 2), marks=pytest.mark.campaign)])
def test_an_apply_killed_after_any_step_goes_on_where_it_stopped(loaded, kills):
    before = as_of("population.person", 2, "subject, sex_code")
    edit(loaded, LIBRARY, (SEX, SEX.replace("sex_code,", "gender, was: [sex_code], indexed: true,")))
    edit(loaded, REGISTER, ("sex_code: sex", "gender: sex"))

    killed = 0
    for after in kills:
        ended = subprocess.run(
            [sys.executable, "-c", _KILLED, str(after)], cwd=REPOSITORY, env=os.environ, capture_output=True, check=False
        )
        killed += ended.returncode == -signal.SIGKILL
    migrate()

    assert killed >= min(3, len(kills))
    assert as_of("population.person", 2, "subject, gender") == before
    assert bases.planned() == ()
