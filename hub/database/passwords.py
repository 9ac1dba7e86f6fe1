"""Passwords of database roles: one random file each, readable by the owner alone."""

import os
import secrets
from pathlib import Path

from hub.errors import Mistake, Refused
from hub.settings import settings


def password(role: str) -> str:
    """Return the password of *role* from its file in ``HUB_SECRETS``.

    Raises ``Mistake`` if the file is missing and ``Refused`` if others can read it. Never logs it.
    """
    file = settings().secrets / role
    try:
        if file.stat().st_mode & 0o077:
            raise Refused(f"the password file {file} can be read by others", remedy=f"run `chmod 600 {file}`")
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise Mistake(
            f"there is no password for `{role}`: {file} is missing",
            remedy="run `hub db up` for the embedded server, or put the password in that file (mode 600)",
        ) from None


def ensure_password(role: str) -> str:
    """Return the password of *role*, generating its file first if there is none.

    Two processes that arrive at once get the same password: the file is linked into place, never rewritten.
    """
    file = settings().secrets / role
    if not file.exists():
        _generate(file)
    return password(role)


def _generate(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as out:
        out.write(secrets.token_urlsafe(32) + "\n")
    try:
        file.hardlink_to(draft)
    except FileExistsError:
        return  # another process was first; its password counts
    finally:
        draft.unlink()
