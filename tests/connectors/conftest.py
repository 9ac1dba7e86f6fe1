"""Real sources for the connectors: two database servers, and files."""

import json
import os
import sqlite3
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import psycopg
import pymysql
import pytest
from psycopg.conninfo import make_conninfo

from schemas.source import Source

MARIADB = {"host": os.environ.get("HUB_TEST_MARIADB_HOST", "127.0.0.1"), "port": 3306, "user": "root", "password": ""}
READER_PASSWORD = "p@ss/word:%1"  # what a URL would have to escape


def a_source(connector: str, **declared) -> Source:
    title = {"zh": "试验来源", "en": "test source"}
    return Source(source="tested", department="tested_department", title=title, connector=connector, **declared)


def open_descriptors(path: Path) -> int:
    """How many descriptors of this process are open on *path*."""
    folder, found = Path("/proc/self/fd"), 0
    for entry in folder.iterdir():
        try:
            found += entry.readlink() == path.resolve()
        except OSError:  # the descriptor that lists the folder
            continue
    return found


@pytest.fixture
def source():
    """Return the function that declares a source."""
    return a_source


@pytest.fixture
def descriptors():
    """Return the function that counts open descriptors."""
    return open_descriptors


class PostgresDepartment:
    """A department's own PostgreSQL database, with a reader who may do no more than read."""

    password = READER_PASSWORD

    def __init__(self, socket: Path, administrator_password: str, name: str) -> None:
        self.socket, self.name = socket, name
        self.administrator = make_conninfo(host=str(socket), user="postgres", password=administrator_password, dbname=name)

    def run(self, *statements: str) -> list[tuple]:
        with psycopg.connect(self.administrator, autocommit=True) as connection:
            results = [connection.execute(statement) for statement in statements]
            return results[-1].fetchall() if results[-1].description else []

    def insert(self, table: str, rows) -> None:
        with psycopg.connect(self.administrator) as connection, connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)

    def source(self, **declared) -> Source:
        return a_source("postgres", **{"url": f"postgresql://{self.name}_reader@/{self.name}?host={quote(str(self.socket))}", **declared})

    def sessions(self) -> int:
        return self.run(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{self.name}_reader'")[0][0]


@pytest.fixture(scope="session")
def postgres_server(hub_state):
    from hub.database import embedded
    from hub.database.passwords import password

    status = embedded.up()
    yield status.socket, password("postgres")
    embedded.down(at_once=True)


@pytest.fixture
def postgres(postgres_server):
    socket, password = postgres_server
    name = f"d{uuid.uuid4().hex[:12]}"
    login = make_conninfo(host=str(socket), user="postgres", password=password, dbname="postgres")
    with psycopg.connect(login, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"CREATE ROLE {name}_reader LOGIN PASSWORD '{READER_PASSWORD}'")
    department = PostgresDepartment(socket, password, name)
    department.run(f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {name}_reader")
    yield department
    with psycopg.connect(login, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.execute(f"DROP ROLE {name}_reader")


class MariadbDepartment:
    """A department's own MariaDB database, with a reader who may do no more than read."""

    password = READER_PASSWORD
    exists = False

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *statements: str) -> list[tuple]:
        with pymysql.connect(**MARIADB, charset="utf8mb4", autocommit=True) as connection, connection.cursor() as cursor:
            if self.exists:
                cursor.execute(f"USE {self.name}")
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def insert(self, table: str, rows) -> None:
        with (
            pymysql.connect(**MARIADB, database=self.name, charset="utf8mb4", autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)

    def source(self, **declared) -> Source:
        return a_source("mysql", **{"url": f"mysql://{self.name}@{MARIADB['host']}:{MARIADB['port']}/{self.name}", **declared})

    def sessions(self) -> int:
        return self.run(f"SELECT count(*) FROM information_schema.processlist WHERE user = '{self.name}'")[0][0]


@pytest.fixture(scope="session")
def mariadb_server():
    try:
        pymysql.connect(**MARIADB, connect_timeout=3).close()
    except pymysql.Error:
        reason = f"no MariaDB at {MARIADB['host']}:{MARIADB['port']} that lets root in without a password"
        if os.environ.get("HUB_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def mariadb(mariadb_server):
    department = MariadbDepartment(f"d{uuid.uuid4().hex[:12]}")
    department.run(
        f"CREATE DATABASE {department.name} CHARACTER SET utf8mb4",
        f"CREATE USER {department.name}@'%' IDENTIFIED BY '{READER_PASSWORD}'",
        f"GRANT SELECT ON {department.name}.* TO {department.name}@'%'",
    )
    department.exists = True
    yield department
    department.exists = False
    department.run(f"DROP DATABASE {department.name}", f"DROP USER {department.name}@'%'")


@pytest.fixture
def sqlite(tmp_path):
    """Return a function that makes a SQLite file of statements, and its path."""

    def made(*statements: str, name: str = "register.sqlite") -> Path:
        connection = sqlite3.connect(tmp_path / name)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return tmp_path / name

    return made


class Api:
    """A department's HTTP API on loopback. ``answer`` decides: it gets path, parameters and headers and gives status, headers, body."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], dict[str, str]]] = []
        self.open = 0
        self.answer = lambda path, parameters, headers: (404, {}, b"")
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self):
                api.open += 1
                try:
                    super().handle()
                finally:
                    api.open -= 1

            def reply(self):
                parts = urlsplit(self.path)
                parameters, headers = dict(parse_qsl(parts.query)), {name.lower(): value for name, value in self.headers.items()}
                api.asked.append((self.command, parts.path, parameters, headers))
                status, more, body = api.answer(parts.path, parameters, headers)
                body = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **more}.items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                if more.get("Content-Length", str(len(body))) != str(len(body)):
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = reply  # noqa: N815

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/open/v1"

    def pages(self, rows, **more):
        """Answer with *rows* by page number, ``size`` at a time."""

        def answer(_, parameters, __):
            page, size = int(parameters.get("page", 1)), int(parameters.get("size", 500))
            return 200, {}, {"data": {"rows": rows[(page - 1) * size : page * size]}, **more}

        self.answer = answer

    def source(self, api=None, **declared) -> Source:
        api = {
            "rows": "data.rows",
            "requests_per_second": 1000,
            "pages": {"style": "number", "parameter": "page", "size_parameter": "size"},
            **(api or {}),
        }
        return a_source("http", url=self.url, api=api, **declared)

    def held(self) -> int:
        """How many connections are open; one that was closed a moment ago is given time to be noticed."""
        for _ in range(100):
            if self.open == 0:
                return 0
            threading.Event().wait(0.01)
        return self.open

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def api():
    made = Api()
    yield made
    made.close()
