"""What the database driver says, in the hub's words and without a value.

PostgreSQL and its drivers quote values in messages and details, so none of their text is passed on:
only the SQLSTATE and the names of the objects concerned (privacy rule 19).
"""

import re
from typing import Protocol

from hub.errors import HubError, Mistake, Unavailable

# PostgreSQL appendix A: connection exception, insufficient resources, operator intervention, lock not
# available, deadlock, serialization failure. Each may succeed when tried again. XX000 too: it is what PostgreSQL says
# when the catalogue changes under a statement that reads it (another job's first load replaces a table just then).
_PASSING = re.compile(r"^(08...|53...|57P0.|57014|55P03|40P01|40001|XX000)$")
_DISK_FULL = "53100"
_UNKNOWN_LOGIN = re.compile(r"^(28...|3D000)$")
# A refused login reaches libpq as text only. The patterns read the kind of failure; the text goes nowhere.
_LOGIN_TEXT = re.compile(
    r"authentication failed|no password supplied|(role|database) \"[^\"]*\" does not exist|permission denied for database"
)


class Diagnosis(Protocol):
    """The parts of PostgreSQL's error report that name objects and never hold values."""

    @property
    def constraint_name(self) -> str | None:
        """Name of the broken constraint."""

    @property
    def table_name(self) -> str | None:
        """Name of the table."""

    @property
    def column_name(self) -> str | None:
        """Name of the column."""


class StatementRefused(HubError):  # noqa: N818 (named like its siblings in hub.errors)
    """PostgreSQL refused a statement: a broken constraint, a missing right, a missing table.

    ``sqlstate`` is the five-character code (PostgreSQL appendix A), empty if the driver gave none.
    """

    sqlstate = ""


def not_connected(text: str, role: str) -> HubError:
    """Name a failed connection from the driver's *text*, of which nothing is repeated."""
    if _LOGIN_TEXT.search(text):
        return Mistake(
            f"the database refused the login of `{role}`",
            remedy=f"put the password of `{role}` into its file in HUB_SECRETS, or run `hub db up` to set the roles up",
        )
    return Unavailable(f"the database did not answer (as `{role}`)", remedy="run `hub db up`, or start the server in HUB_DATABASE_URL")


def refused(sqlstate: str | None, diagnosis: Diagnosis | None = None) -> HubError:
    """Name a failed statement by *sqlstate* and by the objects in *diagnosis*."""
    code = sqlstate or ""
    if code == _DISK_FULL:
        return Unavailable(
            "the disk of the hub's database is full (SQLSTATE 53100, 数据库磁盘已满); nothing of this step was kept",
            remedy="make room (`hub library prune` removes what its retention lets go), then run the job again",
        )
    if _PASSING.match(code):
        return Unavailable(f"the database could not finish now (SQLSTATE {code})", remedy="try again; if it stays, run `hub db status`")
    if _UNKNOWN_LOGIN.match(code):
        return not_connected("authentication failed", "the role in use")
    error = StatementRefused(
        f"the database refused a statement (SQLSTATE {code or 'unknown'}{_objects(diagnosis)})",
        remedy="look the code up in PostgreSQL's appendix A; run `hub check` and `hub library plan` to compare tables and declarations",
    )
    error.sqlstate = code
    return error


def refused_by_adbc(error: Exception) -> HubError:
    """Name what ADBC or Arrow raised; without a code the connection was lost or the server went away."""
    return refused(getattr(error, "sqlstate", None) or "08006")


def _objects(diagnosis: Diagnosis | None) -> str:
    if diagnosis is None:
        return ""
    named = {"table": diagnosis.table_name, "column": diagnosis.column_name, "constraint": diagnosis.constraint_name}
    return "".join(f", {what} {name}" for what, name in named.items() if name)
