"""Quarantined rows: judged again without the source, and told to those who may know."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Mistake, Refused
from hub.flows import export, quarantine, sync
from hub.flows.remembered import remembered, target_of, unsealed
from hub.flows.replay import replay
from masking import letters
from schemas.declarations import declarations
from tests.flows.test_gate import number

GOOD = ("r1", number(1), "张三", "1", "1990-03-07", None, "2026-01-01 00:00:00")
ODD = ("r2", number(2), "李四", "9", "1990-03-07", None, "2026-01-01 00:00:00")
UNREADABLE = ("r3", number(3), "王五", "1", "7 March", None, "2026-01-01 00:00:00")


def among(town, *values: str) -> None:
    """Let the register's sex be one of *values*, and its gate stand open."""
    path = town.home / "schemas/contracts/police/register.yaml"
    kept = [line for line in path.read_text(encoding="utf-8").replace("failing: 0.5", "failing: 1").splitlines() if "one_of" not in line]
    listed = ", ".join(f'"{value}"' for value in values)
    kept.insert(kept.index("rules:") + 1, f"  - {{rule: one_of, fields: [sex], parameters: {{among: [{listed}]}}}}")
    path.write_text("\n".join(kept), encoding="utf-8")
    declarations.cache_clear()


def records(town) -> list[object]:
    return [bytes(row["row_key"]).decode() for row in town.all("SELECT row_key FROM population.person__register ORDER BY 1")]


def waiting(town) -> int:
    return sum(heap.rows for heap in quarantine.listed("register"))


@pytest.fixture
def strict(standing):
    """A register of which one row fails a rule that is too strict, and is gone from the source since."""
    return standing("strict", _be_strict)


def _be_strict(town):
    among(town, "1", "2")
    town.fill("police", [GOOD, ODD])
    town.sync("register")
    assert (records(town), waiting(town)) == (["r1"], 1)
    (town.home / "police.sqlite").unlink()


def test_a_corrected_rule_lets_the_row_in_without_the_source(strict):
    among(strict, "1", "2", "9")

    done = replay("register", started_by="test")

    assert (done.rows, done.valid) == (1, 1)
    assert records(strict) == ["r1", "r2"]
    assert waiting(strict) == 0


def test_a_row_that_still_fails_stays_as_it_is_and_nothing_is_published(strict):
    before = strict.all("SELECT * FROM hub.quarantine")

    done = replay("register", started_by="test")

    assert (done.batch, done.rows, done.valid) == (None, 1, 0)
    assert strict.all("SELECT * FROM hub.quarantine") == before
    assert records(strict) == ["r1"]


def test_replaying_twice_changes_nothing(strict):
    among(strict, "1", "2", "9")
    replay("register", started_by="test")
    versions = strict.all("SELECT * FROM hub.library_version ORDER BY 1, 2")

    done = replay("register", started_by="test")

    assert (done.batch, done.rows) == (None, 0)
    assert strict.all("SELECT * FROM hub.library_version ORDER BY 1, 2") == versions


def test_source_and_target_add_up_after_a_replay_and_the_next_run_finds_nothing_to_do(strict):
    among(strict, "1", "2", "9")
    done = replay("register", started_by="test")
    (batch,) = strict.all(f"SELECT source_checksum = target_checksum AS same, counts FROM hub.batch WHERE id = {done.batch}")
    assert batch["same"]
    assert (batch["counts"]["read"], batch["counts"]["valid"], batch["counts"]["replayed"]) == (1, 1, 1)

    strict.fill("police", [GOOD, ODD])
    published = strict.sync("register")

    assert published.versions == {}


def test_a_newer_row_of_the_source_is_not_overwritten_by_a_replayed_older_one(town):
    among(town, "1", "2")
    town.fill("police", [GOOD, ODD])
    town.sync("register")
    town.fill("police", [GOOD, (*ODD[:3], "2", *ODD[4:])])
    town.sync("register")
    among(town, "1", "2", "9")

    assert replay("register", started_by="test").rows == 0

    assert [row["sex_code"] for row in town.all("SELECT sex_code FROM population.person__register ORDER BY row_key")] == ["1", "2"]


