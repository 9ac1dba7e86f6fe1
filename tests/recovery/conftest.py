"""A driver whose runs can be killed, and what a library says apart from numbers that differ from run to run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.database.engine import engine
from hub.settings import REPOSITORY, settings
from libraries.changes import changes
from libraries.layout import layout_of
from schemas.declarations import declarations
from tests.flows.conftest import Town, settle

UNAVAILABLE = 3


@dataclass(frozen=True)
class Ended:
    """How a run ended: by which signal, or with which exit code; the steps it took if it lived to tell."""

    signal: int
    code: int | None = None
    said: str = ""
    steps: list[str] = field(default_factory=list)


class Driver:
    """Runs jobs in processes that can be killed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, what: str, name: object, **options: object) -> int:
        """Start a run and return its process number."""
        return int(self._order(order="start", what=what, name=str(name), **options)["pid"])

    def end(self, pid: int) -> Ended:
        """Wait for the end of a run."""
        return Ended(**self._order(order="end", pid=pid))

    def run(self, what: str, name: object, **options: object) -> Ended:
        """Run a job to its end, whatever the end."""
        return self.end(self.start(what, name, **options))

    def again(self, what: str, name: object) -> Ended:
        """Run a job after a kill: its lock may be held for the moment that the server needs to notice."""
        deadline = time.monotonic() + 30
        while (ended := self.run(what, name)).code == UNAVAILABLE and time.monotonic() < deadline:
            time.sleep(0.1)
        return ended

    def _order(self, **order: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the town's declarations, the same for all tests of a file: the driver reads it."""
    return tmp_path_factory.mktemp("town")


@pytest.fixture(scope="module")
def driver(hub_database: Path, home: Path) -> Iterator[Driver]:
    """The driver, warm."""
    environment = {**os.environ, "HUB_HOME": str(home), "GX_ANALYTICS_ENABLED": "false", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).parent / "driver.py")]
    environment["PYTHONPATH"] = str(REPOSITORY)
    with subprocess.Popen(
        command, env=environment, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield Driver(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)


@pytest.fixture
def fresh(driver: Driver, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Town]]:
    """Return a maker of the town in *home*, its database empty; rows are read two at a time."""

    def make(mode: str) -> Town:
        for folder in ("schemas", "connectors", "catalog"):
            _remove(home / folder)
        town = settle(home, monkeypatch, mode=mode)
        source = home / "connectors" / "sources" / "police.yaml"
        source.write_text(source.read_text(encoding="utf-8") + "fetch_rows: 2\n", encoding="utf-8")
        return town

    yield make
    settings.cache_clear()
    declarations.cache_clear()


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():
        path.rmdir() if path.is_dir() else path.unlink()
    if folder.exists():
        folder.rmdir()


def told(town: Town) -> dict[str, object]:
    """Return all that the hub holds of the register, without random subjects, batch numbers and times."""
    with engine("hub_owner").connect() as connection:
        layout = layout_of(declarations(), "population.person")
        table = layout.table("register")
        columns = ", ".join(f"t.{name}" for name, _ in table.stored if name != "subject")
        spine = "JOIN population.person__key k ON k.subject = t.subject AND k.current"

        def rows(query: str) -> list[tuple[object, ...]]:
            return sorted((tuple(map(_plain, row)) for row in connection.execute(sa.text(query))), key=repr)

        newest = max(version for (version,) in connection.execute(sa.text("SELECT version FROM hub.library_version")))
        feed = changes(connection, layout, after=1, until=newest)
        return {
            "now": rows(f"SELECT k.key, {columns} FROM population.person__register t {spine}"),
            "history": rows(f"SELECT k.key, {columns}, t.until FROM population.person__register__history t {spine}"),
            "spine": rows("SELECT key, sealed, current, since FROM population.person__key"),
            "view": rows("SELECT full_name, sex_code, birth_year, phone FROM population.person"),
            "feed": rows(f"SELECT change, full_name, sex_code, birth_year, phone FROM ({feed}) f"),
            "versions": rows("SELECT library, version, cause FROM hub.library_version"),
            "watermark": rows("SELECT dataset, cursor, protection FROM hub.watermark"),
            "open": rows("SELECT dataset, position, row_key, checks FROM hub.quarantine WHERE closed_by IS NULL"),
            "unfinished": rows("SELECT id FROM hub.batch WHERE state IN ('planned', 'staged')"),
            "published": rows(
                "SELECT counts -> 'versions', counts -> 'entities', counts -> 'read', source_checksum, target_checksum "
                "FROM hub.batch WHERE state = 'published'"
            ),
            "proved": rows(
                "SELECT count(*) FROM audit.entry JOIN hub.batch b ON b.id = CAST(details ->> 'batch' AS bigint) WHERE event = 'batch:published'"
            ),
            "staging": rows("SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relkind = 'r'"),
        }


def _plain(value: object) -> object:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value
