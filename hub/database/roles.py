"""The roles and databases of the hub, on any PostgreSQL 15 or newer.

hub_owner     owns the database `hub` and every schema in it; runs DDL (migrations, `hub library apply`); no service
hub_writer    reads and writes rows; may neither define nor truncate what hub_owner made
hub_reader    reads
hub_auditor   reads the audit trail and lineage
airflow       owns the database `airflow`; cannot even connect to `hub`
hub_backup    copies the server's files as a standby would (replication); cannot connect to any database

hub_owner is a member of hub_writer, so that a SECURITY DEFINER function of the owner can take over a table
that a writer staged. None is a superuser: append-only tables hold against all of them (privacy rule 22).

On a server of your own: put each role's password in HUB_SECRETS (or let this module generate them) and run
`hub db roles` once with the URL of an administrator: a superuser, or a role with CREATEROLE and CREATEDB.
Afterwards HUB_DATABASE_URL with hub_owner suffices, and the administrator is never needed again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from hub.database.failures import not_connected, refused
from hub.database.passwords import ensure_password


class Role(StrEnum):
    """A login of the hub. Each has its own password file in ``HUB_SECRETS``."""

    OWNER = "hub_owner"
    WRITER = "hub_writer"
    READER = "hub_reader"
    AUDITOR = "hub_auditor"
    AIRFLOW = "airflow"

    @property
    def database(self) -> str:
        """Name of the one database this role may connect to."""
        return "airflow" if self is Role.AIRFLOW else "hub"

    @property
    def identifier(self) -> sql.Identifier:
        """The role's name, quoted for SQL."""
        return sql.Identifier(self.value)


# Not a Role: it logs in to no database.
BACKUP = "hub_backup"

_OWNERS = {"hub": Role.OWNER, "airflow": Role.AIRFLOW}


def establish(administrator: str) -> None:
    """Create what is missing of roles, databases and rights, and set every role's password from its file.

    *administrator* is a connection string with the right to do so. Idempotent. Passwords travel as SCRAM verifiers,
    so the server's log cannot hold them. Raises ``Unavailable`` or ``Mistake``, without the connection string.
    """
    with _connected(administrator) as connection:
        for role in Role:
            _ensure_login(connection, role)
        _grant(connection, Role.WRITER.identifier, Role.OWNER.identifier)
        for name, owner in _OWNERS.items():
            _ensure_database(connection, name, owner)
        _allow(connection)
    for name in _OWNERS:
        with _connected(make_conninfo(administrator, dbname=name)) as connection:
            connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")


def establish_backup(administrator: str) -> None:
    """Create the role of backups and set its password from its file; *administrator* needs the right to replicate itself.

    Apart from :func:`establish`, because a server of one's own may be backed up by other tools. Idempotent.
    """
    with _connected(administrator) as connection:
        _ensure_login(connection, BACKUP)
        connection.execute(sql.SQL("ALTER ROLE {} WITH REPLICATION").format(sql.Identifier(BACKUP)))


@contextmanager
def _connected(administrator: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(administrator, autocommit=True, application_name="hub roles") as connection:
            yield connection
    except psycopg.Error as error:
        raise (refused(error.sqlstate, error.diag) if error.sqlstate else not_connected(str(error), "the administrator")) from None


def _ensure_login(connection: psycopg.Connection, role: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    verifier = connection.pgconn.encrypt_password(ensure_password(role).encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} WITH LOGIN PASSWORD {}").format(sql.Identifier(role), verifier))


def _grant(connection: psycopg.Connection, role: sql.Composable, to: sql.Composable) -> None:
    connection.execute(sql.SQL("GRANT {} TO {}").format(role, to))


def _ensure_database(connection: psycopg.Connection, name: str, owner: Role) -> None:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        return
    if connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() != (True,):
        _grant(connection, owner.identifier, sql.SQL("CURRENT_USER"))  # else it may not give the database away
    statement = "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0"
    connection.execute(sql.SQL(statement).format(sql.Identifier(name), owner.identifier))


def _allow(connection: psycopg.Connection) -> None:
    for name in _OWNERS:
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    for role in (Role.WRITER, Role.READER, Role.AUDITOR):
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE hub TO {}").format(role.identifier))
    # Merging keeps its differences (protected rows only) in temporary tables of its transaction.
    connection.execute(sql.SQL("GRANT TEMPORARY ON DATABASE hub TO {}").format(Role.WRITER.identifier))
