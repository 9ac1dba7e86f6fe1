"""The replica is read first, if it is near enough; the primary only where that is declared."""

from urllib.parse import quote

import psycopg
import pytest

from connectors.protocol import Place, Window
from connectors.registry import open_connector
from hub.database.place import Place as ServerPlace
from hub.database.programs import run_as_server
from hub.errors import Unavailable
from schemas.source import Replica

AWAY = "postgresql://reader@127.0.0.1:1/nowhere"


class Pair:
    """A primary and its streaming replica, both of the embedded PostgreSQL's binaries."""

    def __init__(self, place) -> None:
        self.place = place
        self.folder = place.folder / "pair"
        self.folder.mkdir()
        place.take_over(self.folder)
        self._run("initdb", f"--pgdata={self.folder / 'primary'}", "--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8")
        self._start("primary")
        self._run(
            "pg_basebackup", "-D", str(self.folder / "replica"), "-R", "-h", str(self.folder), "-p", "5001", "-U", "postgres", "-c", "fast"
        )
        self._start("replica")

    def _run(self, program, *arguments):
        run_as_server(self.place, program, *arguments)

    def _start(self, name):
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c port={self.port(name)}"
        self._run("pg_ctl", "start", "-w", "-D", str(self.folder / name), "-l", str(self.folder / f"{name}.log"), "-o", options)

    def stop(self, name):
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", str(self.folder / name))

    def port(self, name):
        return {"primary": 5001, "replica": 5002}[name]

    def url(self, name):
        return f"postgresql://postgres@/postgres?host={quote(str(self.folder))}&port={self.port(name)}"

    def run(self, name, statement):
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            result = connection.execute(statement)
            return result.fetchall() if result.description else []


@pytest.fixture(scope="module")
def pair(hub_state):
    place = ServerPlace.of_settings()
    place.prepare()
    made = Pair(place)
    yield made
    for name in ("replica", "primary"):
        made.stop(name)


@pytest.fixture
def behind(pair):
    """Stop the replica's replay, and change the primary."""
    pair.run("primary", "CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS id")
    _wait(lambda: pair.run("replica", "SELECT to_regclass('t') IS NOT NULL")[0][0])
    pair.run("replica", "SELECT pg_wal_replay_pause()")
    pair.run("primary", "INSERT INTO t VALUES (2)")
    _wait(lambda: pair.run("replica", "SELECT clock_timestamp() - pg_last_xact_replay_timestamp() > interval '1.1 s'")[0][0])
    yield pair
    pair.run("replica", "SELECT pg_wal_replay_resume()")


def _wait(for_what):
    import time

    for _ in range(200):
        if for_what():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


def read(source, replica, place, password=None):
    with open_connector(source.model_copy(update={"replica": Replica(**replica)}), place, password=password) as session:
        return session.seconds_behind(), session.count(Window())


def test_the_replica_is_read_not_the_primary(behind, source):
    declared = source("postgres", url=behind.url("primary"))
    lag, rows = read(declared, {"url": behind.url("replica"), "lag_seconds": 600}, Place(table="t"))
    assert lag > 1
    assert rows == behind.run("replica", "SELECT count(*) FROM t")[0][0] < behind.run("primary", "SELECT count(*) FROM t")[0][0]


def test_a_replica_too_far_behind_is_refused(behind, source):
    with pytest.raises(Unavailable, match=r"behind, more than 1 s"):
        read(source("postgres", url=behind.url("primary")), {"url": behind.url("replica"), "lag_seconds": 1}, Place(table="t"))


def test_the_primary_takes_its_place_where_that_is_declared(behind, source):
    declared = source("postgres", url=behind.url("primary"))
    lag, rows = read(declared, {"url": behind.url("replica"), "lag_seconds": 1, "else_primary": True}, Place(table="t"))
    assert lag is None
    assert rows == behind.run("primary", "SELECT count(*) FROM t")[0][0]


def test_a_replica_of_a_primary_at_rest_is_not_behind(pair, source):
    pair.run("primary", "CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS id")
    _wait(lambda: pair.run("replica", "SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND to_regclass('t') IS NOT NULL")[0][0])
    assert read(source("postgres", url=pair.url("primary")), {"url": pair.url("replica"), "lag_seconds": 0}, Place(table="t"))[0] == 0


@pytest.mark.parametrize("else_primary", [False, True])
def test_a_replica_that_is_away(postgres, else_primary):
    postgres.run("CREATE TABLE t AS SELECT 1 AS id")
    replica = {"url": AWAY, "else_primary": else_primary}
    if else_primary:
        assert read(postgres.source(), replica, Place(table="t"), postgres.password) == (None, 1)
    else:
        with pytest.raises(Unavailable):
            read(postgres.source(), replica, Place(table="t"), postgres.password)


def test_what_goes_wrong_while_reading_is_not_tried_at_the_primary(postgres):
    """A second pass would be another snapshot."""
    postgres.run("CREATE TABLE t AS SELECT 1 AS id")
    declared = postgres.source().model_copy(update={"replica": Replica(url=postgres.source().url, else_primary=True)})
    with pytest.raises(Unavailable, match="own"), open_connector(declared, Place(table="t"), password=postgres.password):
        raise Unavailable("the caller's own", remedy="none")


@pytest.mark.services
def test_a_replica_of_mariadb_that_does_not_follow_is_refused(mariadb):
    """The server at hand is told of a primary that is away, and never connects to it."""
    mariadb.run("CREATE TABLE t (id int)", f"GRANT SLAVE MONITOR ON *.* TO {mariadb.name}@'%'")
    source, name = mariadb.source(), mariadb.name
    assert read(source, {"url": source.url}, Place(table="t"), mariadb.password) == (None, 0)
    try:
        mariadb.run(f"CHANGE MASTER '{name}' TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'nobody'")
        with pytest.raises(Unavailable, match="not following its primary"):
            read(source, {"url": source.url}, Place(table="t"), mariadb.password)
    finally:
        mariadb.run(f"RESET SLAVE '{name}' ALL")
