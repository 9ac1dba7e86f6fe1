"""The checkpoint outside of the database: it only rises, and a database behind it is told."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from hub.database.engine import engine
from hub.errors import Refused, Unavailable
from hub.flows import bases, checkpoint_files, checkpoints, explaining, sync
from hub.flows.checkpoint_files import Checkpoint, Epoch
from hub.flows.checkpoints import Present, findings
from hub.settings import settings
from tests.flows.test_sync import LI, WANG, ZHANG, number

HERE, THERE = Epoch(number=1, id="a"), Epoch(number=2, id="b")
LIBRARIES = st.dictionaries(st.sampled_from(["population", "license"]), st.integers(0, 5))
NOTED = st.builds(
    Checkpoint,
    epoch=st.just(HERE),
    batch=st.integers(0, 5),
    erasures=st.integers(0, 2),
    libraries=LIBRARIES,
    noted_at=st.just(datetime(2026, 1, 1, tzinfo=UTC)),
)


def _present(noted: Checkpoint, *, followed: frozenset[str] = frozenset(), restored: str | None = None) -> Present:
    return Present(
        epoch=noted.epoch, followed=followed, batch=noted.batch, erasures=noted.erasures, libraries=noted.libraries, restored=restored
    )


def _joined(noted: list[Checkpoint]) -> Checkpoint:
    kept = noted[0]
    for one in noted[1:]:
        kept = checkpoint_files._joined(kept, one, frozenset())
    return kept


class TestAsALaw:
    @given(st.lists(NOTED, min_size=1, max_size=5))
    def test_a_checkpoint_never_falls(self, noted):
        risen = _joined(noted)
        assert all(risen.batch >= one.batch and risen.erasures >= one.erasures for one in noted)
        assert all(risen.libraries[name] >= version for one in noted for name, version in one.libraries.items())

    @given(st.lists(NOTED, min_size=1, max_size=5), st.randoms())
    def test_the_order_in_which_runs_note_does_not_matter(self, noted, random):
        mixed = random.sample(noted, len(noted))
        assert _joined(mixed) == _joined(noted)

    @given(NOTED, NOTED)
    def test_a_database_is_told_if_and_only_if_it_is_behind(self, now, noted):
        behind = (now.batch, now.erasures) != (max(now.batch, noted.batch), max(now.erasures, noted.erasures)) or any(
            now.libraries.get(name, 0) < version for name, version in noted.libraries.items()
        )
        assert bool(findings(_present(now), (noted,))) == behind

    @given(NOTED, NOTED)
    def test_a_database_that_follows_the_noted_epoch_is_right_however_far_it_has_come(self, now, noted):
        opened = Checkpoint(epoch=THERE, batch=now.batch, erasures=now.erasures, libraries=now.libraries, noted_at=now.noted_at)
        assert findings(_present(opened, followed=frozenset({HERE.id})), (noted,)) == ()
        assert checkpoint_files._joined(noted, opened, frozenset({HERE.id})) == opened

    @given(NOTED, NOTED)
    def test_a_database_of_another_epoch_is_told_and_lifts_nothing(self, now, noted):
        other = Checkpoint(epoch=THERE, batch=noted.batch, erasures=noted.erasures, libraries=noted.libraries, noted_at=noted.noted_at)
        assert findings(_present(now), (other,))
        assert checkpoint_files._joined(other, now, frozenset()) == other

    @given(NOTED)
    def test_a_restored_database_is_told_even_if_nothing_was_lost(self, now):
        assert findings(_present(now, restored="hub-1"), (now,)) == ("it was restored from backup hub-1",)


def _files() -> tuple[Path, Path]:
    first, second = checkpoint_files.places()
    return first / "checkpoint.json", second / "checkpoint.json"


def _noted(file: Path) -> dict[str, object]:
    found = json.loads(file.read_bytes())
    return {"batch": found["batch"], "population": found["libraries"]["population"]}


class TestInAHub:
    @pytest.fixture
    def published(self, town):
        town.fill("police", [ZHANG, LI])
        town.sync("register")
        return town

    def _state(self, town):
        batch, version = (town.all(query)[0]["n"] for query in (
            "SELECT max(id) AS n FROM hub.batch", "SELECT max(version) AS n FROM hub.library_version WHERE library = 'population'",
        ))  # fmt: skip
        return {"batch": batch, "population": version}

    def test_publishing_lifts_it_in_both_places(self, published):
        assert [_noted(file) for file in _files()] == [self._state(published)] * 2
        assert {stat.S_IMODE(file.stat().st_mode) for file in _files()} == {0o600}

    def test_a_run_killed_before_it_notes_is_no_alarm_and_the_next_one_notes(self, published):
        before = [file.read_bytes() for file in _files()]
        published.fill("police", [ZHANG, LI, WANG])
        published.sync("register")
        for file, content in zip(_files(), before, strict=True):
            file.write_bytes(content)  # as a kill between commit and note leaves it

        checkpoints.require_current_database()

        assert [_noted(file) for file in _files()] == [self._state(published)] * 2

    def test_an_older_database_refuses_service_and_says_what_is_missing(self, published):
        waiting = sync.stage("register", started_by="test")
        for file in _files():
            found = json.loads(file.read_bytes())
            file.write_text(json.dumps(found | {"libraries": found["libraries"] | {"population": 9}, "batch": 10**6}))

        for serve in (
            lambda: sync.stage("register", started_by="test"),
            lambda: sync.publish(waiting, started_by="test"),
            lambda: bases.applied(by="test"),
            lambda: explaining.explain("population", None, number("19900307", 1), by="test"),
        ):
            with pytest.raises(
                Refused, match=r"library population is at version 2, version 9 was known on .*; its last batch is \d+, batch 1000000"
            ) as caught:
                serve()
            assert "hub recover" in caught.value.remedy
        assert "纪元" not in str(checkpoints.warning())
        assert "version 9 was known" in str(checkpoints.warning())
        assert bases.versions("population")  # reads go on

    def test_one_place_suffices_to_tell(self, published):
        first, second = _files()
        second.write_text(second.read_text().replace('"population": 2', '"population": 3'))
        first.unlink()
        with pytest.raises(Refused, match="version 3 was known"):
            checkpoints.require_current_database()

    def test_a_damaged_file_is_refused_by_name(self, published):
        first, _ = _files()
        first.write_text("{")
        with pytest.raises(Refused, match=r"checkpoint\.json is damaged"):
            checkpoints.require_current_database()

    def test_a_second_place_that_is_away_stops_the_next_run_but_not_the_end_of_one(self, published):
        place = settings().checkpoints
        place.rename(place.with_name("away"))
        try:
            checkpoints.note()
            with pytest.raises(Unavailable, match="cannot be read or written"):
                published.sync("register")
            assert not place.exists()
        finally:
            place.with_name("away").rename(place)

    def test_an_unchanged_state_writes_nothing(self, published):
        before = [file.stat().st_ino for file in _files()]
        checkpoints.note()
        checkpoints.require_current_database()
        assert [file.stat().st_ino for file in _files()] == before


class TestKeys:
    def test_of_another_hub_are_refused_before_anything_is_read(self, town, tmp_path_factory, monkeypatch):
        from masking.keys import create_keys
        from tests.backup.conftest import forget_settings

        town.fill("police", [ZHANG])
        town.sync("register")
        others = tmp_path_factory.mktemp("others")
        create_keys(others)
        monkeypatch.setenv("HUB_KEYS", str(others))
        forget_settings()
        try:
            with pytest.raises(Refused, match="not those of this database: quarantine version 1, row_hash version 1"):
                town.sync("register")
        finally:
            monkeypatch.undo()
            forget_settings()
        assert len(town.all("SELECT FROM hub.batch")) == 1

    def test_are_recognised_by_values_that_tell_nothing_of_them(self, town):
        town.fill("police", [ZHANG])
        town.sync("register")
        with engine("hub_reader").connect() as connection:
            values = connection.execute(sa.text("SELECT value FROM hub.key_check")).scalars().all()
        assert len({bytes(one) for one in values}) == 4
        assert {len(bytes(one)) for one in values} == {8}
