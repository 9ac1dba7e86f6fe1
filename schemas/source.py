"""A source: one system of one department that the hub may read."""

from typing import Annotated

from pydantic import Field as Setting
from pydantic import StringConstraints

from schemas.declared import Declared, Name, Title


class Source(Declared):
    """Where a department's data is and how gently it is to be read. Never a password.

    ``url`` is used by databases (``postgresql://reader@host:5432/db``),
    ``path`` by files (a folder or a file). ``${HUB_STATE}`` and ``${HUB_HOME}`` are replaced.
    The password is the file named ``secret`` (default: the source's name) in ``HUB_SECRETS``.
    """

    source: Name
    department: Name
    title: Title
    connector: Name
    url: str | None = None
    path: str | None = None
    secret: Name | None = None
    encoding: str = "utf-8"
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    timezone: str = "Asia/Shanghai"
    crs: str | None = None
    hours: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-4]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d$")] = "00:00-24:00"
    readers: int = Setting(default=1, ge=1, le=16)
    fetch_rows: int = Setting(default=65_536, ge=1, le=1_000_000)
    statement_timeout_seconds: int = Setting(default=600, ge=1)
