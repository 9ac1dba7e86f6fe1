"""The gate: what holds a batch, what it says, and what an officer's word does."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Refused, Rejected, Unavailable
from hub.flows import batches, sync
from hub.flows.freshness import Newest, judge_freshness
from hub.flows.reasons import reasons_of
from hub.flows.volume import Size, judge_volume
from schemas.contract import Freshness, Volume
from schemas.declarations import declarations

ZONE = ZoneInfo("Asia/Shanghai")
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
DAY = 86_400.0


def number(sequence: int) -> str:
    body = f"11010119900307{sequence:03d}"
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True)) % 11]


def people(count: int, *, changed: str = "2026-01-01 00:00:00") -> list[tuple[str | None, ...]]:
    return [(f"r{one}", number(one), "张三", "1", "1990-03-07", None, changed) for one in range(1, count + 1)]


def broken(record: str) -> tuple[str | None, ...]:
    return (record, "310101198001010012", "赵六", "1", "1980-01-01", None, "2026-01-01 00:00:00")


def declare(town, gate: str, **more: str) -> None:
    path = town.home / "schemas/contracts/police/register.yaml"
    text = path.read_text(encoding="utf-8").replace("gate: {failing: 0.5, deletes: 0.5}", f"gate: {gate}")
    for old, new in more.items():
        text = text.replace(f"{old}: ", f"{old}: {new} # ", 1)
    path.write_text(text, encoding="utf-8")
    declarations.cache_clear()


def newest(town) -> batches.Batch:
    (row,) = town.all("SELECT id FROM hub.batch ORDER BY id DESC LIMIT 1")
    return batches.show(row["id"])[0]


def held(town, match: str) -> batches.Batch:
    with pytest.raises(Rejected, match=match):
        town.sync("register")
    batch = newest(town)
    assert batch.state == "held"
    return batch


def count(town) -> object:
    return town.all("SELECT count(*) FROM population.person__register")[0]["count"]


class TestVolume:
    declared = Volume(recent=10, share=0.5, rows=10)

    def judged(self, rows: int, earlier: Sequence[int]) -> bool:
        whole = [Size(rows=one, whole=True, seconds=DAY) for one in earlier]
        return judge_volume(Size(rows=rows, whole=True, seconds=DAY), whole, self.declared) is not None

    def test_the_first_batches_are_not_judged(self):
        assert not self.judged(1_000_000, [])
        assert not self.judged(1_000_000, [100, 100])
        assert self.judged(1_000_000, [100, 100, 100])

    def test_half_a_table_is_noticed_and_so_is_a_table_delivered_twice(self):
        assert self.judged(499, [1000] * 5)
        assert self.judged(2000, [1000] * 5)
        assert not self.judged(600, [1000] * 5)

    def test_one_odd_batch_is_no_measure_for_the_next(self):
        assert not self.judged(1000, [400, 1000, 1000, 1000])
        assert self.judged(150, [400, 1000, 1000, 1000])

    def test_a_new_size_that_an_officer_released_is_accepted_from_then_on(self):
        assert not self.judged(3000, [3000, 1000, 1000, 1000, 1000])

    def test_a_few_rows_more_or_less_are_nothing_however_large_their_share(self):
        assert not self.judged(9, [1, 1, 1, 1])

    @given(st.floats(-0.33, 0.49), st.integers(1000, 100_000), st.integers(3, 40))
    def test_steady_growth_is_never_held(self, growth: float, start: int, days: int):
        sizes = [round(start * (1 + growth) ** day) for day in range(min(days, 20) + 1)]
        for day in range(1, len(sizes)):
            assert not self.judged(sizes[day], sizes[:day][::-1])

    @given(st.lists(st.integers(900, 1100), min_size=3, max_size=20), st.integers(0, 400) | st.integers(1700, 10_000))
    def test_what_is_far_from_every_batch_before_is_always_held(self, earlier: list[int], rows: int):
        assert self.judged(rows, earlier)

    def test_a_window_is_compared_with_windows_as_long_as_itself(self):
        week = [Size(rows=3000 if day % 7 == 0 else 1000, whole=False, seconds=DAY * (3 if day % 7 == 0 else 1)) for day in range(20)]
        monday, tuesday = Size(rows=3000, whole=False, seconds=3 * DAY), Size(rows=3000, whole=False, seconds=DAY)
        assert judge_volume(monday, week[1:], self.declared) is None
        assert judge_volume(tuesday, week[1:], self.declared) is not None

    def test_a_run_by_hand_minutes_after_another_is_like_no_nightly_one(self):
        nightly = [Size(rows=1000, whole=False, seconds=DAY)] * 9
        assert judge_volume(Size(rows=2, whole=False, seconds=120), nightly, self.declared) is None

    def test_a_whole_read_is_not_compared_with_windows(self):
        windows = [Size(rows=10, whole=False, seconds=DAY)] * 9
        assert judge_volume(Size(rows=100_000, whole=True, seconds=DAY), windows, self.declared) is None


def test_a_batch_of_unusual_size_is_held_and_once_released_it_is_the_new_measure(town):
    declare(town, "{volume: {share: 0.5, rows: 2}}")
    town.fill("police", people(10))
    for _ in range(3):
        town.sync("register")
    town.fill("police", people(30))

    batch = held(town, "30 rows were read")

    (reason,) = reasons_of(batch)
    assert (reason.rule, reason.measured, reason.limit) == ("volume", 30, "5–15")
    sync.release(batch.id, by="officer", reason="two districts joined")
    town.sync("register")
    assert count(town) == 30


class TestFreshness:
    now = datetime(2026, 11, 22, 10, 0, tzinfo=ZONE)
    declared = Freshness(field="changed", hours=24, ahead_minutes=60)

    def judged(self, value: datetime | date | None) -> list[str]:
        return [reason.rule for reason in judge_freshness(Newest(value=value), self.declared, now=self.now, zone=ZONE)]

    def test_a_row_of_yesterday_is_fresh_and_one_older_than_allowed_is_not(self):
        assert self.judged(self.now - timedelta(hours=24)) == []
        assert self.judged(self.now - timedelta(hours=24, seconds=1)) == ["freshness"]

    def test_the_offset_of_the_source_does_not_matter(self):
        assert self.judged((self.now - timedelta(hours=23)).astimezone(UTC)) == []

    def test_a_day_is_as_young_as_its_last_moment_and_as_old_as_its_first(self):
        assert self.judged(date(2026, 11, 21)) == []
        assert self.judged(date(2026, 11, 20)) == ["freshness"]
        assert self.judged(date(2026, 11, 22)) == []
        assert self.judged(date(2026, 11, 23)) == ["clock"]

    def test_a_row_of_the_future_is_a_matter_of_clocks(self):
        assert self.judged(self.now + timedelta(minutes=60)) == []
        assert self.judged(self.now + timedelta(minutes=61)) == ["clock"]

    def test_what_is_no_time_cannot_be_called_fresh(self):
        assert self.judged(None) == ["freshness"]

    def test_a_source_without_rows_has_no_age(self):
        assert list(judge_freshness(None, self.declared, now=self.now, zone=ZONE)) == []


def moment(hours: float) -> str:
    return f"{datetime.now(ZONE) + timedelta(hours=hours):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize("mode", ["full", "incremental, cursor: changed"])
def test_a_source_that_nobody_fills_any_more_is_noticed_in_either_mode(make_town, mode):
    town = make_town(mode=mode)
    declare(town, "{freshness: {field: changed, hours: 48}}")
    town.fill("police", people(3, changed=moment(-1)))
    town.sync("register")
    declare(town, "{freshness: {field: changed, hours: 48}}")
    town.fill("police", people(3, changed=moment(-72)))

    batch = held(town, "72.0 hours old; 48 are allowed")

    assert "距今 72.0 小时" in reasons_of(batch)[0].zh


def test_a_row_of_tomorrow_is_told_with_both_clocks(town):
    declare(town, "{freshness: {field: changed, hours: 48}}")
    town.fill("police", people(3, changed=moment(24)))

    batch = held(town, "lies in the future: 14[0-9]{2} minutes ahead of the hub's clock")

    assert reasons_of(batch)[0].rule == "clock"


def test_one_bad_row_of_a_small_window_is_put_aside_and_holds_nothing_back(make_town):
    town = make_town(mode="incremental, cursor: changed")
    town.fill("police", people(3))
    town.sync("register")
    later = [("r9", "310101198001010012", "赵六", "1", "1980-01-01", None, "2026-01-02 00:00:00")]

    town.fill("police", [*people(3), *later])
    town.sync("register")

    assert newest(town).state == "published"
    assert town.all("SELECT count(*) FROM hub.quarantine WHERE closed_by IS NULL")[0]["count"] == 1
    declare(town, "{failing: 0.5, at_least: 1, deletes: 0.5}")
    town.fill("police", [*people(3), (*later[0][:-1], "2026-01-03 00:00:00")])
    assert reasons_of(held(town, "break a rule"))[0].rule == "failing"


def test_every_reason_is_told_at_once_with_numbers_limits_and_what_to_do_in_both_languages(town):
    declare(town, "{deletes: 0.1, failing: 0.1, volume: {rows: 1, share: 0.2}, freshness: {field: changed, hours: 1}}")
    for _ in range(3):
        town.fill("police", people(10, changed=moment(0)))
        town.sync("register")
    town.fill("police", [*people(4, changed=moment(-30)), broken("r98"), broken("r99")])

    reasons = reasons_of(held(town, "is held"))

    assert [reason.rule for reason in reasons] == ["failing", "deletes", "volume", "freshness"]
    assert [reason.measured for reason in reasons[:3]] == [33.33, 60.0, 6]
    assert all(reason.zh and reason.en and reason.do_zh and reason.do_en for reason in reasons)
    (entry,) = town.all("SELECT details -> 'reasons' AS told FROM audit.entry WHERE event = 'batch:held' ORDER BY id DESC LIMIT 1")
    assert [told["rule"] for told in entry["told"]] == ["failing", "deletes", "volume", "freshness"]


# The clock


def test_a_clock_that_was_set_back_stops_the_job_before_anything_is_read(make_town):
    town = make_town(mode="incremental, cursor: changed")
    town.fill("police", people(2))
    town.sync("register")
    town.fill("police", [*people(2), *people(3, changed="2026-01-02 00:00:00")[2:]])
    shift = "UPDATE hub.batch SET started_at = started_at {0} interval '1 day', ended_at = ended_at {0} interval '1 day'"
    town.change(shift.format("+"))

    with pytest.raises(Unavailable, match=r"the clock of this machine was set back: it says .* and batch \d+ was recorded at"):
        town.sync("register")

    assert len(town.all("SELECT FROM hub.batch")) == 1
    town.change(shift.format("-"))
    town.sync("register")
    assert count(town) == 3


def test_the_window_is_the_sources_own_time_not_the_hubs(make_town):
    town = make_town(mode="incremental, cursor: changed")
    town.fill("police", people(2, changed="2099-01-01 00:00:00"))

    town.sync("register")

    assert town.all("SELECT cursor FROM hub.watermark") == [{"cursor": "2099-01-01 00:00:00"}]


# Source against target

SWALLOW = (
    "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; "
    "CREATE TRIGGER swallow BEFORE INSERT ON population.person__register FOR EACH ROW EXECUTE FUNCTION public.swallow()"
)


@pytest.fixture
def losing(town):
    """A town whose library loses one row of what is published next, every time, behind the hub's back."""
    town.fill("police", people(2))
    town.sync("register")
    town.fill("police", people(3))
    town.change(SWALLOW)
    yield town
    town.change("DROP FUNCTION IF EXISTS public.swallow() CASCADE")


