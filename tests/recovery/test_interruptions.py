"""What is taken away from a run while it runs: one clear message with its remedy, nothing published; given back, it goes on cleanly."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pymysql
import pytest
from psycopg.conninfo import make_conninfo

from hub.database import embedded
from hub.database.passwords import password
from hub.database.place import Place
from tests.flows.conftest import Row, Town
from tests.recovery.conftest import UNAVAILABLE, Driver, Ended, at_rest, told
from tests.recovery.days import days
from tests.recovery.departments import Department

pytestmark = pytest.mark.xdist_group("recovery")

FIRST, SECOND = days(2, seed=7)
SEEN = ("now", "history", "spine", "feed", "versions", "watermark")  # what readers see, and where the library stands


class Days:
    """A register of two days: the first is loaded, the second waits at its source. ``whole`` is what peace would make of it."""

    whole: dict[str, object]

    def __init__(self, driver: Driver, town: Town, fill: Callable[[list[Row]], None]) -> None:
        self.town, self.driver = town, driver
        fill(FIRST)
        assert driver.run("sync", "register").code == 0
        self.first = told(town)
        fill(SECOND)

    def goes_on(self, what: str = "sync", name: object = "register") -> None:
        """Run again; the hub must hold what it would hold if nothing had happened."""
        ended = self.driver.again(what, name)
        assert ended.code == 0, ended.said
        assert told(self.town, since=self._first_batch()) == self.whole
        assert at_rest() == []

    def _first_batch(self) -> int:
        return int(str(self.town.all("SELECT min(id) AS id FROM hub.batch WHERE state = 'published'")[0]["id"]))

    def refused(self, ended: Ended, *words: str, code: int = UNAVAILABLE) -> None:
        """The run said in the hub's words what happened and what to do; nothing of the second day is seen."""
        assert (ended.signal, ended.code) == (0, code), ended.said
        assert "What to do:" in ended.said
        assert [word for word in words if word not in ended.said] == [], ended.said
        now = told(self.town)
        assert {name: now[name] for name in SEEN} == {name: self.first[name] for name in SEEN}


@pytest.fixture(scope="module")
def in_peace() -> dict[str, dict[str, object]]:
    """What the hub tells of the second day when nothing comes between, by kind of source; filled at its first use."""
    return {}


