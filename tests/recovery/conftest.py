"""A driver whose runs can be killed, and what a library says apart from numbers that differ from run to run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.database.engine import engine
from hub.flows import checkpoints
from hub.flows.checkpoint_files import read_all
from hub.settings import REPOSITORY, settings
from libraries.changes import changes
from libraries.layout import layout_of
from schemas.declarations import declarations
from tests.flows.conftest import Town, settle
from tests.recovery.days import person
from tests.recovery.departments import Department, Mariadb, Postgres, opened

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
        self.warm = False

    def warm_up(self, name: str) -> None:
        """Run a job once in the driver itself: what is loaded at first use is loaded for all later runs."""
        self._order(order="warm", name=name)
        self.warm = True

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
        while (ended := self.run(what, name)).code == UNAVAILABLE and "running already" in ended.said and time.monotonic() < deadline:
            time.sleep(0.1)
        return ended

    @contextmanager
    def waiting(self, file: Path, what: str, name: object, **where: object) -> Iterator[int]:
        """Start a run and give its process number when it waits at a step; it goes on when the context ends."""
        pid = self.start(what, name, file=str(file), **where)
        deadline = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < deadline, f"it never came to {where}"
            time.sleep(0.01)
        try:
            yield pid
        finally:
            file.unlink()

    def killed_after(self, seconds: float, what: str, name: object) -> Ended:
        """Run a job and kill it from outside after so many seconds, wherever it is; it may have ended by itself."""
        pid = self.start(what, name)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        return self.end(pid)

    def _order(self, **order: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the town's declarations, always the same: the driver reads it."""
    return tmp_path_factory.mktemp("town")


@pytest.fixture(scope="session")
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
def fresh(driver: Driver, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Town]]:
    """Return a maker of the town in *home*, its database empty; rows are read two at a time, from *department* or from a file."""

    def settled(mode: str) -> Town:
        for folder in ("schemas", "connectors", "catalog"):
            _remove(home / folder)
        return settle(home, monkeypatch, mode=mode)

    def make(mode: str, department: Department | None = None) -> Town:
        if not driver.warm:
            settled("full").fill("police", [person(1)])
            driver.warm_up("register")
        town = settled(mode)
        source = home / "connectors" / "sources" / "police.yaml"
        text = department.declared() if department else source.read_text(encoding="utf-8")
        source.write_text(text + "fetch_rows: 2\n", encoding="utf-8")
        return town

    yield make
    settings.cache_clear()
    declarations.cache_clear()


@pytest.fixture(params=[Postgres, Mariadb], ids=["postgres", "mariadb"])
def department(request: pytest.FixtureRequest, hub_state: Path) -> Iterator[Department]:
    """A department whose register lies on a real server."""
    made = opened(request.param)
    yield made
    made.close()


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():
        path.rmdir() if path.is_dir() else path.unlink()
    if folder.exists():
        folder.rmdir()


def told(town: Town, *, since: int = 0) -> dict[str, object]:
    """Return all that the hub holds of the register, without random subjects, batch numbers and times; of batches, those after *since*."""
    with engine("hub_owner").connect() as connection:
        layout = layout_of(declarations(), "population.person")
        table = layout.table("register")
        columns = ", ".join(f"t.{name}" for name, _ in table.stored if name != "subject")
        spine = "JOIN population.person__key k ON k.subject = t.subject AND k.current"
        published = f"SELECT id FROM hub.batch WHERE state = 'published' AND id > {since:d}"

        def rows(query: str) -> list[tuple[object, ...]]:
            return sorted((tuple(map(_plain, row)) for row in connection.execute(sa.text(query))), key=repr)

        newest = max((version for (version,) in connection.execute(sa.text("SELECT version FROM hub.library_version"))), default=0)
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
            "quarantined": rows(f"SELECT position, row_key, checks FROM hub.quarantine WHERE batch IN ({published})"),
            "unpublished": rows("SELECT q.row_key FROM hub.quarantine q JOIN hub.batch b ON b.id = q.batch WHERE b.state <> 'published'"),
            "unfinished": rows("SELECT id FROM hub.batch WHERE state IN ('planned', 'staged', 'held')"),
            "published": rows(
                "SELECT counts - '{seconds,staged}'::text[] - 'based_on', cursor_field, cursor_after, cursor_until, source_checksum, "
                f"target_checksum, gate FROM hub.batch WHERE id IN ({published})"
            ),
            "checked": rows(f"SELECT position, check_id, judged, failing FROM hub.batch_check WHERE batch IN ({published})"),
            "proved": rows(
                "SELECT event, details - 'batch' FROM audit.entry WHERE event IN ('batch:staged', 'batch:published') "
                f"AND CAST(details ->> 'batch' AS bigint) IN ({published})"
            ),
            "unexplained": rows(
                f"SELECT id FROM hub.batch b WHERE id > {since:d} AND state = 'discarded' AND (reason IS NULL OR 1 <> (SELECT count(*) "
                "FROM audit.entry WHERE event = 'batch:discarded' AND CAST(details ->> 'batch' AS bigint) = b.id))"
            ),
            "staging": rows("SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace"),
            "noted": [one.libraries == checkpoints.present(connection).libraries for one in read_all()],
        }


def at_rest() -> list[str]:
    """Return the sessions, transactions and locks of the hub's roles that a killed run left, if any are left after a moment."""
    query = sa.text(
        "SELECT concat_ws(' ', 'session', application_name, state, wait_event, now() - state_change) FROM pg_stat_activity WHERE usename LIKE 'hub%' "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend' UNION ALL "
        "SELECT 'advisory lock' FROM pg_locks WHERE locktype = 'advisory' UNION ALL SELECT 'prepared' FROM pg_prepared_xacts"
    )
    with engine("hub_owner").connect() as connection:
        deadline = time.monotonic() + 30
        while (left := list(connection.execute(query).scalars())) and time.monotonic() < deadline:
            time.sleep(0.02)
    return left


def last_batch(town: Town) -> int:
    """Return the number of the newest batch, 0 if there is none."""
    return int(str(town.all("SELECT coalesce(max(id), 0) AS id FROM hub.batch")[0]["id"]))


def _plain(value: object) -> object:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else repr(value) if isinstance(value, dict) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill of the campaign and the run after it: where it struck, and how long both took."""

    source: str
    mode: str
    phase: str
    step: str
    seconds: float


_KILLS = pytest.StashKey[list[Kill]]()


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[Kill], None]:
    """Return what counts a kill for the table that is printed at the end."""
    return request.config.stash.setdefault(_KILLS, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how many kills there were, by source, mode and phase."""
    kills = config.stash.get(_KILLS, [])
    if not kills:
        return
    groups = defaultdict[tuple[str, str, str], list[Kill]](list)
    for kill in kills:
        groups[kill.source, kill.mode, kill.phase].append(kill)
    terminalreporter.section("kills")
    line = "{:<10} {:<12} {:<18} {:>6} {:>11} {:>9}"
    terminalreporter.write_line(line.format("source", "mode", "killed while", "kills", "statements", "seconds"))
    for group, found in [*groups.items(), (("all", "", ""), kills)]:
        statements, seconds = len({kill.step for kill in found if kill.step}), sum(kill.seconds for kill in found)
        terminalreporter.write_line(line.format(*group, len(found), statements, f"{seconds:.0f}"))
