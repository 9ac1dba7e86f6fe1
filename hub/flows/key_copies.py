"""Copies of the keyring: wrapped secrets, useless without the root, and never in one folder with it or with a backup.

Root, keyring and backup are three things in three places: who finds two of them has nothing, except for root and keyring
together, which is why the root is copied by hand (docs/how-to/back-up-and-restore.md).
"""

import json
from pathlib import Path

from audit.events import Event
from audit.log import record
from hub.database import durable
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Mistake, Refused
from hub.settings import settings
from masking.keys import KEYRING_FILE, ROOT_FILE, SECRET_BYTES, listed

_LARGEST = 1 << 20  # no keyring is as large


def copy_keyring(file: Path, *, by: str) -> int:
    """Write the wrapped secrets of ``HUB_KEYS`` into the new *file*, readable by its owner alone; return how many versions.

    A copy made before a version is destroyed still holds it: replace copies afterwards. ``Refused`` where a root key or a
    backup lies in the same folder, or inside HUB_KEYS, HUB_STATE or HUB_BACKUPS; an existing file is not overwritten.
    """
    versions = listed(settings().keys)
    target = file.resolve()
    _refuse_beside(target)
    if target.exists():
        raise Refused(f"{target} exists already", remedy="name a new file; remove the old copy once the new one is safe")
    if not target.parent.is_dir():
        raise Mistake(f"there is no folder {target.parent}", remedy="make it, readable by you alone")
    with engine(Role.WRITER).begin() as connection:
        record(connection, Event.KEYS_COPIED, actor=by, details={"versions": len(versions)})
        durable.write(target, (settings().keys / KEYRING_FILE).read_bytes())
    return len(versions)


def refuse_keys_in(folder: Path) -> None:
    """Raise :class:`Refused` if a root key or a keyring lies in *folder*, or if *folder* lies where keys are kept."""
    keys = settings().keys
    if folder.is_relative_to(keys) or keys.is_relative_to(folder):
        raise Refused(f"backups in {folder} would lie with the keys in {keys}", remedy="name a folder elsewhere, on another disk")
    found = [path.name for path in folder.iterdir() if _is_root(path) or _is_keyring(path)] if folder.is_dir() else []
    if found:
        raise Refused(
            f"{folder} holds keys ({', '.join(sorted(found))}): whoever takes it has the data and what opens it",
            remedy="keep backups and keys in different places",
        )


def _refuse_beside(target: Path) -> None:
    here = settings()
    for name, tree in (("HUB_KEYS", here.keys), ("HUB_STATE", here.state), ("HUB_BACKUPS", here.backups)):
        if target.is_relative_to(tree):
            raise Refused(f"{target} lies inside {name}", remedy="keep the copy elsewhere, on another disk")
    beside = list(target.parent.iterdir()) if target.parent.is_dir() else []
    if any(_is_root(path) for path in beside):
        raise Refused(f"a root key lies in {target.parent}", remedy="root and keyring together open everything: keep them apart")
    if any((path / "backup.json").is_file() for path in beside):
        raise Refused(f"backups of the database lie in {target.parent}", remedy="keep backups and keys in different places")


def _is_root(path: Path) -> bool:
    return path.name == ROOT_FILE or (path.suffix == ".key" and path.is_file() and path.stat().st_size == SECRET_BYTES)


def _is_keyring(path: Path) -> bool:
    if path.name == KEYRING_FILE:
        return True
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return False
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, OSError):
        return False
    return isinstance(found, dict) and isinstance(found.get("versions"), list)
