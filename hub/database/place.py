"""Where the embedded server lives on disk, and whose it is."""

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hub.errors import Refused, Unavailable
from hub.settings import settings

# A socket's path is at most 107 bytes on Linux, 103 on macOS: unix(7), sockaddr_un.
_LONGEST = 103
_SOCKET = ".s.PGSQL.5432"
_SYSTEM_USER = "pgserver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folders of one server. ``user`` and ``group`` are set when root runs it, else None."""

    state: Path
    socket: Path
    user: int | None
    group: int | None

    @classmethod
    def of_settings(cls) -> "Place":
        """Return the place under ``HUB_STATE``; as root this ensures the system user."""
        state = settings().state
        account = _system_user() if os.geteuid() == 0 else None
        return cls(
            state=state,
            socket=socket_folder(state),
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
        )

    @property
    def folder(self) -> Path:
        """Everything of the server but its socket; owned by the server's user."""
        return self.state / "postgres"

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def arriving(self) -> Path:
        """Where a restore prepares the next data directory; there only while one runs, or after one was cut off."""
        return self.folder / "data.restoring"

    @property
    def logs(self) -> Path:
        """The server's logs."""
        return self.state / "logs" / "postgres"

    @property
    def lock(self) -> Path:
        """The file that a starter or stopper holds locked."""
        return self.state / "postgres.lock"

    def prepare(self) -> None:
        """Create the folders, private to the server's user; keep what is there."""
        for folder in (self.folder, self.logs, self.socket):
            _make_private(folder)
            self._give(folder)
            self._make_passable(folder)

    def write(self, file: Path, text: str) -> None:
        """Write *text* into *file*, readable by the server's user alone."""
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        self._give(file)

    def take_over(self, folder: Path) -> None:
        """Make *folder* and all in it the server's own and closed to others."""
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
            self._give(path)

    def private_file(self, name: str, text: str) -> Path:
        """Return a new file with *text*, never readable by anyone but the server's user."""
        handle, path = tempfile.mkstemp(prefix=f"{name}.", dir=self.folder)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        self._give(Path(path))
        return Path(path)

    def clear_half_made(self) -> None:
        """Remove what an interrupted ``initdb`` left; there is no database in it yet."""
        if self.data.exists():
            shutil.rmtree(self.data)

    def open_program(self, installation: Path) -> None:
        """Let the server's user run the wheel's programs, should the repository be closed to others."""
        if self.user is None:
            return
        self._make_passable(installation)
        for path in (installation, *installation.rglob("*")):
            mode = path.lstat().st_mode
            wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
            if wanted != mode and not path.is_symlink():
                path.chmod(wanted)

    def _give(self, path: Path) -> None:
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)

    def _make_passable(self, path: Path) -> None:
        if self.user is None:
            return
        for folder in path.parents:
            found = folder.stat()
            if not found.st_mode & stat.S_IXOTH and found.st_uid != self.user:
                folder.chmod(found.st_mode | stat.S_IXOTH)


def socket_folder(state: Path) -> Path:
    """Return the folder of the socket: in the state folder, or a short private one if that path is too long."""
    near = state / "postgres" / "socket"
    if len(os.fsencode(near / _SOCKET)) <= _LONGEST:
        return near
    # Not TMPDIR or XDG_RUNTIME_DIR: every process must find the same folder, whatever its environment.
    name = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
    return Path("/tmp") / f"hub-{os.geteuid()}-{name}"  # noqa: S108 (made private and checked by _make_private)


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in _trusted():
        raise Refused(f"{folder} belongs to somebody else", remedy="remove it, or set HUB_STATE to a folder of your own")
    folder.chmod(0o700)


def _trusted() -> set[int]:
    return {0, pwd.getpwnam(_SYSTEM_USER).pw_uid} if os.geteuid() == 0 else {os.geteuid()}


def _system_user() -> pwd.struct_passwd:
    """Return the account that runs the server for root, creating it if there is none.

    `useradd` of two processes at once gave it two numbers, one of which is nobody's: they go one after the other.
    """
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
    accounts = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(accounts, fcntl.LOCK_EX)
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 (fixed command; fails if another process was first)
        return pwd.getpwnam(_SYSTEM_USER)
    except (OSError, KeyError):
        raise Unavailable(
            f"root may not run PostgreSQL, and the system user `{_SYSTEM_USER}` could not be created",
            remedy=f"run as an ordinary user, or create the user `{_SYSTEM_USER}` by hand",
        ) from None
    finally:
        os.close(accounts)
