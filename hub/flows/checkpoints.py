"""How far this database has come, noted outside of it, and whether the database that is there has come as far.

After every commit that matters the checkpoint is lifted to what the database says. A checkpoint behind its database is
therefore nothing (a run was killed in between, or reads nobody notes); a database behind its checkpoint is an older one,
restored: it refuses service until `hub recover` opens a new epoch.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import HubError, Refused
from hub.flows import checkpoint_files
from hub.flows.checkpoint_files import Checkpoint, Epoch
from hub.settings import settings

_EPOCHS = sa.text("SELECT number, id::text AS id, replaces::text AS replaces FROM hub.epoch ORDER BY number")
_NEWEST = sa.text("SELECT library, max(version) AS version FROM hub.library_version GROUP BY library ORDER BY library")
_BATCH = sa.text("SELECT coalesce(max(id), 0) FROM hub.batch")
_ERASURES = sa.text("SELECT coalesce(max(id), 0) FROM hub.erasure")
_RESTORED = sa.text("SELECT backup, restored_at FROM hub.restoration WHERE recovered_in IS NULL ORDER BY id DESC LIMIT 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What the database says of itself: its epoch, the epochs it follows, its newest batch, erasures and versions, its restoration."""

    epoch: Epoch
    followed: frozenset[str]
    batch: int
    erasures: int
    libraries: dict[str, int]
    restored: str | None


def present(connection: sa.Connection) -> Present:
    """Read how far the database has come."""
    epochs = connection.execute(_EPOCHS).all()
    restored = connection.execute(_RESTORED).one_or_none()
    return Present(
        epoch=Epoch(number=epochs[-1].number, id=epochs[-1].id),
        followed=frozenset({one.id for one in epochs[:-1]} | {one.replaces for one in epochs if one.replaces}),
        batch=connection.execute(_BATCH).scalar_one(),
        erasures=connection.execute(_ERASURES).scalar_one(),
        libraries={row.library: row.version for row in connection.execute(_NEWEST)},
        restored=None if restored is None else f"{restored.backup}, on {_local(restored.restored_at)}",
    )


def findings(now: Present, noted: tuple[Checkpoint, ...]) -> tuple[str, ...]:
    """Say where the database is not the one that the checkpoints know; empty if it is, or has come further."""
    told = [f"it was restored from backup {now.restored}"] if now.restored else []
    for one in noted:
        if one.epoch.id != now.epoch.id and one.epoch.id not in now.followed:
            told.append(
                f"it is of epoch {now.epoch.number}, the checkpoint of {_local(one.noted_at)} of another, number {one.epoch.number}"
            )
        if one.epoch.id not in now.followed:
            told += _behind(now, one)
    return tuple(dict.fromkeys(told))


def _behind(now: Present, noted: Checkpoint) -> list[str]:
    since = _local(noted.noted_at)
    told = [
        f"library {library} is at version {now.libraries.get(library, 0)}, version {version} was known on {since}"
        for library, version in noted.libraries.items()
        if now.libraries.get(library, 0) < version
    ]
    if now.batch < noted.batch:
        told.append(f"its last batch is {now.batch}, batch {noted.batch} was known on {since}")
    if now.erasures < noted.erasures:
        told.append(f"the last erasure of a person it knows is number {now.erasures}, number {noted.erasures} was known on {since}")
    return told


def require_current(connection: sa.Connection) -> None:
    """Raise :class:`Refused` if the database is older than its checkpoint, of another epoch, or restored and not recovered.

    Otherwise lift the checkpoint where it is behind. ``Unavailable`` if a place of checkpoints cannot be read or written.
    """
    now = present(connection)
    told = findings(now, checkpoint_files.read_all())
    if told:
        raise Refused(
            f"the hub's database is not the newest there was: {'; '.join(told)}",
            remedy="if the wrong database was started, start the right one; else let an officer run `hub recover` "
            "(docs/how-to/back-up-and-restore.md); until then only list and show",
        )
    _lift(now)


def require_current_database() -> None:
    """Do as :func:`require_current`, over a connection of its own."""
    with engine(Role.READER).connect() as connection:
        require_current(connection)


def note() -> None:
    """Lift the checkpoint to what is committed now. Never fails: the next start of a run does it, or says what is wrong."""
    try:
        with engine(Role.READER).connect() as connection:
            now = present(connection)
        if now.restored is None:
            _lift(now)
    except HubError:
        return


def warning() -> str | None:
    """Return what to print beside anything shown from a database that is not the newest; ``None`` for a good one."""
    try:
        with engine(Role.READER).connect() as connection:
            told = findings(present(connection), checkpoint_files.read_all())
    except HubError:
        return None  # the command itself will say what is wrong
    return f"从备份恢复的旧数据库，尚未恢复服务 · an older database, not in service: {'; '.join(told)}" if told else None


def _lift(now: Present) -> None:
    made = Checkpoint(epoch=now.epoch, batch=now.batch, erasures=now.erasures, libraries=now.libraries, noted_at=datetime.now(UTC))
    checkpoint_files.lift(made, followed=now.followed)


def _local(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo(settings().timezone)).strftime("%Y-%m-%d %H:%M:%S")