@pytest.fixture
def two_days(fresh: Callable[..., Town], driver: Driver, in_peace: dict[str, dict[str, object]]) -> Callable[..., Days]:
    """Return a maker of the two days, at a department or in the town's own file."""

    def make(department: Department | None = None, *, csv: bool = False) -> Days:
        def begin() -> Days:
            town = fresh("incremental, cursor: changed", department)
            if csv:
                _read_a_csv_file(town)
            fill = department.fill if department else (lambda rows: _write(town, rows)) if csv else (lambda rows: town.fill("police", rows))
            return Days(driver, town, fill)

        kind = department.connector if department else "csv" if csv else "sqlite"
        if kind not in in_peace:
            peaceful = begin()
            assert driver.run("sync", "register").code == 0
            in_peace[kind] = told(peaceful.town, since=peaceful._first_batch())
        made = begin()
        made.whole = in_peace[kind]
        return made

    return make


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file whose presence keeps a run waiting."""
    return tmp_path / "waits"


def restart() -> None:
    embedded.down(at_once=True)
    embedded.up()


LONG = pytest.mark.campaign


@pytest.mark.parametrize(
    "step",
    [
        "adbc_ingest b",
        pytest.param("read", marks=LONG),
        pytest.param('SELECT count(*) FROM "staging"', marks=LONG),
        pytest.param("UPDATE hub.batch SET state", marks=LONG),
    ],
)
def test_a_server_restarted_while_a_job_reads_is_told_and_the_job_goes_on(
    two_days: Callable[..., Days], driver: Driver, gate: Path, step: str
) -> None:
    register = two_days()
    with driver.waiting(gate, "stage", "register", wait_for=step) as run:
        restart()

    register.refused(driver.end(run), "database")
    register.goes_on()


@pytest.mark.parametrize(
    "step",
    [
        'INSERT INTO "population"."person__register"',
        pytest.param("SELECT to_regclass", marks=LONG),
        pytest.param('DROP TABLE "staging"', marks=LONG),
    ],
)
def test_a_server_restarted_while_a_job_publishes_is_told_and_the_job_goes_on(
    two_days: Callable[..., Days], driver: Driver, gate: Path, step: str
) -> None:
    register = two_days()
    batch = driver.run("stage", "register").said
    with driver.waiting(gate, "publish", batch, wait_for=step) as run:
        restart()

    register.refused(driver.end(run), "database")
    register.goes_on("publish", batch)


def test_a_run_whose_lock_went_with_the_server_gives_way_to_the_run_that_took_its_place(
    two_days: Callable[..., Days], driver: Driver, gate: Path
) -> None:
    register = two_days()
    batch = driver.run("stage", "register").said
    with driver.waiting(gate, "publish", batch, wait_for="COMMIT", nth=2) as run:  # between looking at the batch and publishing it
        restart()
        register.goes_on()

    ended = driver.end(run)

    assert (ended.code, "What to do:" in ended.said) == (UNAVAILABLE, True)
    register.goes_on("publish", register.town.all("SELECT max(id) AS id FROM hub.batch")[0]["id"])


@pytest.mark.campaign
@pytest.mark.services
def test_a_source_cut_while_it_is_read_is_told_and_the_job_goes_on(
    two_days: Callable[..., Days], driver: Driver, gate: Path, department: Department
) -> None:
    register = two_days(department)
    department.swell(60_000)
    source = register.town.home / "connectors" / "sources" / "police.yaml"
    source.write_text(source.read_text(encoding="utf-8").replace("fetch_rows: 2", "fetch_rows: 5000"), encoding="utf-8")
    with driver.waiting(gate, "sync", "register", wait_for="read", nth=5) as run:
        for session in department.readers():
            department.cut(session)

    register.refused(driver.end(run), "police")
    department.fill(SECOND)
    register.goes_on()


@pytest.mark.campaign
@pytest.mark.services
def test_a_table_emptied_and_refilled_while_it_is_read_is_read_as_it_was(
    two_days: Callable[..., Days], driver: Driver, gate: Path, department: Department
) -> None:
    register = two_days(department)
    with driver.waiting(gate, "sync", "register", wait_for="read", nth=3) as run:
        with pytest.raises((psycopg.errors.LockNotAvailable, pymysql.err.OperationalError)):
            department.truncate()
        department.fill(FIRST[:3])

    assert driver.end(run).code == 0
    assert told(register.town, since=register._first_batch()) == register.whole


@pytest.mark.campaign
def test_a_file_rewritten_while_it_is_read_is_told_and_the_job_goes_on(two_days: Callable[..., Days], driver: Driver, gate: Path) -> None:
    register = two_days(csv=True)
    with driver.waiting(gate, "sync", "register", wait_for="adbc_ingest") as run:
        _write(register.town, SECOND[:4])

    register.refused(driver.end(run), "changed while it was read", code=1)
    _write(register.town, SECOND)
    register.goes_on()


@pytest.mark.campaign
def test_a_file_that_vanishes_while_it_is_read_is_read_to_its_end(two_days: Callable[..., Days], driver: Driver, gate: Path) -> None:
    register = two_days(csv=True)
    with driver.waiting(gate, "sync", "register", wait_for="adbc_ingest") as run:
        (register.town.home / "register.csv").unlink()

    assert driver.end(run).code == 0
    assert told(register.town, since=register._first_batch()) == register.whole
    ended = driver.run("sync", "register")
    assert (ended.code, "is not there" in ended.said) == (UNAVAILABLE, True)


def _read_a_csv_file(town: Town) -> None:
    contract = town.home / "schemas" / "contracts" / "police" / "register.yaml"
    contract.write_text(contract.read_text(encoding="utf-8").replace("table: register", "file: register.csv"), encoding="utf-8")
    source = town.home / "connectors" / "sources" / "police.yaml"
    lines = ("source: police", "department: police", "title: {zh: 库, en: Store}", "connector: csv", f"path: {town.home}", "fetch_rows: 2")
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write(town: Town, rows: list[Row]) -> None:
    head = ("record", "citizen_no", "full_name", "sex", "born", "phone", "changed")
    text = "".join(",".join(value or "" for value in row) + "\n" for row in (head, *rows))
    (town.home / "register.csv").write_text(text, encoding="utf-8")


class SmallDisk:
    """A disk of a few megabytes on which the hub's server keeps some tables."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._ballast = folder, folder / "ballast"

    def fill(self) -> None:
        """Leave no room on it."""
        with self._ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Make room on it."""
        self._ballast.unlink()


def administer(*statements: str, database: str = "hub") -> None:
    login = make_conninfo(host=str(embedded.status().socket), user="postgres", password=password("postgres"), dbname=database)
    with psycopg.connect(login, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def small_disk(hub_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """A small disk as a tablespace of the hub's server; only root may mount one."""
    folder, place = hub_database / "small", Place.of_settings()
    folder.mkdir()
    options = f"size=3m,mode=0700,uid={os.getuid() if place.user is None else place.user}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("a small disk can be mounted by root alone")
    try:
        administer(f"CREATE TABLESPACE small LOCATION '{folder}'", "GRANT CREATE ON TABLESPACE small TO hub_writer")
        yield SmallDisk(folder)
        administer(
            "ALTER ROLE hub_writer RESET default_tablespace",
            "ALTER TABLE ALL IN TABLESPACE small SET TABLESPACE pg_default",
            "DROP TABLESPACE small",
        )
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