def test_only_the_rows_of_one_batch_are_replayed_where_one_is_named(make_town):
    town = make_town(mode="incremental, cursor: changed")
    among(town, "1", "2")
    later = ("r5", number(5), "赵六", "9", "1990-03-07", None, "2026-02-01 00:00:00")
    town.fill("police", [GOOD, ODD])
    town.sync("register")
    town.fill("police", [GOOD, ODD, later])
    second = town.sync("register").batch
    among(town, "1", "2", "9")

    replay(str(second), started_by="test")

    assert records(town) == ["r1", "r5"]
    assert waiting(town) == 1
    assert town.all("SELECT cursor FROM hub.watermark") == [{"cursor": "2026-02-01 00:00:00"}]


def test_a_replayed_row_cannot_become_a_second_one_for_its_subject(strict):
    among(strict, "1", "2", "9")
    strict.fill("police", [GOOD, ODD, ("r7", ODD[1], "李四", "1", "1990-03-07", None, "2026-01-01 00:00:00")])
    strict.sync("register")
    assert records(strict) == ["r1"]

    assert replay("register", started_by="test").valid == 0

    assert records(strict) == ["r1"]


def test_two_rows_of_one_key_stay_out_together(town):
    town.fill("police", [GOOD, ODD, (ODD[0], *GOOD[1:])])
    with pytest.raises(Exception, match="held"):
        town.sync("register")
    (held,) = town.all("SELECT id FROM hub.batch WHERE state = 'held'")
    sync.release(held["id"], by="officer", reason="known")

    assert replay("register", started_by="test").valid == 0


def test_a_value_that_could_not_be_read_is_kept_as_it_was_written(town):
    town.fill("police", [GOOD, UNREADABLE])
    town.sync("register")
    with engine(Role.READER).connect() as connection:
        (row,) = unsealed(remembered(connection, target_of("register")))

    assert row["born"] == "7 March"
    assert row["full_name"] == "王五"


def test_a_replay_waits_for_an_officers_decision_like_any_run(town):
    town.fill("police", [GOOD, UNREADABLE, ("r8", *UNREADABLE[1:]), ("r9", *UNREADABLE[1:])])
    with pytest.raises(Exception, match="held"):
        town.sync("register")

    with pytest.raises(Refused, match="held"):
        replay("register", started_by="test")


def test_after_keys_or_policy_changed_the_job_must_run_first(strict):
    strict.change("UPDATE hub.watermark SET protection = 'of another key'")
    among(strict, "1", "2", "9")

    with pytest.raises(Refused, match="hub sync register"):
        replay("register", started_by="test")

    assert records(strict) == ["r1"]
    assert waiting(strict) == 1


def test_a_replay_is_recorded_with_counts_and_no_value(strict):
    among(strict, "1", "2", "9")
    done = replay("register", started_by="officer")

    (entry,) = strict.all("SELECT actor, details FROM audit.entry WHERE event = 'quarantine:replayed' ORDER BY id DESC LIMIT 1")

    assert entry == {"actor": "officer", "details": {"batch": done.batch, "dataset": "register", "rows": 1, "valid": 1}}


# Exports

SECRET = ("r4", "310101198001010012", "钱七", "1", "1980-01-01", "13800000007", "2026-01-01 00:00:00")  # a wrong check character


def officer_of(town, department: str) -> tuple[str, str]:
    """Declare an officer's key for *department*; return the private and the public one."""
    private, public = letters.new_identity()
    path = town.home / "catalog/departments.yaml"
    entry = f"department: {department}, "
    path.write_text(path.read_text(encoding="utf-8").replace(entry, f"{entry}officer_keys: [{public}], "), encoding="utf-8")
    declarations.cache_clear()
    return private, public


def events(town, event: str) -> list[dict[str, object]]:
    return [row["details"] for row in town.all(f"SELECT details FROM audit.entry WHERE event = '{event}' ORDER BY id DESC LIMIT 1")]


@pytest.fixture
def leaky(standing):
    return standing("leaky", _leak)


def _leak(town):
    town.fill("police", [GOOD, SECRET])
    town.sync("register")


def test_an_export_names_row_rule_and_field_in_both_languages_and_no_value(leaky):
    content, rows = export.without_values("register", by="officer")

    text = content.decode("utf-8-sig")
    assert rows == 1
    line = next(csv.DictReader(io.StringIO(text)))
    assert (line["第几行 row"], line["主键 key"], line["字段 fields"]) == ("2", "r4", "citizen_no")
    assert "Number" in line["rule"]
    assert not any(value in text for value in (SECRET[1], SECRET[2], SECRET[5]))
    assert events(leaky, "quarantine:exported")[0] == {"dataset": "register", "batch": None, "rows": 1}


