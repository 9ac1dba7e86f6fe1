"""Which code runs: its version, and the commit where it runs from a repository."""

from functools import cache
from importlib.metadata import version

from hub.settings import REPOSITORY


@cache
def code_version() -> str:
    """Return ``<version>+<commit>``, or the version alone outside a repository."""
    number = version("exchange-hub")
    head = REPOSITORY / ".git" / "HEAD"
    if not head.is_file():
        return number
    pointer = head.read_text(encoding="utf-8").strip()
    branch = REPOSITORY / ".git" / pointer.removeprefix("ref: ")
    commit = branch.read_text(encoding="utf-8").strip() if pointer.startswith("ref: ") and branch.is_file() else pointer
    return f"{number}+{commit[:12]}"