@pytest.mark.campaign
def test_a_disk_that_is_full_while_a_job_reads_is_told_and_the_job_goes_on(
    two_days: Callable[..., Days], driver: Driver, small_disk: SmallDisk
) -> None:
    register = two_days()
    administer("ALTER ROLE hub_writer SET default_tablespace = small")
    small_disk.fill()

    register.refused(driver.run("sync", "register"), "the disk of the hub's database is full", "53100", "磁盘")
    small_disk.free()
    register.goes_on()


def test_a_disk_that_is_full_while_a_job_publishes_is_told_and_the_job_goes_on(
    two_days: Callable[..., Days], driver: Driver, small_disk: SmallDisk
) -> None:
    register = two_days()
    batch = driver.run("stage", "register").said
    administer("ALTER TABLE population.person__register__history SET TABLESPACE small")
    small_disk.fill()

    register.refused(driver.run("publish", batch), "the disk of the hub's database is full", "53100", "磁盘")
    small_disk.free()
    register.goes_on("publish", batch)


@pytest.mark.campaign
def test_a_full_disk_of_the_hubs_own_files_is_told_and_the_job_goes_on(two_days: Callable[..., Days], driver: Driver) -> None:
    register = two_days()

    register.refused(driver.run("sync", "register", largest_file=8192), "the page of batch", "质检报告")
    register.goes_on()


def test_a_clock_set_back_is_told_before_anything_is_read_and_the_job_goes_on(two_days: Callable[..., Days], driver: Driver) -> None:
    register = two_days()
    before = register.town.all("SELECT count(*) FROM hub.batch")
    register.town.change("UPDATE hub.batch SET started_at = started_at + interval '1 hour', ended_at = ended_at + interval '1 hour'")

    register.refused(driver.run("sync", "register"), "was set back", "时钟被回拨", "NTP")
    assert register.town.all("SELECT count(*) FROM hub.batch") == before
    register.town.change("UPDATE hub.batch SET started_at = started_at - interval '1 hour', ended_at = ended_at - interval '1 hour'")
    register.goes_on()