def states(town) -> list[str]:
    return [row["state"] for row in town.all("SELECT state FROM hub.batch ORDER BY id")]


def test_a_library_that_lost_a_row_while_a_batch_waited_is_found_and_mended(town):
    town.fill("police", people(2))
    town.sync("register")
    town.fill("police", people(3))
    batch = sync.stage("register", started_by="test")
    town.change("DELETE FROM population.person__register WHERE row_key = (SELECT min(row_key) FROM population.person__register)")

    sync.publish(batch, started_by="test")

    assert states(town) == ["published", "discarded", "published"]
    assert count(town) == 3


def test_what_does_not_add_up_twice_ends_as_a_held_batch_with_the_reason(losing):
    batch = held(losing, "the keys of register in the library do not add up to the keys read at the source")

    assert states(losing) == ["published", "discarded", "held"]
    assert reasons_of(batch)[0].rule == "reconciliation"
    with pytest.raises(Refused, match="is held"):
        losing.sync("register")


def test_releasing_what_does_not_add_up_publishes_what_there_is_and_the_next_run_brings_the_rest(losing):
    batch = held(losing, "is held")

    sync.release(batch.id, by="officer", reason="known")

    assert count(losing) == 2
    losing.change("DROP FUNCTION public.swallow() CASCADE")
    losing.sync("register")
    assert count(losing) == 3


