"""What tests of every area share: one real hub database per test process."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.settings import settings


@pytest.fixture(scope="session")
def hub_state() -> Iterator[Path]:
    """A state folder and a key folder of this test process, set before settings are read, removed at the end.

    Not pytest's own temporary folder: the next run of pytest closes that one again to the system user
    that PostgreSQL needs when root runs the tests.
    """
    state = Path(tempfile.mkdtemp(prefix="hub-state-"))
    keys = Path(tempfile.mkdtemp(prefix="hub-keys-"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HUB_") and name != "HUB_REQUIRE_SERVICES"]:
            patch.delenv(name)
        patch.setenv("HUB_STATE", str(state))
        patch.setenv("HUB_KEYS", str(keys))
        settings.cache_clear()
        yield state
    settings.cache_clear()
    shutil.rmtree(state)
    shutil.rmtree(keys)


@pytest.fixture(scope="session")
def hub_database(hub_state: Path) -> Iterator[Path]:
    """The embedded server, up, with its roles and the hub's own tables. Returns the state folder."""
    from hub.database import embedded, migrations

    embedded.up()
    migrations.upgrade()
    yield hub_state
    embedded.down(at_once=True)
