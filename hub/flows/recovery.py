"""An officer's word that a restored older database is to serve again: a new epoch, recorded, from which everything is read again."""

from dataclasses import dataclass, replace

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import HubError, Refused
from hub.flows import checkpoint_files, checkpoints, erasure, erasure_log
from hub.flows.checkpoint_files import Checkpoint
from hub.flows.checkpoints import Present
from hub.flows.key_checks import require_same_keys
from hub.flows.keys import keyring
from hub.flows.runs import throw_away
from libraries.epochs import MARGIN, LibraryEpoch, continue_library

_WHY = "its database was restored from a backup; read again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What a recovery did, or would do: what was found, the new epoch, where each library goes on, the batches thrown away.

    ``erased`` is how many persons were erased again, because the database is from before their erasure.
    """

    found: tuple[str, ...]
    epoch: int
    libraries: tuple[LibraryEpoch, ...]
    discarded: tuple[int, ...]
    erased: int


def planned() -> Recovery:
    """Return what :func:`recover` would do now, changing nothing; ``Refused`` if nothing is to be recovered."""
    with engine(Role.OWNER).connect() as connection:
        made = _recover(connection, by="nobody", reason="planned only")
        connection.rollback()
    return made


def recover(*, by: str, reason: str) -> Recovery:
    """Open a new epoch in one transaction, and lift the checkpoint to it; killed in between, the next call of a run lifts it.

    Libraries go on above every version that was lost. Batches that were under way or held are discarded: their jobs read again
    from the watermarks that were restored with the rows. Then persons are erased again who were erased since the backup, by the log
    kept outside the database; until the last of them is, the hub serves nobody, whatever cuts this off.
    ``Refused`` if the database is the newest there was, or a job runs.
    """
    with engine(Role.OWNER).begin() as connection:
        made = _recover(connection, by=by, reason=reason)
    checkpoints.require_current_database()
    return replace(made, erased=_erase_again(by))


def _erase_again(by: str) -> int:
    try:
        return len(erasure.reapply(by=by))
    except HubError as error:
        raise type(error)(
            f"the new epoch is open, but not all persons erased since the backup are erased again: {error.problem}",
            remedy=f"{error.remedy}; then run `hub subject reapply`. Until then no job runs",
        ) from None


def _recover(connection: sa.Connection, *, by: str, reason: str) -> Recovery:
    connection.execute(sa.text("LOCK TABLE hub.epoch IN EXCLUSIVE MODE"))
    noted = checkpoint_files.read_all()
    now = checkpoints.present(connection)
    found = checkpoints.findings(now, noted)
    if not found:
        raise Refused("the database is the newest there was: there is nothing to recover", remedy="run jobs as usual")
    require_same_keys(connection, keyring())
    epoch = _open_epoch(connection, now, noted, by=by, reason=reason)
    known = _known(now, noted)
    libraries = tuple(continue_library(connection, library, epoch, known=version) for library, version in known.items())
    discarded = _discard_unfinished(connection, by)
    _skip_batches(connection, max([now.batch, *(one.batch for one in noted)]))
    details = {
        "epoch": epoch, "reason": reason, "found": list(found), "discarded": list(discarded),
        "libraries": {one.library: [one.kept, one.first] for one in libraries},
    }  # fmt: skip
    record(connection, Event.DATABASE_RECOVERED, actor=by, details=details)
    to_erase = len(erasure_log.not_in_force(connection))
    return Recovery(found=found, epoch=epoch, libraries=libraries, discarded=discarded, erased=to_erase)


def _open_epoch(connection: sa.Connection, now: Present, noted: tuple[Checkpoint, ...], *, by: str, reason: str) -> int:
    """Open the epoch after every one known. One that this database never saw is followed too, so that its checkpoint may be lifted."""
    newest = max((one.epoch for one in noted), key=lambda one: one.number, default=now.epoch)
    strangers = sorted({one.epoch.id for one in noted} - {now.epoch.id, newest.id} - now.followed)
    insert = sa.text("INSERT INTO hub.epoch (number, opened_by, reason, replaces) VALUES (:number, :by, :reason, CAST(:replaces AS uuid))")
    number = max(now.epoch.number, newest.number) + 1
    for replaced in (*strangers, newest.id):
        connection.execute(insert, {"number": number, "by": by, "reason": reason, "replaces": replaced})
        number += 1
    connection.execute(sa.text("UPDATE hub.restoration SET recovered_in = :epoch WHERE recovered_in IS NULL"), {"epoch": number - 1})
    return number - 1


def _known(now: Present, noted: tuple[Checkpoint, ...]) -> dict[str, int]:
    """Return the newest version of each library that anybody knows."""
    known = [now.libraries, *(one.libraries for one in noted)]
    return {library: max(one.get(library, 0) for one in known) for library in sorted(set().union(*known))}


def _discard_unfinished(connection: sa.Connection, by: str) -> tuple[int, ...]:
    unfinished = connection.execute(
        sa.text("SELECT id, dataset FROM hub.batch WHERE state IN ('planned', 'staged', 'held') ORDER BY id FOR UPDATE")
    ).all()
    for batch, dataset in unfinished:
        lock = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 0))")
        if not connection.execute(lock, {"key": f"job:{dataset}"}).scalar_one():
            raise Refused(f"the job of {dataset} is running", remedy="stop Airflow (`hub down`) and wait for runs by hand, then try again")
        throw_away(connection, batch, dataset, by, reason=_WHY)
    return tuple(batch for batch, _ in unfinished)


def _skip_batches(connection: sa.Connection, newest: int) -> None:
    """Let no batch get the number of a lost one: reports, receipts and logs outside the database name batches by it."""
    connection.execute(
        sa.text(f"ALTER TABLE hub.batch ALTER COLUMN id RESTART WITH {newest + MARGIN:d}")
    )  # undone by a rollback, unlike setval
