"""Departments whose register lies on a real database server, with a reader who may do no more than read."""

import os
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
import pymysql
import pytest

from hub.settings import settings
from tests.flows.conftest import Row

PASSWORD = "p@ss/word:%1"  # what a URL would have to escape
COLUMNS = (
    "record varchar(20) PRIMARY KEY, citizen_no varchar(20), full_name varchar(50), sex varchar(1), "
    "born date, phone varchar(20), changed timestamp NULL"
)
POSTGRES: dict[str, Any] = {"host": os.environ.get("HUB_TEST_POSTGRES_HOST", "127.0.0.1"), "port": 5432, "user": "postgres"}
MARIADB: dict[str, Any] = {"host": os.environ.get("HUB_TEST_MARIADB_HOST", "127.0.0.1"), "port": 3306, "user": "root", "password": ""}


class Department:
    """A register on a server; ``connector`` reads it."""

    connector: str
    server: dict[str, Any]
    url: str

    def __init__(self) -> None:
        """Make its database, its reader and its empty table."""
        self.name = f"d{uuid.uuid4().hex[:12]}"

    def declared(self, *more: str) -> str:
        """Return the declaration of the source, with *more* lines; its secret is put where the hub looks for it."""
        settings().secrets.mkdir(parents=True, exist_ok=True)
        (settings().secrets / "police").write_text(PASSWORD, encoding="utf-8")
        url = f"{self.url}://{self.name}@{self.server['host']}:{self.server['port']}/{self.name}"
        lines = ("source: police", "department: police", "title: {zh: 库, en: Store}", f"connector: {self.connector}", f"url: {url}", *more)
        return "\n".join(lines) + "\n"

    def fill(self, rows: Sequence[Row]) -> None:
        """Make *rows* the whole content of the register, at once."""
        raise NotImplementedError

    def swell(self, rows: int) -> None:
        """Add so many rows that no buffer between here and there holds them all."""
        raise NotImplementedError

    def readers(self) -> list[int]:
        """Return the numbers of the reader's sessions."""
        raise NotImplementedError

    def cut(self, session: int) -> None:
        """End one session of the reader, in the middle of whatever it does."""
        raise NotImplementedError

    def truncate(self) -> None:
        """Empty the table without asking who reads it, or raise if somebody does."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove the database and its reader."""
        raise NotImplementedError


class Postgres(Department):
    """On PostgreSQL."""

    connector, server, url = "postgres", POSTGRES, "postgresql"

    def __init__(self) -> None:
        super().__init__()
        self._run("postgres", f"CREATE DATABASE {self.name}", f"CREATE ROLE {self.name} LOGIN PASSWORD '{PASSWORD}'")
        self._run(self.name, f"CREATE TABLE register ({COLUMNS})", f"GRANT SELECT ON register TO {self.name}")

    def _run(self, database: str, *statements: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.server, dbname=database, autocommit=True) as connection:
            results = [connection.execute(statement.encode()) for statement in statements]
            return results[-1].fetchall() if results[-1].description else []

    def fill(self, rows: Sequence[Row]) -> None:
        with psycopg.connect(**self.server, dbname=self.name) as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM register")
            cursor.executemany("INSERT INTO register VALUES (%s, %s, %s, %s, %s, %s, %s)", rows)

    def swell(self, rows: int) -> None:
        row = "'x' || n, '310101198001010012', repeat('赵', 40), '1', '1980-01-01', NULL, '2026-12-01'"
        self._run(self.name, f"INSERT INTO register SELECT {row} FROM generate_series(1, {rows}) n")

    def readers(self) -> list[int]:
        return [pid for (pid,) in self._run("postgres", f"SELECT pid FROM pg_stat_activity WHERE usename = '{self.name}'")]

    def cut(self, session: int) -> None:
        self._run("postgres", f"SELECT pg_terminate_backend({session})")

    def truncate(self) -> None:
        self._run(self.name, "SET lock_timeout = '500ms'", "TRUNCATE register")

    def close(self) -> None:
        self._run("postgres", f"DROP DATABASE {self.name} WITH (FORCE)", f"DROP ROLE {self.name}")


class Mariadb(Department):
    """On MariaDB."""

    connector, server, url = "mysql", MARIADB, "mysql"

    def __init__(self) -> None:
        super().__init__()
        self._run(
            f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4",
            f"CREATE TABLE {self.name}.register ({COLUMNS})",
            f"CREATE USER {self.name}@'%' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT SELECT ON {self.name}.* TO {self.name}@'%'",
        )

    def _run(self, *statements: str) -> list[tuple[Any, ...]]:
        with pymysql.connect(**self.server, charset="utf8mb4", autocommit=True) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def fill(self, rows: Sequence[Row]) -> None:
        with pymysql.connect(**self.server, database=self.name, charset="utf8mb4") as connection, connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute("DELETE FROM register")
            cursor.executemany("INSERT INTO register VALUES (%s, %s, %s, %s, %s, %s, %s)", rows)
            connection.commit()

    def swell(self, rows: int) -> None:
        row = "concat('x', seq), '310101198001010012', repeat('赵', 40), '1', '1980-01-01', NULL, '2026-12-01'"
        self._run(f"USE {self.name}", f"INSERT INTO register SELECT {row} FROM seq_1_to_{rows}")

    def readers(self) -> list[int]:
        return [int(number) for (number,) in self._run(f"SELECT id FROM information_schema.processlist WHERE user = '{self.name}'")]

    def cut(self, session: int) -> None:
        self._run(f"KILL CONNECTION {session}")

    def truncate(self) -> None:
        self._run("SET lock_wait_timeout = 1", f"TRUNCATE {self.name}.register")

    def close(self) -> None:
        self._run(f"DROP DATABASE {self.name}", f"DROP USER {self.name}@'%'")


def opened(kind: type[Department]) -> Department:
    """Return a new department of *kind*; skip the test where its server is not, or fail it where it must be."""
    try:
        return kind()
    except (psycopg.OperationalError, pymysql.err.OperationalError):
        reason = f"no server at {kind.server['host']}:{kind.server['port']} that lets {kind.server['user']} in without a password"
        if os.environ.get("HUB_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
