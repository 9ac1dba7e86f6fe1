"""A backup is whole, private, proved byte by byte, and without keys; killed half-way it is nothing."""

import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from hub.cli import app
from hub.database import embedded
from hub.database.engine import replication_login
from hub.database.passwords import password
from hub.errors import Mistake, Refused, Unavailable
from hub.flows import backup, key_copies, restore
from hub.settings import settings
from tests.backup.conftest import forget_settings, names
from tests.flows.test_sync import LI, ZHANG


@pytest.fixture
def made(town) -> Path:
    """The folder of a backup of a hub that has published."""
    town.fill("police", [ZHANG, LI])
    town.sync("register")
    return backup.located(backup.create(by="test").name)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class TestABackup:
    def test_says_what_it_holds_and_proves_sound(self, made, town):
        said = backup.verify(made)
        assert said.libraries["population"] == 2
        assert (said.epoch_id,) == tuple(row["id"] for row in town.all("SELECT id::text FROM hub.epoch ORDER BY number DESC LIMIT 1"))
        assert said.bytes == sum(path.stat().st_size for path in _files(made / "data"))
        assert town.all("SELECT details FROM audit.entry WHERE event = 'backup:made' ORDER BY id DESC LIMIT 1")[0]["details"] == {
            "backup": said.name, "bytes": said.bytes, "epoch": said.epoch, "versions": said.libraries,
        }  # fmt: skip

    def test_is_closed_to_others(self, made):
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (made, *made.rglob("*"))} == {0}

    def test_holds_neither_root_nor_keyring(self, made):
        root = (settings().keys / "root.key").read_bytes()
        wrapped = [bytes.fromhex(one["secret"]) for one in json.loads((settings().keys / "keyring.json").read_bytes())["versions"]]
        for path in _files(made):
            assert path.name not in {"root.key", "keyring.json"}
            content = path.read_bytes()
            assert not any(secret in content or secret.hex().encode() in content for secret in (root, *wrapped))

    def test_is_listed_by_the_command_line(self, made):
        ended = CliRunner().invoke(app, ["backup", "list", "--json"])
        assert [one["name"] for one in json.loads(ended.stdout)] == [made.name]

    def test_of_many_only_the_newest_are_kept_and_the_rest_recorded_as_removed(self, made, town):
        newer = [backup.create(by="test").name for _ in range(2)]
        backup.create(by="test", keep=2)
        assert len(names()) == 2
        assert names()[1] == newer[1]
        removed = town.all("SELECT details ->> 'backup' AS name FROM audit.entry WHERE event = 'backup:removed' ORDER BY id DESC LIMIT 2")
        assert {one["name"] for one in removed} == {made.name, newer[0]}

    def test_keeping_none_is_a_mistake(self, town):
        with pytest.raises(Mistake, match="--keep 0"):
            backup.create(by="test", keep=0)


