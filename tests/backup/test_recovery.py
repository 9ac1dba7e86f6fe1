"""A restored older database: recognised, refused, recovered by a recorded act, and read back into step."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from hub.cli import app
from hub.database import embedded
from hub.database.engine import engine
from hub.database.place import Place
from hub.errors import Mistake, Refused
from hub.flows import backup, bases, checkpoints, erasure, export, holds, jobs, recovery, restore, retention, sync
from hub.flows.erasure_log import Grounds
from hub.flows.explaining import explain
from hub.flows.replay import replay
from hub.flows.withdrawal import withdraw_batch
from hub.settings import settings
from libraries.epochs import MARGIN
from masking import keys as key_files
from masking import letters
from masking.seals import header, unseal
from tests.backup.conftest import forget_settings
from tests.flows.conftest import Row, Town
from tests.flows.test_sync import BAD_NUMBER, LI, WANG, ZHANG, person

GROUNDS = Grounds(requester="Wang", approver="Li", reason="asked for it", legal_basis="PIPL Art. 47", by="officer")
LATER = [
    person("r4", "19700101", 7, "钱七"),
    ("r2", LI[1], "李四四", "1", "1985-01-01", "13800000002", "2026-01-02 00:00:00"),
]


def _dated(row: Row, day: int) -> Row:
    return (*row[:-1], f"2026-01-{day:02d} 00:00:00")


def _down() -> None:
    embedded.down(at_once=True)


def _held(town: Town) -> dict[str, object]:
    """All that the hub says, apart from what differs from run to run: subjects, batch and version numbers, times."""
    return {
        "people": town.all("SELECT full_name, sex_code, birth_year, phone FROM population.person ORDER BY 1, 2, 3, 4"),
        "rows": town.all("SELECT row_key, full_name, row_hash FROM population.person__register ORDER BY row_key"),
        "insured": town.all("SELECT row_key, phone, row_hash FROM population.person__insurance ORDER BY row_key"),
        "keys": town.all("SELECT key, current FROM population.person__key ORDER BY key"),
        "marks": town.all("SELECT dataset, cursor, protection FROM hub.watermark ORDER BY dataset"),
        "quarantine": town.all("SELECT dataset, row_key, checks FROM hub.quarantine WHERE closed_by IS NULL ORDER BY dataset, row_key"),
        "unfinished": town.all("SELECT dataset FROM hub.batch WHERE state IN ('planned', 'staged', 'held')"),
        "staging": town.all("SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relkind = 'r'"),
    }


def _last_batch(town: Town) -> int:
    return int(town.all("SELECT last_value AS n FROM hub.batch_id_seq")[0]["n"])


def _version(town: Town) -> int:
    return int(town.all("SELECT max(version) AS n FROM hub.library_version WHERE library = 'population'")[0]["n"])


def test_from_backup_to_the_same_libraries_as_without_a_disaster(make_town: Callable[..., Town]) -> None:
    town = make_town(mode="incremental, cursor: changed")
    town.fill("police", [_dated(ZHANG, 1), _dated(LI, 1), BAD_NUMBER])
    town.fill("welfare", [(ZHANG[1], "张三", "13900000001")])
    town.sync("register")
    town.sync("insurance")
    kept, name = _version(town), backup.create(by="test").name
    town.fill("police", [_dated(ZHANG, 1), *(_dated(row, 2) for row in LATER), BAD_NUMBER])
    town.sync("register")
    town.fill("welfare", [(ZHANG[1], "张三", "13900000009"), (LI[1], "李四", "13900000002")])
    town.sync("insurance")
    lost, undisturbed, last_batch = _version(town), _held(town), _last_batch(town)
    assert lost == kept + 2

    _down()
    made, aside = restore.restore(name, by="officer", replace=True)

    assert aside is not None
    assert (aside / "PG_VERSION").is_file()  # the former database is moved, not deleted
    assert _version(town) == kept == made.libraries["population"]
    _expect_refusal(town, f"restored from backup {name}.*library population is at version {kept}, version {lost} was known")
    _expect_marked_listing(kept)
    _expect_a_dry_run_changes_nothing(town)

    recovered = recovery.recover(by="officer", reason="disk of the server broke")

    library = next(one for one in recovered.libraries if one.library == "population")
    assert (library.kept, library.first) == (kept, lost + MARGIN)
    assert checkpoints.warning() is None
    town.sync("register")
    town.sync("insurance")
    assert _held(town) == undisturbed
    assert min(row["id"] for row in town.all("SELECT id FROM hub.batch ORDER BY id DESC LIMIT 2")) > last_batch
    assert [town.sync(dataset).versions for dataset in ("register", "insurance")] == [{}, {}]  # nothing twice
    _expect_numbers(kept, lost, recovered.epoch)
    _expect_entries(town, kept, lost)
    with pytest.raises(Refused, match="nothing to recover"):
        recovery.recover(by="officer", reason="again")


def _expect_refusal(town: Town, told: str) -> None:
    key = letters.new_identity()[1]
    case = {"reason": "case", "legal_basis": "law", "by": "test"}
    commands = {
        "sync": lambda: town.sync("register"),
        "release": lambda: sync.release(1, by="test", reason="right"),
        "discard": lambda: sync.discard(1, by="test", reason="wrong"),
        "withdraw": lambda: withdraw_batch(1, by="test", reason="wrong"),
        "apply": lambda: bases.applied(by="test"),
        "prune": lambda: retention.pruned(by="test"),
        "replay": lambda: replay("register", started_by="test"),
        "export": lambda: export.without_values("register", by="test"),
        "export of values": lambda: export.with_values("register", key_file=key, days=1, by="test"),
        "explain": lambda: explain("population", None, ZHANG[1], by="test"),
        "erase": lambda: erasure.erase(ZHANG[1], "citizen_id", GROUNDS),
        "lift": lambda: erasure.lift(ZHANG[1], "citizen_id", GROUNDS),
        "reapply": lambda: erasure.reapply(by="test"),
        "hold a person": lambda: holds.hold_subject(ZHANG[1], "citizen_id", **case),
        "hold a dataset": lambda: holds.hold_dataset("register", **case),
        "end a hold": lambda: holds.release(1, reason="settled", by="test"),
        "pause": lambda: jobs.pause("register", by="test", reason="moved"),
        "resume": lambda: jobs.resume("register", by="test"),
    }
    untouched = _everything(town)
    served = []
    for name, command in commands.items():
        try:
            command()
        except Refused as refused:
            assert re.search(told, refused.problem), name
        else:
            served.append(name)
    assert served == []
    assert _everything(town) == untouched


def _everything(town: Town) -> dict[str, object]:
    acts = town.all("SELECT count(*) AS n FROM audit.entry")
    held = town.all("SELECT count(*) AS n FROM hub.hold WHERE released_at IS NULL")
    return _held(town) | {"acts": acts, "holds": held, "jobs": town.all("SELECT dataset, paused FROM hub.job")}


def _expect_marked_listing(kept: int) -> None:
    listing = CliRunner().invoke(app, ["library", "versions", "population", "--json"])
    assert listing.exit_code == 0
    assert "not in service" in listing.stderr
    assert json.loads(listing.stdout)[0]["version"] == kept


def _expect_a_dry_run_changes_nothing(town: Town) -> None:
    before = _held(town), _last_batch(town)
    dry = CliRunner().invoke(app, ["recover", "--dry-run", "--json"])
    assert json.loads(dry.stdout)["epoch"] == town.all("SELECT max(number) AS n FROM hub.epoch")[0]["n"] + 1
    assert (_held(town), _last_batch(town)) == before


def _expect_numbers(kept: int, lost: int, epoch: int) -> None:
    for version in (kept + 1, lost, lost + 1):
        with pytest.raises(Refused, match=f"version {version} of population was lost"):
            bases.changed("population.person", after=version, until=None)
    with pytest.raises(Mistake, match="has no version"):
        bases.changed("population.person", after=10**6, until=None)
    assert bases.changed("population.person", after=kept, until=None)[1] == {"insert": 1, "update": 2}
    first = lost + MARGIN
    tags = [(row["epoch"], row["version"], row["cause"]) for row in bases.versions("population", limit=4)]
    assert tags == [(epoch, first + 2, "publish"), (epoch, first + 1, "publish"), (epoch, first, "recovery"), (1, kept, "publish")]


def _expect_entries(town: Town, kept: int, lost: int) -> None:
    recovered, restored = town.all("SELECT event, actor, details FROM audit.entry WHERE event LIKE 'database:%' ORDER BY id DESC LIMIT 2")
    assert (recovered["event"], restored["event"]) == ("database:recovered", "database:restored")
    assert recovered["actor"] == "officer"
    assert recovered["details"]["reason"] == "disk of the server broke"
    assert recovered["details"]["libraries"]["population"] == [kept, lost + MARGIN]


@pytest.fixture
def published(town: Town) -> Town:
    """A hub that has published once."""
    town.fill("police", [ZHANG, LI])
    town.sync("register")
    return town


class TestRecognition:
    def test_of_an_older_data_directory_put_back_by_hand(self, published, tmp_path_factory):
        data, kept = Place.of_settings().data, tmp_path_factory.mktemp("by_hand") / "data"
        embedded.down()
        subprocess.run(["cp", "-a", str(data), str(kept)], check=True)
        embedded.up()
        published.fill("police", [ZHANG, LI, WANG])
        published.sync("register")
        embedded.down()
        shutil.rmtree(data)
        subprocess.run(["cp", "-a", str(kept), str(data)], check=True)
        embedded.up()

        with pytest.raises(Refused, match="library population is at version 2, version 3 was known"):
            published.sync("register")

        recovery.recover(by="test", reason="put back")
        published.sync("register")
        assert len(published.all("SELECT FROM population.person")) == 3

    def test_of_an_empty_database_in_the_place_of_a_full_one(self, published):
        embedded.down()
        data = Place.of_settings().data
        data.rename(data.with_name("lost"))
        try:
            embedded.up()
            from hub.database import migrations

            migrations.upgrade()
            with pytest.raises(Refused, match="another, number"):
                bases.applied(by="test")
        finally:
            _down()
            shutil.rmtree(data)
            data.with_name("lost").rename(data)
            embedded.up()
        checkpoints.require_current_database()

    def test_of_a_backup_from_before_an_earlier_recovery(self, published):
        first = backup.create(by="test").name
        for _ in range(2):
            _down()
            restore.restore(first, by="test", replace=True)
            epoch = recovery.recover(by="test", reason="once more").epoch
            assert _version(published) == 2 + MARGIN * (epoch - backup.read(backup.located(first)).epoch)
            checkpoints.require_current_database()

    def test_of_a_recovery_that_was_killed_before_the_checkpoint_rose(self, published):
        name = backup.create(by="test").name
        _down()
        restore.restore(name, by="test", replace=True)
        with engine("hub_owner").begin() as connection:
            recovery._recover(connection, by="test", reason="killed after its commit")

        published.fill("police", [ZHANG, LI, WANG])
        assert published.sync("register").versions == {"population": 2 + MARGIN + 1}
        assert checkpoints.warning() is None


class TestErasuresSinceTheBackup:
    @pytest.fixture
    def restored(self, published):
        """A database from before Zhang was erased, put back."""
        name = backup.create(by="test").name
        erasure.erase(ZHANG[1], "citizen_id", GROUNDS)
        _down()
        restore.restore(name, by="test", replace=True)
        assert len(published.all("SELECT FROM population.person__register")) == 2
        return published

    def test_are_done_again_by_the_recovery(self, restored):
        assert recovery.planned().erased == 1
        assert len(restored.all("SELECT FROM population.person__register")) == 2  # planned only

        assert recovery.recover(by="officer", reason="disk broke").erased == 1

        assert restored.sync("register").versions == {}
        assert len(restored.all("SELECT FROM population.person__register")) == 1
        (entry,) = restored.all("SELECT actor FROM audit.entry WHERE event = 'subject:erased' ORDER BY id DESC LIMIT 1")
        assert entry["actor"] == "officer"

    def test_are_still_to_be_done_where_the_recovery_was_killed_before_them(self, restored):
        with engine("hub_owner").begin() as connection:
            recovery._recover(connection, by="test", reason="killed after its commit")

        for serve in (lambda: restored.sync("register"), lambda: explain("population", None, LI[1], by="test")):
            with pytest.raises(Refused, match="1 persons were erased"):
                serve()
        assert len(erasure.reapply(by="test")) == 1

        restored.sync("register")
        assert len(restored.all("SELECT FROM population.person__register")) == 1

    def test_that_a_legal_hold_of_that_time_forbids_keep_every_job_from_running_until_it_ends(self, published):
        case = holds.hold_subject(ZHANG[1], "citizen_id", reason="case", legal_basis="law", by="test")
        name = backup.create(by="test").name
        holds.release(case, reason="settled", by="test")
        erasure.erase(ZHANG[1], "citizen_id", GROUNDS)
        _down()
        restore.restore(name, by="test", replace=True)

        with pytest.raises(Refused, match=r"the new epoch is open.*a legal hold forbids it"):
            recovery.recover(by="test", reason="disk broke")
        with pytest.raises(Refused, match="erased"):
            published.sync("register")
        holds.release(case, reason="settled", by="test")
        erasure.reapply(by="test")

        published.sync("register")
        assert len(published.all("SELECT FROM population.person__register")) == 1


class TestWhatWasUnderWay:
    def test_is_discarded_and_read_again(self, published):
        published.fill("police", [ZHANG, LI, WANG])
        staged = sync.stage("register", started_by="test")
        name = backup.create(by="test").name
        sync.publish(staged, started_by="test")
        undisturbed = _held(published)
        _down()
        restore.restore(name, by="test", replace=True)

        assert recovery.recover(by="test", reason="test").discarded == (staged,)

        published.sync("register")
        assert _held(published) == undisturbed

    def test_a_held_batch_is_judged_anew(self, published):
        published.fill("police", [])
        sync.stage("register", started_by="test")
        name = backup.create(by="test").name
        _down()
        restore.restore(name, by="test", replace=True)

        recovery.recover(by="test", reason="test")

        published.fill("police", [ZHANG, LI])
        assert published.sync("register").versions == {}


KILLED = """
import os, signal
from hub.database import durable
from hub.flows import restore
calls = 0
def counted(original):
    def call(*arguments):
        global calls
        if calls == {at}:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        return original(*arguments)
    return call