# An officer's decision


def test_releasing_twice_is_refused_in_plain_words(town):
    town.fill("police", [*people(1), broken("r8"), broken("r9")])
    batch = held(town, "is held")
    sync.release(batch.id, by="officer", reason="known")

    with pytest.raises(Refused, match=f"batch {batch.id} is published, not held"):
        sync.release(batch.id, by="officer", reason="known")

    with pytest.raises(Refused, match=f"batch {batch.id} is published"):
        sync.discard(batch.id, by="officer", reason="second thoughts")
    assert len(town.all("SELECT FROM hub.library_version WHERE cause = 'publish'")) == 1


def test_a_release_publishes_what_was_staged_and_nothing_the_source_changed_since(town):
    town.fill("police", [*people(1), broken("r8"), broken("r9")])
    batch = held(town, "is held")
    town.fill("police", people(9))

    assert sync.release(batch.id, by="officer", reason="known").batch == batch.id

    assert count(town) == 1


def test_a_release_after_keys_or_policy_changed_reads_again_and_is_judged_anew(town):
    town.fill("police", [*people(1), broken("r8"), broken("r9")])
    batch = held(town, "is held")
    town.change(f"UPDATE hub.batch SET protection = 'of another key' WHERE id = {batch.id}")

    with pytest.raises(Rejected, match="is held"):
        sync.release(batch.id, by="officer", reason="known")

    assert states(town) == ["discarded", "held"]
    assert count(town) == 0
    town.fill("police", people(4))
    again = newest(town)
    town.change(f"UPDATE hub.batch SET protection = 'of another key' WHERE id = {again.id}")
    assert sync.release(again.id, by="officer", reason="known").batch != again.id
    assert count(town) == 4
