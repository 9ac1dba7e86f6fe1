"""A source: one system of one department that the hub may read."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field as Setting
from pydantic import StringConstraints, model_validator

from schemas.declared import Declared, Name, Title
from schemas.opening import ALWAYS, HOURS

Word = Annotated[str, StringConstraints(min_length=1)]


class Login(StrEnum):
    """How an API wants to be told who asks; the secret is the source's password."""

    NONE = "none"
    BEARER = "bearer"
    BASIC = "basic"
    API_KEY = "api_key"


class Paging(StrEnum):
    """How an API divides its rows: by page number, by offset, by a token in the answer, by a link, or not."""

    NONE = "none"
    NUMBER = "number"
    OFFSET = "offset"
    TOKEN = "token"  # noqa: S105  the name of a style
    LINK = "link"


class Pages(Declared):
    """How the next page is asked for.

    ``number`` and ``offset`` count in ``parameter`` from ``first``; ``token`` sends in ``parameter`` what the answer holds at ``next``;
    ``link`` follows what the answer holds at ``next``, or its header ``Link``.
    The last page is the one after which there is none; an API that repeats its last page needs ``total``.
    """

    style: Paging = Paging.NONE
    parameter: Word | None = None
    first: int = Setting(default=1, ge=0, le=1)
    size_parameter: Word | None = None
    size: int = Setting(default=500, ge=1, le=100_000)
    next: Word | None = None
    total: Word | None = None

    @model_validator(mode="after")
    def _says_how(self) -> "Pages":
        if self.style in {Paging.NUMBER, Paging.OFFSET, Paging.TOKEN} and self.parameter is None:
            raise ValueError(f"pages by {self.style} need `parameter`: what the API calls it")
        if self.style is Paging.TOKEN and self.next is None:
            raise ValueError("pages by token need `next`: where the answer holds the next token")
        return self


class Api(Declared):
    """How an HTTP API is asked, and where its answer holds the rows.

    ``rows``, ``next`` and ``total`` are paths of names with points between them; without ``rows`` the answer is the list.
    ``since`` and ``until`` name parameters that take the cursor's bounds, so that the API leaves out what is not wanted;
    whether it does so exactly does not matter.
    """

    rows: Word | None = None
    login: Login = Login.NONE
    header: Word = "X-API-Key"
    user: Word | None = None
    columns: tuple[Word, ...] = ()
    pages: Pages = Pages()
    since: Word | None = None
    until: Word | None = None
    requests_per_second: float = Setting(default=5, ge=0.01, le=1000)
    timeout_seconds: int = Setting(default=30, ge=1, le=600)
    patience_seconds: int = Setting(default=300, ge=0, le=3600)
    max_pages: int = Setting(default=10_000, ge=1)
    max_rows: int = Setting(default=10_000_000, ge=1)
    max_page_mib: int = Setting(default=64, ge=1, le=1024)
    ca: str | None = None


class Replica(Declared):
    """A copy of a database that is read in its place.

    A replica that is further behind than ``lag_seconds`` is not read, as far as it tells (PostgreSQL, MySQL and MariaDB do).
    ``else_primary`` lets the hub read the primary when the replica is away or too far behind.
    """

    url: Word
    lag_seconds: int = Setting(default=300, ge=0)
    else_primary: bool = False


class Source(Declared):
    """Where a department's data is and how gently it is to be read. Never a password.

    ``url`` is used by databases (``postgresql://reader@host:5432/db``),
    ``path`` by files (a folder or a file), ``api`` by HTTP beside its ``url``. ``${HUB_STATE}`` and ``${HUB_HOME}`` are replaced.
    The password is the file named ``secret`` (default: the source's name) in ``HUB_SECRETS``.
    """

    source: Name
    department: Name
    title: Title
    connector: Name
    url: str | None = None
    path: str | None = None
    secret: Name | None = None
    api: Api = Api()
    replica: Replica | None = None
    encoding: str = "utf-8"
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    timezone: str = "Asia/Shanghai"
    crs: str | None = None
    hours: Annotated[str, StringConstraints(pattern=HOURS)] = ALWAYS
    readers: int = Setting(default=1, ge=1, le=16)
    fetch_rows: int = Setting(default=65_536, ge=1, le=1_000_000)
    statement_timeout_seconds: int = Setting(default=600, ge=1)
