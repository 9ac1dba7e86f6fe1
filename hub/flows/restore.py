"""Putting a backup in the place of the hub's database, whole or not at all.

The copy is prepared beside the data directory, proved, and marked as restored before it takes the name. So a restored
database never serves before its recovery, and a kill leaves either the old database or the new one, never a mixture.
"""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from audit.events import Event
from audit.log import record
from hub.database import durable, embedded, migrations
from hub.database.engine import engine
from hub.database.passwords import ensure_password
from hub.database.place import Place
from hub.database.programs import run_as_server, server_version
from hub.database.roles import Role
from hub.errors import Refused, Unavailable
from hub.flows import airflow_processes, backup, checkpoints, key_checks
from hub.flows.backup import Backup
from hub.flows.keys import keyring
from hub.settings import settings

_STOP = "stop the hub with `hub down`, then try again"


def restore(name: str, *, by: str, replace: bool = False) -> tuple[Backup, Path | None]:
    """Restore the backup *name* (a name in HUB_BACKUPS, or a path), start the database, check and record it.

    Returns the backup and, with *replace*, where the former data directory lies now: it is moved aside, never deleted.
    The database then refuses service until `hub recover`. ``Refused``: the hub runs; there is a database and no *replace*;
    the backup is damaged, of a newer hub, another PostgreSQL, or was protected with other keys. Nothing is changed then.
    """
    path = backup.located(name)
    _refuse_running()
    made = acceptable(path)
    with embedded.stopped(_STOP) as place:
        occupied = place.data.exists() and any(place.data.iterdir())
        if occupied and not replace:
            raise Refused(
                f"there is a database in {place.data}",
                remedy="with --replace it is moved aside (never deleted) and the backup takes its place",
            )
        _prepare(path, made, place)
        aside = _put_in_place(place, occupied=occupied)
    embedded.up()
    migrations.upgrade()
    _check(made, by)
    return made, aside


def acceptable(path: Path) -> Backup:
    """Return the backup *path* if this hub can take it: whole, not newer than this code, of this PostgreSQL, with these keys."""
    made = backup.verify(path)
    if not migrations.known(made.migration):
        raise Refused(f"backup {made.name} was made by a newer hub ({made.hub})", remedy="install that version of the hub, then restore")
    version = (path / "data" / "PG_VERSION").read_text(encoding="ascii").strip()
    if version != server_version():
        raise Refused(
            f"backup {made.name} is of PostgreSQL {version}, the embedded server is {server_version()}",
            remedy=f"start a PostgreSQL {version} on a copy of {path / 'data'} and set HUB_DATABASE_URL",
        )
    known = {(purpose, version): bytes.fromhex(value) for purpose, version, value in made.key_checks}
    if known:
        key_checks.refuse_others(known, keyring())
    return made


def _refuse_running() -> None:
    if settings().database_url is not None:
        raise Refused(
            "HUB_DATABASE_URL names a server of your own, which the hub does not replace",
            remedy="restore it with its own tools (the folder `data` of a backup is a data directory), then run `hub recover`",
        )
    if airflow_processes.running():
        raise Refused("Airflow is running", remedy=_STOP)


def _prepare(path: Path, made: Backup, place: Place) -> None:
    """Copy *path* beside the data directory, let PostgreSQL make it consistent, and mark it as restored."""
    if place.arriving.exists():
        shutil.rmtree(place.arriving)  # of a restore that was cut off
    try:
        shutil.copytree(path / "data", place.arriving, symlinks=True)
    except (OSError, shutil.Error):
        raise Unavailable(f"{path} could not be copied to {place.folder}", remedy="look whether the disk is full, then try again") from None
    place.take_over(place.arriving)
    embedded.configure(place, place.arriving)
    answer = run_as_server(place, "postgres", "--single", "-D", str(place.arriving), "hub", said=_mark(made.name), patience=None)
    if not re.search(r'marked = "1"', answer):
        raise Unavailable(f"backup {made.name} did not start", remedy=f"read {place.logs}, or restore another backup")
    durable.sync_all(place.arriving)


def _mark(name: str) -> str:
    """Return what is said to the single-user server: the administrator's password of this machine, and the mark."""
    backup_name, password = (text.replace("'", "''") for text in (name, ensure_password(embedded.ADMINISTRATOR)))
    statements = (
        f"ALTER ROLE {embedded.ADMINISTRATOR} PASSWORD '{password}'",
        f"INSERT INTO hub.restoration (backup) VALUES ('{backup_name}')",
        f"SELECT count(*) AS marked FROM hub.restoration WHERE backup = '{backup_name}' AND recovered_in IS NULL",
    )
    return "".join(f"{statement}\n" for statement in statements)


def _put_in_place(place: Place, *, occupied: bool) -> Path | None:
    aside = place.folder / f"data.replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if place.data.exists():
        durable.rename(place.data, aside)
        if not occupied:
            aside.rmdir()
    durable.rename(place.arriving, place.data)
    return aside if occupied else None


def _check(made: Backup, by: str) -> None:
    with engine(Role.OWNER).begin() as connection:
        now = checkpoints.present(connection)
        short = [library for library, version in made.libraries.items() if now.libraries.get(library, 0) < version]
        if short or now.epoch.id != made.epoch_id or now.restored is None:
            raise Refused(
                f"what was restored from {made.name} is not what its backup.json says ({', '.join(short) or 'another epoch'})",
                remedy="restore another backup with --replace, and report this",
            )
        record(connection, Event.DATABASE_RESTORED, actor=by, details={"backup": made.name, "versions": now.libraries})
