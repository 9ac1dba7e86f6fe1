"""A source whose columns are no longer what they were: found before a row moves, and handled as the contract says."""

import sqlite3

import pytest

from hub.errors import Rejected
from hub.flows import jobs, sync
from schemas.declarations import declarations
from schemas.shapes import told
from tests.flows.test_sync import LI, WANG, ZHANG, years


def alter(town, *statements: str) -> None:
    """Change the register at the police."""
    with sqlite3.connect(town.home / "police.sqlite") as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def declare(town, drift: str) -> None:
    """Let the register's contract say how changes are handled."""
    file = town.home / "schemas" / "contracts" / "police" / "register.yaml"
    kept = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("drift:")]
    file.write_text("\n".join([*kept, f"drift: {drift}", ""]), encoding="utf-8")
    declarations.cache_clear()


def newest(town) -> dict[str, object]:
    return town.all("SELECT id, state, drift, shape, reason, gate FROM hub.batch ORDER BY id DESC LIMIT 1")[0]


def entries(town, event: str) -> int:
    return town.all(f"SELECT count(*) FROM audit.entry WHERE event = '{event}'")[0]["count"]


@pytest.fixture
def published(town):
    """A town whose register was published once."""
    town.fill("police", [ZHANG, LI, WANG])
    town.sync("register")
    return town


def test_the_first_batch_keeps_what_it_saw(published):
    assert newest(published)["shape"]["citizen_no"] == "TEXT"
    assert newest(published)["drift"] == []


def test_a_new_column_is_recorded_once_and_ignored(published):
    before = entries(published, "source:drifted")
    alter(published, "ALTER TABLE register ADD COLUMN nation VARCHAR(2)")

    published.sync("register")
    seen = newest(published)["drift"]
    published.sync("register")

    assert [told(one) for one in seen] == ["源端新增列 `nation`（`VARCHAR(2)`） · the source has a new column `nation` (`VARCHAR(2)`)"]
    assert newest(published)["drift"] == []
    assert entries(published, "source:drifted") == before + 1


def test_a_missing_column_ends_the_run_before_a_row_is_read(published):
    alter(published, "ALTER TABLE register RENAME COLUMN phone TO telephone")

    with pytest.raises(Rejected, match=r"源端缺少列 `phone`（字段 phone） · the source lacks column `phone`.*`column: telephone`"):
        published.sync("register")

    assert newest(published)["state"] == "discarded"
    assert [one["sort"] for one in newest(published)["drift"]] == ["added", "missing"]
    assert years(published) == [1985, 1990, 2000]
    assert any(len(job.drift) == 2 for job in jobs.listed())


def test_a_missing_column_may_be_read_as_null(published):
    declare(published, "{missing: ignore}")
    alter(published, "ALTER TABLE register DROP COLUMN sex")

    published.sync("register")

    assert published.all("SELECT DISTINCT sex_code FROM population.person") == [{"sex_code": None}]


def test_a_column_no_run_can_do_without_fails_whatever_the_contract_says(published):
    declare(published, "{missing: ignore}")
    alter(published, "ALTER TABLE register RENAME COLUMN citizen_no TO id_no")

    with pytest.raises(Rejected, match="lacks column `citizen_no`"):
        published.sync("register")


def test_held_until_an_officer_accepts_the_new_shape(published):
    declare(published, "{missing: hold}")
    alter(published, "ALTER TABLE register DROP COLUMN sex")

    with pytest.raises(Rejected, match="源端缺少列 `sex`"):
        published.sync("register")
    held = newest(published)
    assert held["state"] == "held"
    sync.release(held["id"], by="officer", reason="the department no longer records it")
    alter(published, "DELETE FROM register WHERE record = 'r3'")
    published.sync("register")

    assert newest(published)["state"] == "published"
    assert [(one["sort"], one["known"]) for one in newest(published)["drift"]] == [("missing", True)]


def test_a_narrower_type_is_held_and_a_discarded_batch_accepts_nothing(published):
    columns = "record TEXT, citizen_no TEXT, full_name VARCHAR(10), sex TEXT, born TEXT, phone TEXT, changed TEXT"
    rebuild = (
        f"CREATE TABLE newer ({columns})",
        "INSERT INTO newer SELECT * FROM register",
        "DROP TABLE register",
        "ALTER TABLE newer RENAME TO register",
    )
    alter(published, *rebuild)

    for _ in range(2):
        with pytest.raises(Rejected, match=r"源端列 `full_name` 类型变更：`TEXT` → `VARCHAR\(10\)`"):
            published.sync("register")
        assert newest(published)["state"] == "held"
        sync.discard(newest(published)["id"], by="officer", reason="asked the department")
