"""The town of the flows' tests, loaded once for every role to be tried on: what is refused leaves no trace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.settings import settings
from schemas.declarations import declarations
from tests.flows.conftest import Town, settle


@pytest.fixture(scope="module")
def filled(hub_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The town with a published register, a row in quarantine and two tables without a row."""
    sound = ("r1", "110101199003070011", "张三", "1", "1990-03-07", None, "2026-01-01 00:00:00")
    broken = ("r9", "310101198001010012", "赵六", "1", "1980-01-01", None, "2026-01-01 00:00:00")
    with pytest.MonkeyPatch.context() as patch:
        town = settle(tmp_path_factory.mktemp("town"), patch)
        town.fill("police", [sound, broken])
        town.sync("register")
        yield town
    settings.cache_clear()
    declarations.cache_clear()
