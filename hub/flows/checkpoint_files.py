"""The checkpoint as a file: in HUB_STATE, and in HUB_CHECKPOINTS as well where a second place is declared.

Lifted only: a file is replaced by one that knows more of the same epoch, or by one of an epoch that follows it.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from hub.database import durable
from hub.errors import Refused, Unavailable
from hub.settings import settings

FILE = "checkpoint.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A life of the database between two recoveries: its number, and the random id that no other has."""

    number: int
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far a database had come, and when that was noted.

    Its epoch, its newest batch, how many erasures of persons it knew, and the newest version of each library.
    """

    epoch: Epoch
    batch: int
    erasures: int
    libraries: dict[str, int]
    noted_at: datetime


def places() -> tuple[Path, ...]:
    """Return the folders that hold the checkpoint."""
    second = settings().checkpoints
    return (settings().state / "checkpoint", *([second] if second else []))


def read_all() -> tuple[Checkpoint, ...]:
    """Return the checkpoint of each place that has one.

    ``Unavailable`` if a place cannot be read: without it nobody can say whether the database is the newest.
    """
    return tuple(found for place in places() if (found := _read(place)) is not None)


def lift(made: Checkpoint, *, followed: frozenset[str]) -> None:
    """Let every place know *made*, unless it knows more; *followed* are the ids of the epochs before that of *made*."""
    for place in places():
        with _alone(place):
            kept = _read(place)
            better = _joined(kept, made, followed)
            if better != kept:
                durable.write(place / FILE, _as_json(better))


def _joined(kept: Checkpoint | None, made: Checkpoint, followed: frozenset[str]) -> Checkpoint:
    if kept is None or kept.epoch.id in followed:
        return made
    if kept.epoch.id != made.epoch.id:
        return kept  # of an epoch that this database knows nothing of: not for it to touch
    libraries = kept.libraries | {name: max(version, kept.libraries.get(name, 0)) for name, version in made.libraries.items()}
    joined = replace(kept, batch=max(kept.batch, made.batch), erasures=max(kept.erasures, made.erasures), libraries=libraries)
    return kept if joined == kept else replace(joined, noted_at=made.noted_at)


def _read(place: Path) -> Checkpoint | None:
    try:
        found = json.loads((place / FILE).read_bytes())
        return Checkpoint(
            epoch=Epoch(**found["epoch"]),
            batch=int(found["batch"]),
            erasures=int(found["erasures"]),
            libraries={str(name): int(version) for name, version in found["libraries"].items()},
            noted_at=datetime.fromisoformat(found["noted_at"]),
        )
    except FileNotFoundError as error:
        if place == settings().checkpoints and not place.is_dir():  # never made here: an empty mount point is no second place
            raise _out_of_reach(place, error) from None
        return None
    except OSError as error:
        raise _out_of_reach(place, error) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(
            f"{place / FILE} is damaged: whether the database is the newest cannot be told",
            remedy="put back a copy of that file (HUB_CHECKPOINTS has one), or move it away if you know the database to be the newest",
        ) from None


def _as_json(checkpoint: Checkpoint) -> bytes:
    return json.dumps({"format": 1, **asdict(checkpoint), "noted_at": checkpoint.noted_at.isoformat()}, indent=1).encode() + b"\n"


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    try:
        if place != settings().checkpoints:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(place / f".{FILE}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
    except OSError as error:
        raise _out_of_reach(place, error) from None


def _out_of_reach(place: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"the checkpoint in {place} cannot be read or written ({error.strerror})",
        remedy="mount or free that disk; HUB_CHECKPOINTS names the second place",
    )
