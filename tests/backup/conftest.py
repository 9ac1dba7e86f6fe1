"""A hub of its own for these tests: its database is replaced, its keys are changed, its programs are killed."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.database import embedded, migrations
from hub.database.engine import engine
from hub.flows import backup, keys
from hub.settings import REPOSITORY, settings
from schemas.declarations import declarations
from tests.flows.conftest import Town, settle


def forget_settings() -> None:
    settings.cache_clear()
    declarations.cache_clear()
    keys.keyring.cache_clear()


@pytest.fixture(scope="module")
def hub(hub_state: Path) -> Iterator[Path]:
    """The state folder of a hub of one file of tests, its database up; outside of it a second place of checkpoints."""
    place = Path(tempfile.mkdtemp(prefix="hub-backup-"))
    (place / "second").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUB_STATE", str(place / "state"))
        patch.setenv("HUB_KEYS", str(place / "keys"))
        patch.setenv("HUB_BACKUPS", str(place / "backups"))
        patch.setenv("HUB_CHECKPOINTS", str(place / "second"))
        forget_settings()
        embedded.up()
        migrations.upgrade()
        yield place / "state"
        embedded.down(at_once=True)
    forget_settings()
    shutil.rmtree(place)


@pytest.fixture
def make_town(hub: Path, tmp_path: Path) -> Iterator[Callable[..., Town]]:
    """Return a maker of the town in this hub: no batch, no version, no backup, no checkpoint of an earlier test."""
    with pytest.MonkeyPatch.context() as patch:

        def make(*, mode: str = "full") -> Town:
            (settings().checkpoints / "checkpoint.json").unlink(missing_ok=True)
            shutil.rmtree(settings().backups, ignore_errors=True)
            town = settle(tmp_path, patch, mode=mode)
            with engine("hub_owner").begin() as connection:
                connection.execute(sa.text("DELETE FROM hub.restoration"))
                connection.execute(sa.text("DELETE FROM hub.library_epoch"))
            return town

        yield make
    forget_settings()


@pytest.fixture
def town(make_town: Callable[..., Town]) -> Town:
    return make_town()


@pytest.fixture
def run(hub: Path) -> Callable[[str], "subprocess.Popen[str]"]:
    """Return a starter of Python code in a process that may be killed."""

    def start(code: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.Popen(
            [sys.executable, "-c", code], env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


def names() -> list[str]:
    return [one.name for one in backup.listed()]
