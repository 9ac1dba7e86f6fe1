"""A consistent copy of the running server's files, with the write-ahead log that makes it one (pg_basebackup), and its proof."""

import re
from collections.abc import Iterator
from pathlib import Path

from hub.database import manifest
from hub.database.engine import replication_login
from hub.database.passwords import password
from hub.database.programs import run_as_client, server_version
from hub.database.roles import BACKUP
from hub.errors import Mistake, Refused, Unavailable
from hub.settings import settings

_SHOWN = 5
_NOT_LET_IN = re.compile(
    r"no pg_hba.conf entry|must be superuser or replication role|permission denied to start WAL sender|authentication failed"
)


def may_copy() -> bool:
    """Whether there is a login for copying: always on the embedded server, on another once ``hub db roles --backup`` has run."""
    return settings().database_url is None or (settings().secrets / BACKUP).exists()


def copy(to: Path, *, holding: tuple[int, ...] = ()) -> None:
    """Copy the server's files into the new folder *to* while it runs, durably, with a manifest of SHA-256 sums.

    The copy is of one instant, at or after the call. ``Refused`` if the server does not let the role of backups in.
    The program holds the files *holding* open until it ends, should the caller be killed.
    """
    code, said = run_as_client(
        "pg_basebackup", "--dbname", replication_login(BACKUP), "--pgdata", str(to), "--format=plain", "--wal-method=stream",
        "--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password", password=password(BACKUP), holding=holding,
    )  # fmt: skip
    if code == 0:
        return
    if _NOT_LET_IN.search(said):
        raise Refused(f"the server does not let `{BACKUP}` copy it", remedy=REMEDY)
    raise Unavailable(
        "the copy of the database broke off; nothing of it is kept",
        remedy="look whether the server runs (`hub db status`) and whether the disk is full, then try again",
    )


REMEDY = (
    f"let an administrator run `hub db roles --backup` and allow `{BACKUP}` in pg_hba.conf (`hostssl replication {BACKUP} …`); "
    "or use the tool that this server is backed up with, and run `hub recover` after each restore"
)


def prove(copied: Path) -> None:
    """Compare every file of the copy with its manifest, and read the log it needs; ``Refused`` names what is damaged.

    The log of a server of another major version than the embedded one cannot be read here and is taken as it is.
    """
    if not (copied / manifest.NAME).is_file():
        raise Mistake(f"{copied} is no copy of a database", remedy="`hub backup list` shows the backups there are")
    found = list(manifest.damages(copied)) or list(_broken_logs(copied))
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise Refused(
            f"the backup {copied.parent.name} is damaged: {'; '.join(found[:_SHOWN])}{more}",
            remedy="use another backup (`hub backup verify` names the sound ones); make a new one if this was the last",
        )


def _broken_logs(copied: Path) -> Iterator[str]:
    if (copied / "PG_VERSION").read_text(encoding="ascii").strip() != server_version():
        return
    for log in manifest.logs(copied):
        code, _ = run_as_client(
            "pg_waldump", "--quiet", f"--path={copied / 'pg_wal'}", f"--timeline={log.timeline}", f"--start={log.start}", f"--end={log.end}"
        )
        if code != 0:
            yield f"its log cannot be read from {log.start} to {log.end} (pg_wal)"
