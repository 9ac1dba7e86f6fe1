"""Alembic migrations of the hub's own tables (schema ``hub``); libraries have their own: ``hub library apply``."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from hub.database.engine import engine
from hub.database.roles import Role

SCHEMA = "hub"
_FOLDER = str(Path(__file__).parent).replace("%", "%%")
_LOCK = 0x6875626D  # "hubm": two upgrades at once run one after the other


def upgrade(revision: str = "head") -> None:
    """Bring the hub's own tables to *revision*, as ``hub_owner``, in one transaction; all of it or nothing."""
    with engine(Role.OWNER).begin() as connection:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        command.upgrade(_configuration(connection), revision)


def current(connection: sa.Connection) -> str | None:
    """Return the revision that the hub's own tables are at, ``None`` before the first; needs the owner role."""
    return MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA}).get_current_revision()


def known(revision: str) -> bool:
    """Whether this code has the migration *revision*: tables of a newer hub are not to be touched by an older one."""
    found = Config()
    found.set_main_option("script_location", _FOLDER)
    return revision in {one.revision for one in ScriptDirectory.from_config(found).walk_revisions()}


def _configuration(connection: sa.Connection) -> Config:
    """Configure Alembic here, not in a file: the connection comes from the role, the folder from the package."""
    configuration = Config()
    configuration.set_main_option("script_location", _FOLDER)
    configuration.attributes["connection"] = connection
    return configuration
