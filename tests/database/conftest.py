"""A server of one test, for tests that kill it or change its roles."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.database import embedded
from hub.settings import settings


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of one test, its server stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="hub-test-"))
    monkeypatch.setenv("HUB_STATE", str(folder))
    settings.cache_clear()
    yield folder
    embedded.down(at_once=True)
    settings.cache_clear()
    shutil.rmtree(folder)
