"""Which rows an incremental run reads: boundaries, late rows, missing and backward cursors, and windows that an officer asks for."""

import sqlite3

import pytest

from hub.errors import Mistake, Rejected
from hub.flows import sync
from hub.flows.windows import Asked
from tests.flows.test_sync import number

INCREMENTAL = "incremental, cursor: changed"


def person(record: str, sequence: int, changed: str | None, *, sex: str = "1"):
    return (record, number("19900307", sequence), "张三", sex, "1990-03-07", None, changed)


def day(number: int) -> str:
    return f"2026-01-{number:02d} 00:00:00"


def run(town, **asked):
    return sync.sync("register", started_by="test", asked=Asked(**asked))


def last(town) -> dict[str, object]:
    return town.all("SELECT state, cursor_after, cursor_until, counts FROM hub.batch ORDER BY id DESC LIMIT 1")[0]


def watermark(town) -> object:
    return town.all("SELECT cursor FROM hub.watermark")[0]["cursor"]


def sexes(town) -> dict[object, object]:
    found = town.all("SELECT sex_code, count(*) AS people FROM population.person__register GROUP BY 1")
    return {row["sex_code"]: row["people"] for row in found}


def correct_silently(town, record: str) -> None:
    """Change a row and leave its time of change alone, as a hand in the department's database does."""
    with sqlite3.connect(town.home / "police.sqlite") as database:
        database.execute("UPDATE register SET sex = '2' WHERE record = ?", (record,))
    database.close()


@pytest.fixture
def town(make_town):
    town = make_town(mode=INCREMENTAL)
    town.fill("police", [person(f"r{at}", 2 * at + 1, day(at)) for at in range(1, 11)])
    town.sync("register")
    return town


def test_rows_that_tie_with_the_watermark_are_neither_lost_nor_doubled(town):
    rows = [person(f"r{at}", 2 * at + 1, day(at)) for at in range(1, 11)]
    town.fill("police", [*rows, person("r11", 23, day(10)), person("r12", 25, day(10))])

    town.sync("register")

    assert town.all("SELECT count(*) AS rows, count(DISTINCT row_key) AS keys FROM population.person__register") == [
        {"rows": 12, "keys": 12}
    ]


def test_a_window_that_is_asked_for_is_read_again_and_does_not_move_the_watermark(town):
    correct_silently(town, "r3")
    correct_silently(town, "r8")
    before = watermark(town)

    published = run(town, after=day(2), until=day(4))

    assert published.merged["population.person"].changed == 1
    assert (last(town)["counts"]["read"], last(town)["counts"]["asked"]) == (2, {"after": day(2), "until": day(4)})
    assert watermark(town) == before


def test_after_a_window_the_next_run_goes_on_where_the_last_one_ended(town):
    run(town, until=day(3))
    rows = [person(f"r{at}", 2 * at + 1, day(at)) for at in range(1, 11)]
    town.fill("police", [*rows, person("r11", 23, day(11))])

    town.sync("register")

    assert (last(town)["counts"]["read"], last(town)["cursor_after"]) == (1, day(10))


def test_everything_is_read_again_when_asked(town):
    correct_silently(town, "r3")
    town.sync("register")
    assert last(town)["counts"]["read"] == 0

    published = run(town, full=True)

    assert (last(town)["counts"]["read"], published.merged["population.person"].changed) == (10, 1)


def test_a_window_before_the_first_load_reads_everything_and_sets_the_watermark(make_town):
    town = make_town(mode=INCREMENTAL)
    town.fill("police", [person(f"r{at}", 2 * at + 1, day(at)) for at in range(1, 4)])

    run(town, after=day(2))

    assert (last(town)["counts"]["read"], watermark(town)) == (3, day(3))


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"after": "yesterday"}, "no value of the cursor `changed`"),
        ({"after": day(4), "until": day(2)}, "the window is empty"),
        ({"after": day(4), "full": True}, "everything or a window"),
    ],
)
def test_an_impossible_window_is_refused_before_anything_is_read(town, asked, problem):
    with pytest.raises(Mistake, match=problem):
        run(town, **asked)

    assert len(town.all("SELECT FROM hub.batch")) == 1


def test_a_job_that_reads_everything_has_no_windows(make_town):
    town = make_town()
    with pytest.raises(Mistake, match="no cursor to cut a window by"):
        run(town, after=day(1))


def test_a_cursor_that_went_backwards_holds_the_batch_with_what_changed_unseen(town):
    # The department restored last week's copy, and worked on.
    town.fill("police", [person(f"r{at}", 2 * at + 1, day(at)) for at in range(1, 9)] + [person("r9", 19, day(9), sex="2")])

    with pytest.raises(Rejected, match="the cursor `changed` went backwards"):
        town.sync("register")

    assert last(town)["state"] == "held"
    assert (sexes(town), watermark(town)) == ({"1": 10}, day(10))
    batch = town.all("SELECT max(id) AS id FROM hub.batch")[0]["id"]
    sync.release(batch, by="officer", reason="restored on purpose")
    assert sexes(town) == {"1": 8, "2": 1}
    town.sync("register")
    assert last(town)["cursor_after"] == day(9)


def test_a_newest_row_that_was_deleted_is_no_cursor_that_went_backwards(town):
    town.fill("police", [person(f"r{at}", 2 * at + 1, day(at)) for at in range(1, 10)])

    town.sync("register")

    assert (sexes(town), watermark(town)) == ({"1": 9}, day(9))


def test_a_row_whose_cursor_is_missing_is_quarantined_and_its_known_state_stays(town):
    rows = [person(f"r{at}", 2 * at + 1, day(at)) for at in range(1, 10)]
    town.fill("police", [*rows, person("r10", 21, None, sex="2")])

    town.sync("register")

    assert sexes(town) == {"1": 10}
    assert [row["checks"] for row in town.all("SELECT checks FROM hub.quarantine")] == [["changed.required"]]
    town.sync("register")
    assert last(town)["counts"]["read"] == 0
