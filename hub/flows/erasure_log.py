"""The erasures kept outside the database, so that a restored older database can be brought up to them.

One line of JSON each, in ``erasures.jsonl`` in ``HUB_STATE``: marks, grounds and time, no identifier. Copy it apart from the backups.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hub.errors import Mistake
from hub.flows.suppression import Mark, marks_in_force
from hub.settings import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Why, and on whose word: two persons, a reason, a legal basis; *by* keeps the record."""

    requester: str
    approver: str
    reason: str
    legal_basis: str
    by: str

    def __post_init__(self) -> None:
        """Refuse one person alone."""
        names = [" ".join(name.split()).casefold() for name in (self.requester, self.approver)]
        if not all(names) or names[0] == names[1]:
            raise Mistake(
                "this takes two persons: who asks for it, and another who approves", remedy="name both in --requester and --approver"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: a person was erased, or (``lifted``) may come back."""

    domain: str
    marks: frozenset[Mark]
    grounds: Grounds
    lifted: bool


def path() -> Path:
    """Return where the log lies."""
    return settings().state / "erasures.jsonl"


def append(entry: Entry) -> None:
    """Add one line and bring it to the disk, before the transaction that it tells of commits: rather one line too many."""
    marks = [[one.mark.hex(), one.key_version] for one in sorted(entry.marks, key=lambda one: one.mark)]
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "domain": entry.domain,
        "marks": marks,
        "lifted": entry.lifted,
        **asdict(entry.grounds),
    }
    descriptor = os.open(path(), os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def standing() -> Iterator[Entry]:
    """Yield, oldest first, the erasures of the log that were not lifted since."""
    entries = [_entry(json.loads(line)) for line in path().read_text(encoding="utf-8").splitlines()] if path().exists() else []
    for place, entry in enumerate(entries):
        if not entry.lifted and not any(later.lifted and later.marks & entry.marks for later in entries[place + 1 :]):
            yield entry


def not_in_force(connection: sa.Connection) -> tuple[Entry, ...]:
    """Return the standing erasures that the database does not know, oldest first: it is older than they are, or was not told yet."""
    entries = tuple(standing())
    known = {domain: marks_in_force(connection, domain) for domain in {one.domain for one in entries}}
    return tuple(one for one in entries if not one.marks <= known[one.domain])


def _entry(line: dict[str, Any]) -> Entry:
    marks = frozenset(Mark(mark=bytes.fromhex(mark), key_version=version) for mark, version in line["marks"])
    grounds = Grounds(**{name: line[name] for name in ("requester", "approver", "reason", "legal_basis", "by")})
    return Entry(domain=line["domain"], marks=marks, grounds=grounds, lifted=line["lifted"])
