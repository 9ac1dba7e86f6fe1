"""A large table that is read in parts: one batch all the same, and what is read stays read."""

import random

import pytest

from hub.errors import HubError, Refused, Unavailable
from hub.flows import parts, sync
from hub.flows.locks import job_lock
from schemas.declarations import declarations
from tests.flows.test_sync import number

ROWS = 40
BROKEN = ("r90", "310101198001010012", "赵六", "1", "1980-01-01", None, "2026-01-01 00:00:00")  # check character should be 8


def person(at: int, *, record: str | None = None, sex: str = "1"):
    return (record or f"r{at:02d}", number("19900307", 2 * at + 1), "张三", sex, "1990-03-07", None, f"2026-01-{1 + at % 28:02d} 00:00:00")


def people(count: int = ROWS):
    rows = [person(at) for at in range(count)]
    random.Random(count).shuffle(rows)
    return rows


def declare(town, parts: int) -> None:
    file = town.home / "schemas" / "contracts" / "police" / "register.yaml"
    mode = "sync: {mode: full"
    text = file.read_text(encoding="utf-8").split(mode)
    rest = text[1].split("}", 1)[1]
    file.write_text(f"{text[0]}{mode}, parts: {parts}}}{rest}", encoding="utf-8")
    declarations.cache_clear()


@pytest.fixture
def divided(town):
    declare(town, 4)
    return town


def library(town) -> list[dict[str, object]]:
    return town.all("SELECT row_key, row_hash, sex_code, birth_year FROM population.person__register ORDER BY row_key")


def last(town) -> dict[str, object]:
    return town.all("SELECT id, state, reason, counts, cursor_until FROM hub.batch ORDER BY id DESC LIMIT 1")[0]


def leftovers(town) -> list[dict[str, object]]:
    return town.all("SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relkind = 'r'")


def told(town) -> dict[str, object]:
    """What a batch says of itself, without its number and the versions of the library."""
    counts = dict(last(town)["counts"])
    checks = town.all("SELECT check_id, judged, failing FROM hub.batch_check ORDER BY batch DESC, position LIMIT 40")
    quarantined = town.all("SELECT row_key, checks FROM hub.quarantine WHERE closed_by IS NULL ORDER BY row_key, checks")
    same = {name: counts[name] for name in ("read", "valid", "quarantined", "repeated_keys", "unchanged", "entities", "expected")}
    return same | {"checks": checks, "quarantined": quarantined, "library": library(town)}


DAYS = {
    "a first load": [people()],
    "a change": [people(), [person(at, sex="2" if at % 5 == 0 else "1") for at in range(3, ROWS + 5)]],
    "rows that share a key": [[*people(), person(70, record="r07"), BROKEN]],
    "one person in two parts": [[*people(), (*person(1)[:1], *person(30)[1:]), (*person(38, record="r99")[:1], *person(2)[1:])]],
}


@pytest.mark.parametrize("days", DAYS.values(), ids=DAYS)
def test_parts_give_the_batch_that_one_read_gives(town, forget_library, days):
    for rows in days:
        town.fill("police", rows)
        town.sync("register")
    at_once = told(town)
    forget_library()
    declare(town, 4)
    for rows in days:
        town.fill("police", rows)
        town.sync("register")

    assert told(town) == at_once
    assert last(town)["counts"]["parts"] == 4
    assert leftovers(town) == []


@pytest.fixture
def forget_library(town, forget):
    """Return what makes the town's library new."""
    from hub.database.engine import engine
    from libraries.plan import apply

    def make() -> None:
        forget()
        apply(declarations(), engine("hub_owner"))

    return make


def test_parts_that_were_read_are_not_read_again(divided):
    divided.fill("police", people())
    division = parts.divide("register", started_by="test")
    for part in division.remaining[:2]:
        parts.stage_part(division.batch, part, started_by="test")

    again = parts.divide("register", started_by="test")
    published = divided.sync("register")

    assert again == parts.Division(batch=division.batch, remaining=division.remaining[2:])
    assert published.batch == division.batch
    assert len(library(divided)) == ROWS