def test_a_row_whose_key_is_sensitive_is_named_by_its_token(town):
    town.fill("welfare", [(SECRET[1], "张三", None), (number(9), "李四", None)])
    town.sync("insurance")

    (line,) = csv.DictReader(io.StringIO(export.without_values("insurance", by="officer")[0].decode("utf-8-sig")))

    assert line["主键 key"].startswith("token ")
    assert SECRET[1] not in str(line)


def test_values_reach_the_supplying_departments_officer_decoded_and_nobody_without_the_key(leaky):
    private, public = officer_of(leaky, "police")

    sealed, rows = export.with_values("register", key_file=public, days=7, by="officer")

    assert rows == 1
    assert not any(value.encode() in sealed for value in (SECRET[1], SECRET[2], SECRET[5]))
    letter = letters.opened(sealed, private, now=datetime.now(UTC))
    (line,) = csv.DictReader(io.StringIO(letter.csv))
    assert (line["身份号码 Number (citizen_no)"], line["姓名 Name (full_name)"]) == (SECRET[1], SECRET[2])
    assert line["所违规则"]
    assert "Number" in line["broken rules"]
    with pytest.raises(Mistake, match="does not open with this key"):
        letters.opened(sealed, letters.new_identity()[0], now=datetime.now(UTC))


def test_an_unsealing_is_recorded_with_department_recipient_and_expiry(leaky):
    _, public = officer_of(leaky, "police")

    export.with_values("register", key_file=f"# mine\n{public}\n", days=7, by="officer", now=datetime(2026, 11, 1, tzinfo=UTC))

    (recorded,) = events(leaky, "quarantine:unsealed")
    assert recorded == {
        "dataset": "register", "batch": None, "rows": 1, "department": "police", "recipient": public, "expires": "2026-11-08T00:00:00+00:00",
    }  # fmt: skip


def test_another_departments_officer_is_refused_and_that_is_recorded(leaky):
    _, public = officer_of(leaky, "welfare")

    with pytest.raises(Refused, match="officers of police only"):
        export.with_values("register", key_file=public, days=7, by="officer")

    assert events(leaky, "quarantine:refused") == [{"dataset": "register", "department": "police", "recipient": public}]


def test_an_expired_export_no_longer_opens(leaky):
    private, public = officer_of(leaky, "police")
    made = datetime(2026, 11, 1, tzinfo=UTC)
    sealed, _ = export.with_values("register", key_file=public, days=7, by="officer", now=made)

    assert letters.opened(sealed, private, now=made + timedelta(days=7, seconds=-1)).rows == 1
    with pytest.raises(Refused, match="could be read until 2026-11-08"):
        letters.opened(sealed, private, now=made + timedelta(days=7))


def test_a_changed_letter_does_not_open(leaky):
    private, public = officer_of(leaky, "police")
    sealed, _ = export.with_values("register", key_file=public, days=7, by="officer")
    lines = sealed.splitlines(keepends=True)
    lines[-3] = lines[-3][::-1].lstrip() + b"\n"

    with pytest.raises(Mistake):
        letters.opened(b"".join(lines), private, now=datetime.now(UTC))


@pytest.mark.parametrize("text", ["", "# nothing", "age1nonsense", "two\nlines"])
def test_a_file_without_a_public_key_is_named_as_such(text):
    with pytest.raises(Mistake, match="no public key"):
        letters.public_key(text)


@given(st.text(max_size=20))
def test_no_cell_is_a_formula_and_none_is_lost(cell: str):
    shown = export.harmless(cell)
    assert shown.removeprefix("'") == cell.removeprefix("'")
    assert not shown.startswith(("=", "@", "＝", "＠", "\t", "\r", "\n"))


@pytest.mark.parametrize(
    ("cell", "shown"), [("=1+1", "'=1+1"), ("-5", "-5"), ("+8613800000000", "+8613800000000"), ("-2+3", "'-2+3"), ("＝A1", "'＝A1")]
)
def test_plain_numbers_stay_numbers_and_formulas_become_text(cell: str, shown: str):
    assert export.harmless(cell) == shown