@pytest.fixture(scope="module")
def original() -> Iterator[Path]:
    """Where the first backup of this file of tests is kept, once there is one."""
    folder = Path(tempfile.mkdtemp(prefix="hub-backup-original-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def copied(town, original) -> Path:
    """The folder of a backup in HUB_BACKUPS to be damaged: a copy, for making one takes seconds."""
    if not any(original.iterdir()):
        backup.create(by="test", to=original)
    settings().backups.mkdir(mode=0o700)
    found = backup.listed(original)[0]
    subprocess.run(["cp", "-a", str(original / found.name), str(settings().backups)], check=True)
    return settings().backups / found.name


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _largest(folder: Path) -> Path:
    return max(_files(folder), key=lambda path: path.stat().st_size)


class TestADamagedBackup:
    def test_is_refused_by_the_name_of_the_file(self, copied):
        damaged = _largest(copied / "data" / "base")
        _flip(damaged, damaged.stat().st_size // 2)
        with pytest.raises(Refused, match=f"{damaged.relative_to(copied / 'data')} has other content"):
            backup.verify(copied)

    def test_lacks_a_file(self, copied):
        lost = copied / "data" / "global" / "pg_filenode.map"
        lost.unlink()
        with pytest.raises(Refused, match=r"global/pg_filenode\.map is missing"):
            backup.verify(copied)

    def test_has_a_file_cut_off(self, copied):
        cut = copied / "data" / "global" / "pg_control"
        os.truncate(cut, 100)
        with pytest.raises(Refused, match="global/pg_control has 100 bytes instead of 8192"):
            backup.verify(copied)

    def test_has_a_file_too_many(self, copied):
        (copied / "data" / "base" / "extra").write_text("x")
        with pytest.raises(Refused, match="base/extra does not belong to it"):
            backup.verify(copied)

    def test_has_a_broken_log(self, copied):
        log = next(path for path in (copied / "data" / "pg_wal").iterdir() if path.is_file())
        log.write_bytes(bytes(log.stat().st_size))
        with pytest.raises(Refused, match="log cannot be read"):
            backup.verify(copied)

    def test_has_a_manifest_that_was_changed(self, copied):
        _flip(copied / "data" / "backup_manifest", 200)
        with pytest.raises(Refused, match="backup_manifest is not what it was"):
            backup.verify(copied)

    def test_has_a_manifest_that_was_exchanged(self, copied):
        other = backup.located(backup.create(by="test").name)
        shutil.rmtree(copied / "data")
        shutil.copytree(other / "data", copied / "data")
        with pytest.raises(Refused, match="not the one it was made with"):
            backup.verify(copied)

    def test_is_named_beside_the_sound_ones(self, copied):
        sound = backup.create(by="test").name
        (copied / "data" / "PG_VERSION").unlink()
        ended = CliRunner().invoke(app, ["backup", "verify"])
        assert f"sound: {sound}" in ended.stdout
        assert copied.name in str(ended.exception)


class TestKilledHalfWay:
    def test_nothing_is_left_that_looks_like_a_backup_and_the_next_one_is_whole(self, town, run):
        for moment in (0.0, 0.2, 0.6):
            killed = run("from hub.flows import backup; backup.create(by='test')")
            deadline = time.monotonic() + 60
            while not list(settings().backups.glob(".partial-*")) and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(moment)
            killed.kill()
            assert killed.wait() == -signal.SIGKILL
            killed.communicate()
            assert names() == []

        made = _as_soon_as_its_program_has_ended()

        assert names() == [made.name]
        assert not list(settings().backups.glob(".partial-*"))
        assert backup.verify(backup.located(made.name)) == made

    def test_a_second_call_waits_for_nobody(self, town):
        with backup._alone(settings().backups), pytest.raises(Unavailable, match="another backup"):
            backup.create(by="test")


def _as_soon_as_its_program_has_ended() -> backup.Backup:
    """A killed call's pg_basebackup lives on for a moment and holds the lock."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return backup.create(by="test")
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class TestKeysAreKeptApart:
    def test_a_copy_of_the_keyring_is_private_and_has_no_root(self, town, tmp_path):
        copied = key_copies.copy_keyring(tmp_path / "copy.json", by="test")
        assert copied == 4
        assert stat.S_IMODE((tmp_path / "copy.json").stat().st_mode) == 0o600
        assert (tmp_path / "copy.json").read_bytes() == (settings().keys / "keyring.json").read_bytes()

    def test_it_is_not_put_beside_a_backup(self, town, tmp_path):
        backup.create(by="test", to=tmp_path / "backups")
        with pytest.raises(Refused, match="backups of the database lie in"):
            key_copies.copy_keyring(tmp_path / "backups" / "copy.json", by="test")

    def test_a_backup_is_not_put_beside_it(self, town, tmp_path):
        key_copies.copy_keyring(tmp_path / "copy.json", by="test")
        with pytest.raises(Refused, match=r"holds keys \(copy.json\)"):
            backup.create(by="test", to=tmp_path)

    def test_it_is_not_put_beside_a_root(self, town, tmp_path):
        shutil.copy(settings().keys / "root.key", tmp_path / "renamed.key")
        with pytest.raises(Refused, match="a root key lies in"):
            key_copies.copy_keyring(tmp_path / "copy.json", by="test")

    @pytest.mark.parametrize("place", ["keys", "state", "backups"])
    def test_it_is_not_put_where_the_hub_keeps_its_own(self, town, place):
        with pytest.raises(Refused, match="lies inside HUB_"):
            key_copies.copy_keyring(getattr(settings(), place) / "copy.json", by="test")

    def test_a_backup_is_not_put_among_the_keys(self, town):
        with pytest.raises(Refused, match="would lie with the keys"):
            backup.create(by="test", to=settings().keys / "backups")

    def test_an_older_copy_is_not_overwritten(self, town, tmp_path):
        key_copies.copy_keyring(tmp_path / "copy.json", by="test")
        with pytest.raises(Refused, match="exists already"):
            key_copies.copy_keyring(tmp_path / "copy.json", by="test")


class TestTheRoleOfBackups:
    def test_is_no_superuser_and_may_connect_to_no_database(self, town):
        role = town.all(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles WHERE rolname = 'hub_backup'"
        )
        assert role == [{"rolsuper": False, "rolcreaterole": False, "rolcreatedb": False, "rolbypassrls": False, "rolreplication": True}]
        for database in ("hub", "airflow", "postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(replication_login("hub_backup"), dbname=database, password=password("hub_backup"))

    def test_alone_may_copy(self, town):
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry for replication"):
            psycopg.connect(replication_login("hub_writer"), replication="true", password=password("hub_writer"))


class TestAServerOfOnesOwn:
    @pytest.fixture
    def own(self, town, monkeypatch):
        """This hub's server, reached as another's would be: by its URL."""
        monkeypatch.setenv("HUB_DATABASE_URL", f"postgresql://hub_owner@/hub?host={embedded.status().socket}")
        forget_settings()
        yield town
        monkeypatch.undo()
        forget_settings()

    def test_is_copied_by_its_url(self, own):
        made = backup.create(by="test")
        assert backup.verify(backup.located(made.name)) == made

    def test_that_gives_no_right_is_refused_with_the_remedy(self, own):
        login = settings().secrets / "hub_backup"
        kept = login.read_text()
        login.unlink()
        try:
            with pytest.raises(Refused, match="hub db roles --backup") as caught:
                backup.create(by="test")
        finally:
            login.write_text(kept)
            login.chmod(0o600)
        assert "hub recover" in str(caught.value)

    def test_is_not_replaced_by_the_hub(self, own):
        name = backup.create(by="test").name
        with pytest.raises(Refused, match="server of your own"):
            restore.restore(name, by="test", replace=True)