def test_a_part_that_is_staged_twice_is_staged_once(divided):
    divided.fill("police", people())
    division = parts.divide("register", started_by="test")
    for part in (*division.remaining, *division.remaining):
        parts.stage_part(division.batch, part, started_by="test")

    sync.publish(sync.stage_parts(division.batch, started_by="test"), started_by="test")

    assert (len(library(divided)), last(divided)["counts"]["read"]) == (ROWS, ROWS)


def test_parts_that_nobody_read_are_read_when_they_are_joined(divided):
    divided.fill("police", people())
    division = parts.divide("register", started_by="test")
    parts.stage_part(division.batch, 2, started_by="test")

    sync.publish(sync.stage_parts(division.batch, started_by="test"), started_by="test")

    assert len(library(divided)) == ROWS


def test_a_join_that_is_run_again_after_its_commit_changes_nothing(divided):
    divided.fill("police", people())
    division = parts.divide("register", started_by="test")
    first = sync.stage_parts(division.batch, started_by="test")

    assert sync.stage_parts(division.batch, started_by="test") == first
    assert len(sync.publish(first, started_by="test").versions) == 1


def test_parts_lost_with_the_servers_memory_are_read_anew(divided):
    divided.fill("police", people())
    division = parts.divide("register", started_by="test")
    parts.stage_part(division.batch, 0, started_by="test")
    # What a crash of the server does to unlogged tables.
    for name in leftovers(divided):
        divided.change(f'TRUNCATE staging."{name["relname"]}"')

    parts.stage_part(division.batch, 1, started_by="test")
    sync.publish(sync.stage_parts(division.batch, started_by="test"), started_by="test")

    assert len(library(divided)) == ROWS
    assert [row["state"] for row in divided.all("SELECT state FROM hub.batch ORDER BY id")] == ["discarded", "published"]


def test_a_row_that_comes_while_parts_are_read_lies_in_exactly_one(divided):
    rows = people()
    divided.fill("police", rows)
    division = parts.divide("register", started_by="test")
    for part in division.remaining[:2]:
        parts.stage_part(division.batch, part, started_by="test")
    # One comes before what is read, one after it; one of each leaves.
    divided.fill("police", [*[row for row in rows if row[0] not in {"r01", "r39"}], person(50, record="r00a"), person(51, record="r38a")])

    divided.sync("register")

    found = divided.all("SELECT convert_from(row_key, 'UTF8') AS key FROM population.person__register")
    keys = {row["key"][-4:] for row in found}
    assert len(found) == ROWS
    assert any(key.endswith("r38a") for key in keys)
    divided.sync("register")
    assert len(library(divided)) == ROWS


def test_a_part_of_a_batch_that_another_run_discarded_is_refused(divided):
    divided.fill("police", people())
    division = parts.divide("register", started_by="test")
    declare(divided, 1)
    divided.sync("register")

    with pytest.raises(Refused, match="a later run took its place"):
        parts.stage_part(division.batch, 0, started_by="test")


def test_parts_are_read_side_by_side_and_nothing_else_runs_meanwhile(divided):
    divided.fill("police", people())
    division = parts.divide("register", started_by="test")

    with job_lock("register", shared=True):
        parts.stage_part(division.batch, 0, started_by="test")
        with pytest.raises(Unavailable, match="running already"):
            divided.sync("register")


def test_a_table_that_cannot_be_divided_is_read_at_once(divided):
    divided.fill("police", people(1))

    divided.sync("register")

    assert "parts" not in last(divided)["counts"]


def test_a_part_that_cannot_be_read_leaves_the_others_read(divided):
    divided.fill("police", people())
    division = parts.divide("register", started_by="test")
    parts.stage_part(division.batch, 0, started_by="test")
    (divided.home / "police.sqlite").rename(divided.home / "away.sqlite")

    with pytest.raises(HubError):
        divided.sync("register")

    (divided.home / "away.sqlite").rename(divided.home / "police.sqlite")
    assert divided.sync("register").batch == division.batch


def test_an_increment_is_read_at_once(make_town):
    town = make_town(mode="incremental, cursor: changed, parts: 3")
    town.fill("police", people())
    town.sync("register")
    assert (last(town)["counts"]["parts"], last(town)["cursor_until"]) == (3, "2026-01-28 00:00:00")

    town.fill("police", [*people(), person(60)])
    town.sync("register")

    assert "parts" not in last(town)["counts"]
    assert len(library(town)) == ROWS + 1