durable.sync_all = counted(durable.sync_all)
durable.rename = counted(durable.rename)
restore.embedded.up = counted(restore.embedded.up)
restore.restore({name!r}, by="test", replace=True)
"""


class TestKilledRestores:
    @pytest.mark.parametrize(
        "at",
        [
            pytest.param("prepared", marks=pytest.mark.campaign),
            pytest.param("before the old one leaves", marks=pytest.mark.campaign),
            "before the new one comes",
            pytest.param("before the start", marks=pytest.mark.campaign),
        ],
    )
    def test_leave_the_old_database_or_the_new_one_and_can_be_repeated(self, published, run, at):
        moments = ["prepared", "before the old one leaves", "before the new one comes", "before the start"]
        name = backup.create(by="test").name
        published.fill("police", [ZHANG, LI, WANG])
        published.sync("register")
        _down()
        killed = run(KILLED.format(at=moments.index(at), name=name))
        _, said = killed.communicate(timeout=120)
        assert killed.returncode == -signal.SIGKILL, said

        if at == "before the new one comes":
            with pytest.raises(Refused, match="cut off"):
                embedded.up()
        else:
            embedded.up()
            new = at == "before the start"
            assert len(published.all("SELECT FROM population.person__register")) == (2 if new else 3)
            assert (checkpoints.warning() is not None) == new
            _down()

        restore.restore(name, by="test", replace=True)
        recovery.recover(by="test", reason="test")
        published.sync("register")
        assert len(published.all("SELECT FROM population.person")) == 3
        assert not Place.of_settings().arriving.exists()


class TestRefusedRestores:
    def test_while_the_hub_runs(self, published):
        name = backup.create(by="test").name
        with pytest.raises(Refused, match="is running"):
            restore.restore(name, by="test", replace=True)

    def test_onto_a_database_that_nobody_gave_up(self, published):
        name = backup.create(by="test").name
        _down()
        try:
            with pytest.raises(Refused, match="--replace"):
                restore.restore(name, by="test")
        finally:
            embedded.up()
        checkpoints.require_current_database()

    def test_of_a_damaged_backup(self, published):
        name = backup.create(by="test").name
        (backup.located(name) / "data" / "global" / "pg_control").unlink()
        _down()
        try:
            with pytest.raises(Refused, match="pg_control is missing"):
                restore.restore(name, by="test", replace=True)
        finally:
            embedded.up()
        checkpoints.require_current_database()

    def test_of_a_newer_hub(self, published):
        file = backup.located(backup.create(by="test").name) / "backup.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"migration": "9999"}))
        with pytest.raises(Refused, match="newer hub"):
            restore.acceptable(file.parent)

    def test_with_keys_of_another_hub(self, published, tmp_path_factory, monkeypatch):
        path = backup.located(backup.create(by="test").name)
        others = tmp_path_factory.mktemp("others")
        key_files.create_keys(others)
        monkeypatch.setenv("HUB_KEYS", str(others))
        forget_settings()
        try:
            with pytest.raises(Refused, match="not those of this database"):
                restore.acceptable(path)
        finally:
            monkeypatch.undo()
            forget_settings()

    def test_onto_a_machine_with_other_passwords_works(self, published):
        name = backup.create(by="test").name
        _down()
        for file in settings().secrets.iterdir():
            file.unlink()
        restore.restore(name, by="test", replace=True)
        recovery.recover(by="test", reason="new machine")
        assert published.sync("register").versions == {}


class TestKeysChangedSinceTheBackup:
    @pytest.fixture
    def own_keys(self, published):
        """Keys that the test may change; the others are put back."""
        folder = settings().keys
        kept = (folder / "keyring.json").read_bytes()
        yield folder
        (folder / "keyring.json").write_bytes(kept)
        forget_settings()

    def _rotate(self, folder: Path, purpose: str) -> None:
        found = json.loads((folder / "keyring.json").read_bytes())
        root = key_files.Secret((folder / "root.key").read_bytes())
        for one in found["versions"]:
            one["state"] = "retired" if one["purpose"] == purpose else one["state"]
        found["versions"].append(key_files._new_version(root, purpose, 2, key_files.INTERNATIONAL))
        (folder / "keyring.json").write_text(json.dumps(found))
        forget_settings()

    def test_old_rows_still_open_and_are_protected_anew_when_read(self, published, own_keys):
        from hub.flows.keys import keyring

        name = backup.create(by="test").name
        self._rotate(own_keys, "seal")
        published.sync("register")
        undisturbed = published.all("SELECT row_key, row_hash FROM population.person__register ORDER BY row_key")
        _down()
        restore.restore(name, by="test", replace=True)
        recovery.recover(by="test", reason="test")

        sealed = published.all("SELECT row_key, full_name FROM population.person__register ORDER BY row_key")
        key = keyring().key("seal", "population", version=1)
        rows, values = (pa.array([bytes(one[name]) for one in sealed], pa.binary()) for name in ("row_key", "full_name"))
        opened = unseal(values, rows, key, header(key.suite, 1, "population", "person__register", "full_name"))
        assert {bytes(one).decode() for one in opened.to_pylist()} == {"张三", "李四"}
        published.sync("register")

        assert published.all("SELECT row_key, row_hash FROM population.person__register ORDER BY row_key") == undisturbed

    def test_a_destroyed_key_does_not_keep_the_hub_from_reading_again(self, published, own_keys):
        name = backup.create(by="test").name
        self._rotate(own_keys, "seal")
        key_files.destroy_version(own_keys, "seal", 1)
        forget_settings()
        _down()
        restore.restore(name, by="test", replace=True)
        recovery.recover(by="test", reason="test")

        published.sync("register")

        counts = published.all("SELECT counts -> 'entities' -> 'population.person' AS n FROM hub.batch ORDER BY id DESC LIMIT 1")[0]["n"]
        assert (counts["reprotected"], counts["new"], counts["deleted"]) == (2, 0, 0)

    def test_a_keyring_older_than_the_database_is_refused(self, published, own_keys):
        kept = (own_keys / "keyring.json").read_bytes()
        self._rotate(own_keys, "seal")
        published.sync("register")
        (own_keys / "keyring.json").write_bytes(kept)
        forget_settings()
        with pytest.raises(Refused, match="older than this database: seal version 2 are missing"):
            published.sync("register")
