"""Copies of the hub's database: made while it runs, listed, proved, and thrown away when enough newer ones exist.

A backup is a folder: ``data`` (a data directory that PostgreSQL of the same major version starts on) and ``backup.json``.
It has its name only once it is whole and durable. Keys are never in it, nor beside it.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database import basebackup, durable, migrations
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import HubError, Mistake, Refused, Unavailable
from hub.flows import checkpoints, key_copies
from hub.flows.code import code_version
from hub.settings import settings

METADATA = "backup.json"
_PARTIAL, _REMOVING = ".partial", ".removing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup. It holds at least what stands here: more may have been published while it was copied.

    ``bytes`` is its size on disk, ``seconds`` how long copying took; ``epoch`` and ``epoch_id`` tell of which life of the hub it is.
    ``key_checks`` recognise the keys (purpose, version, check value in hexadecimal); ``manifest`` is the SHA-256 of its manifest.
    """

    name: str
    made_at: datetime
    hub: str
    migration: str
    server: str
    epoch: int
    epoch_id: str
    batch: int
    libraries: dict[str, int]
    key_checks: tuple[tuple[str, int, str], ...]
    bytes: int
    seconds: float
    manifest: str


def create(*, by: str, to: Path | None = None, keep: int | None = None) -> Backup:
    """Back the running database up into a new folder of *to* (HUB_BACKUPS by default), and record it.

    With *keep*, older backups there are removed until so many are left. Killed at any point, nothing is left that is listed as
    a backup. ``Refused`` if keys lie in that folder, or if a server of one's own gives no right to copy it.
    """
    folder = (to or settings().backups).resolve()
    if keep is not None and keep < 1:
        raise Mistake(f"--keep {keep} would leave no backup", remedy="keep at least 1")
    if not basebackup.may_copy():
        raise Refused("the server in HUB_DATABASE_URL is not set up to be copied by the hub", remedy=basebackup.REMEDY)
    key_copies.refuse_keys_in(folder)
    with _alone(folder) as held:
        _clear(folder)
        made = _create(folder, held)
        _recorded(Event.BACKUP_MADE, by, backup=made.name, bytes=made.bytes, epoch=made.epoch, versions=made.libraries)
        if keep is not None:
            _remove_older(folder, keep, by)
    return made


def listed(folder: Path | None = None) -> tuple[Backup, ...]:
    """Return the whole backups in *folder* (HUB_BACKUPS by default), newest first."""
    place = folder or settings().backups
    found = [read(path) for path in place.iterdir() if _is_backup(path)] if place.is_dir() else []
    return tuple(sorted(found, key=lambda one: (one.made_at, one.name), reverse=True))


def located(name: str, folder: Path | None = None) -> Path:
    """Return the folder of the backup *name*: its path, or its name in *folder* (HUB_BACKUPS by default)."""
    for path in (Path(name), (folder or settings().backups) / name):
        if _is_backup(path):
            return path.resolve()
    raise Mistake(f"there is no backup {name}", remedy="`hub backup list` shows the backups there are")


def read(path: Path) -> Backup:
    """Return what stands in the ``backup.json`` of the backup *path*."""
    try:
        found = json.loads((path / METADATA).read_bytes())
        checks = tuple((str(purpose), int(version), str(value)) for purpose, version, value in found.pop("key_checks"))
        del found["format"]
        return Backup(**found | {"made_at": datetime.fromisoformat(found["made_at"]), "key_checks": checks})
    except (ValueError, KeyError, TypeError):
        raise Refused(f"{path / METADATA} is damaged", remedy="use another backup; remove this one by hand") from None


def verify(path: Path) -> Backup:
    """Prove every byte of the backup *path* by its manifest, and the manifest by ``backup.json``; ``Refused`` names what is damaged."""
    backup = read(path)
    basebackup.prove(path / "data")
    if _digest(path / "data") != backup.manifest:
        raise Refused(f"the backup {path.name} is damaged: backup_manifest is not the one it was made with", remedy="use another backup")
    return backup


def _is_backup(path: Path) -> bool:
    return not path.name.startswith(".") and (path / METADATA).is_file()


def _create(folder: Path, held: int) -> Backup:
    began, made_at = time.monotonic(), datetime.now(UTC)
    name = _free_name(folder, made_at)
    partial = folder / f"{_PARTIAL}-{name}"
    partial.mkdir(mode=0o700)
    with engine(Role.OWNER).connect() as connection:  # before copying: what is read here is in the copy
        now = checkpoints.present(connection)
        migration = migrations.current(connection) or ""
        server = str(connection.exec_driver_sql("SHOW server_version").scalar_one())
        checks = connection.execute(sa.text("SELECT purpose, version, encode(value, 'hex') FROM hub.key_check ORDER BY 1, 2")).all()
    try:
        basebackup.copy(partial / "data", holding=(held,))
    except HubError:
        shutil.rmtree(partial)
        raise
    made = Backup(
        name=name, made_at=made_at, hub=code_version(), migration=migration, server=server, epoch=now.epoch.number, epoch_id=now.epoch.id,
        batch=now.batch, libraries=now.libraries, key_checks=tuple((one[0], one[1], one[2]) for one in checks),
        bytes=sum(path.stat().st_size for path in (partial / "data").rglob("*") if path.is_file()),
        seconds=round(time.monotonic() - began, 1), manifest=_digest(partial / "data"),
    )  # fmt: skip
    durable.write(partial / METADATA, _as_json(made))
    durable.rename(partial, folder / name)
    return made


def _free_name(folder: Path, made_at: datetime) -> str:
    name = f"hub-{made_at:%Y%m%dT%H%M%SZ}"
    taken = {path.name for path in folder.iterdir()}
    return next(one for number in range(1, len(taken) + 2) if (one := name if number == 1 else f"{name}-{number}") not in taken)


def _digest(data: Path) -> str:
    return hashlib.sha256((data / "backup_manifest").read_bytes()).hexdigest()


def _as_json(backup: Backup) -> bytes:
    return json.dumps({"format": 1, **asdict(backup), "made_at": backup.made_at.isoformat()}, indent=1).encode() + b"\n"


def _remove_older(folder: Path, keep: int, by: str) -> None:
    for old in listed(folder)[keep:]:
        leaving = folder / f"{_REMOVING}-{old.name}"
        durable.rename(folder / old.name, leaving)  # half removed, it must not look like a backup
        shutil.rmtree(leaving)
        _recorded(Event.BACKUP_REMOVED, by, backup=old.name, kept=keep)


def _clear(folder: Path) -> None:
    """Remove what killed calls left; the lock says that none of them, nor a program they started, still runs."""
    for path in folder.iterdir():
        if path.name.startswith((f"{_PARTIAL}-", f"{_REMOVING}-")):
            shutil.rmtree(path)


def _recorded(event: Event, by: str, **details: object) -> None:
    with engine(Role.WRITER).begin() as connection:
        record(connection, event, actor=by, details=details)


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Hold the folder's lock and give its open file: a program that inherits it holds the lock on."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise Mistake(f"{folder} cannot be written ({error.strerror})", remedy="name another folder with --to or in HUB_BACKUPS") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    except BlockingIOError:
        raise Unavailable(f"another backup is being made in {folder}", remedy="wait for its end, then try again") from None
    finally:
        os.close(handle)
