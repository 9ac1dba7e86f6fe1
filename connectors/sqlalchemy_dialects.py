"""What each kind of database offers to protect itself from its reader, and how its errors are told apart."""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa

from connectors import failures

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from connectors.protocol import Place
    from hub.errors import HubError
    from schemas.source import Source

CONNECT_SECONDS = 10
STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's virtual machine

# Codes of servers that are not told apart by a connector of their own: Oracle, python-oracledb, ODBC, Dameng.
_TIMED_OUT = {"ORA-01013", "ORA-03136", "DPY-4024", "DPI-1067", "HYT00", "HYT01"}
_NOT_PERMITTED = {"ORA-01031", "ORA-41900"}


def read_only(url: URL) -> URL:
    """Return *url* so that opening it cannot write: SQLite would create a file that is not there."""
    if url.get_backend_name() != "sqlite":
        return url
    return url.set(database=f"file:{quote(url.database or '')}", query={"mode": "ro", "uri": "true"})


def listens(url: URL) -> bool:
    """Whether a server answers at *url*, whatever it thinks of the login."""
    if url.get_backend_name() == "postgresql":
        from connectors.postgres import answers  # noqa: PLC0415 (only on the way to an error; it loads another driver)

        return answers(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        with socket.create_connection((url.host or "", url.port or 0), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def guard(connection: sa.Connection, seconds: int) -> str | None:
    """Begin a read-only transaction whose statements end after *seconds*, as far as the database can; return its snapshot.

    PostgreSQL, MySQL, MariaDB and SQLite: read-only, one snapshot, statement timeout. Oracle: the same, by its manual.
    Dameng: read-only by its manual. SQL Server: a query timeout; it has no read-only transactions, so its user must have none but `SELECT`.
    """
    driver: Any = connection.connection.driver_connection
    match connection.dialect.name:
        case "postgresql":
            _run(
                connection,
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
                f"SET LOCAL statement_timeout = '{seconds}s'",
                "SET LOCAL timezone = 'UTC'",
                "SET LOCAL max_parallel_workers_per_gather = 0",
                "SET LOCAL synchronize_seqscans = off",
            )
            return "repeatable read, read only"
        case "mysql" | "mariadb":
            mariadb = getattr(connection.dialect, "is_mariadb", False)
            limit = f"max_statement_time = {seconds}" if mariadb else f"max_execution_time = {seconds * 1000}"
            _run(
                connection,
                f"SET SESSION {limit}",
                f"SET SESSION net_write_timeout = {seconds}",
                "SET SESSION time_zone = '+00:00'",
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "SET SESSION TRANSACTION READ ONLY",
                "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            )
            return "consistent snapshot, as far as the tables are InnoDB"
        case "sqlite":
            deadline = monotonic() + seconds
            driver.set_progress_handler(lambda: monotonic() > deadline, STEPS_BETWEEN_LOOKS)
            _run(connection, "PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF", "BEGIN", "SELECT count(*) FROM sqlite_schema")
            return "read transaction"
        case "oracle":
            driver.call_timeout = seconds * 1000  # python-oracledb: of one round trip
            _run(connection, "SET TRANSACTION READ ONLY")
            return "read-only transaction"
        case "dm":
            _run(connection, "SET TRANSACTION READ ONLY")
        case "mssql":
            driver.timeout = seconds  # pyodbc: of each query
    return None


def _run(connection: sa.Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def failure(source: Source, place: Place, error: sa.exc.DBAPIError, dialect: str) -> HubError:
    """Return what a driver's *error* means, by its code alone: its words quote values."""
    code = _code(error.orig)
    match dialect:
        case "postgresql":
            from connectors import postgres  # noqa: PLC0415 (only on the way to an error; it loads another driver)

            return postgres.failure(source, place, str(code))
        case "mysql" | "mariadb":
            from connectors import mysql  # noqa: PLC0415

            return mysql.failure(source, place, code if isinstance(code, int) else 0)
        case "sqlite":
            from connectors import sqlite  # noqa: PLC0415

            return sqlite.failure(source, place, str(code))
    if code in _TIMED_OUT:
        return failures.timed_out(source, place)
    if code in _NOT_PERMITTED:
        return failures.not_permitted(source, place)
    if error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return failures.down(source, f"the server ended the request (error {code or 'without a code'})")
    return failures.query_refused(source, place, code or "without a code")


def _code(error: BaseException | None) -> str | int:
    """Return the driver's code: a number, SQLSTATE, SQLite's name, Oracle's full code or ODBC's state; never a message."""
    first = error.args[0] if error is not None and error.args else ""
    if isinstance(first, int):
        return first
    for name in ("sqlstate", "sqlite_errorname", "pgcode"):
        if isinstance(found := getattr(error, name, None), str):
            return found
    full = getattr(first, "full_code", first)
    return full if isinstance(full, str) and full.replace("-", "").isalnum() and len(full) <= len("ORA-00000") else ""
