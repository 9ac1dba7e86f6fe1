"""A bad day at the source: one clear message, the right exit code, nothing published, nothing lost."""

import sqlite3
from pathlib import Path

import pytest

from hub.database.engine import engine
from hub.errors import Mistake, Refused, Rejected, Unavailable
from hub.flows import keys
from hub.settings import settings
from schemas.declarations import declarations

GOOD = ("r1", "110101199003070011", "张三", "1", "1990-03-07", None, "2026-01-01 00:00:00")


def states(town) -> list[str]:
    return [row["state"] for row in town.all("SELECT state FROM hub.batch ORDER BY id")]


def edit(town, file: str, old: str, new: str) -> None:
    path: Path = town.home / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    declarations.cache_clear()


def published(town) -> int:
    return town.all("SELECT count(*) FROM population.person__register")[0]["count"]


def test_a_source_that_is_not_there_is_tried_again_later(town):
    with pytest.raises(Unavailable) as failure:
        town.sync("register")

    assert failure.value.exit_code == 3
    assert "police" in failure.value.problem
    assert states(town) == ["discarded"]


def test_a_missing_table_is_named_with_those_that_exist(town):
    town.fill("police", [GOOD])
    edit(town, "schemas/contracts/police/register.yaml", "table: register", "table: registers")

    with pytest.raises(Mistake, match="registers"):
        town.sync("register")

    assert states(town) == ["discarded"]


def test_a_missing_column_is_named_with_its_field(town):
    town.fill("police", [GOOD])
    edit(town, "schemas/contracts/police/register.yaml", "{name: sex,", "{name: sex, column: sexx,")

    with pytest.raises(Rejected, match=r"the source lacks column `sexx` \(field sex\)"):
        town.sync("register")


def test_declarations_and_tables_that_differ_stop_the_job_before_it_begins(town):
    town.fill("police", [GOOD])
    edit(
        town,
        "schemas/libraries/population.yaml",
        "      - {name: sex_code,",
        "      - {name: nickname, title: {zh: 昵称, en: Nickname}, type: string, level: L2}\n      - {name: sex_code,",
    )
    edit(town, "schemas/contracts/police/register.yaml", "sex_code: sex,", "sex_code: sex, nickname: sex,")

    with pytest.raises(Refused, match="differ") as failure:
        town.sync("register")

    assert "hub library apply" in failure.value.remedy
    assert states(town) == []


def test_a_changed_type_is_refused_with_the_way_out(town):
    edit(town, "schemas/libraries/population.yaml", "type: string, level: L2}", "type: integer, level: L2}")
    edit(town, "schemas/contracts/police/register.yaml", "en: Sex}, type: string", "en: Sex}, type: integer")

    with pytest.raises(Mistake, match="sex_code is text in the database") as failure:
        from libraries.plan import apply

        apply(declarations(), engine("hub_owner"))

    assert "new name" in failure.value.remedy


def test_a_field_added_later_is_filled_for_all_rows_without_losing_history(town):
    from libraries.plan import apply

    town.fill("police", [GOOD])
    town.sync("register")
    edit(
        town,
        "schemas/libraries/population.yaml",
        "      - {name: sex_code,",
        "      - {name: record_no, title: {zh: 编号, en: Record}, type: string, level: L2}\n      - {name: sex_code,",
    )
    edit(town, "schemas/contracts/police/register.yaml", "sex_code: sex,", "sex_code: sex, record_no: record,")
    apply(declarations(), engine("hub_owner"))

    town.sync("register")

    assert town.all("SELECT record_no FROM population.person") == [{"record_no": "r1"}]
    assert (
        town.all("SELECT counts #> '{entities,population.person}' AS c FROM hub.batch ORDER BY id DESC LIMIT 1")[0]["c"]["reprotected"] == 1
    )


def test_a_paused_job_is_run_by_nobody(town):
    from hub.flows import jobs

    town.fill("police", [GOOD])
    jobs.pause("register", by="officer", reason="the source moves house")

    with pytest.raises(Refused, match="moves house"):
        town.sync("register")

    jobs.resume("register", by="officer")
    town.sync("register")
    assert published(town) == 1


def test_a_source_is_left_alone_outside_its_hours(town):
    town.fill("police", [GOOD])
    edit(town, "connectors/sources/police.yaml", "connector: sqlite", 'connector: sqlite\nhours: "00:00-00:00"')

    with pytest.raises(Unavailable, match="between 00:00 and 00:00"):
        town.sync("register")


def test_keys_in_a_work_tree_are_refused(town, monkeypatch):
    monkeypatch.setenv("HUB_KEYS", str(town.home / "keys"))
    settings.cache_clear()
    keys.keyring.cache_clear()
    try:
        with pytest.raises((Mistake, Refused)):
            keys.ensure_keys()
            keys.keyring()
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        keys.keyring.cache_clear()


def test_an_empty_source_publishes_an_empty_batch_first_and_is_a_mass_delete_later(town):
    from hub.errors import Rejected

    town.fill("police", [])
    assert town.sync("register").versions == {}
    town.fill("police", [GOOD])
    town.sync("register")
    town.fill("police", [])

    with pytest.raises(Rejected, match="are gone"):
        town.sync("register")

    assert published(town) == 1


def test_a_writer_at_the_source_does_not_disturb_a_run(town):
    town.fill("police", [GOOD])
    with sqlite3.connect(town.home / "police.sqlite") as database:
        database.execute("PRAGMA journal_mode = wal")
    database.close()
    town.sync("register")

    assert published(town) == 1
