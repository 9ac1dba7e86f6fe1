"""Connections to the hub's database: one function per kind, all by role.

The embedded server is reached by its socket; another by HUB_DATABASE_URL with user, password and database replaced.
Passwords come from HUB_SECRETS and appear in no message.
"""

from functools import cache

import adbc_driver_manager
import adbc_driver_postgresql
import psycopg
import sqlalchemy as sa
from adbc_driver_manager.dbapi import Connection
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.pool import NullPool

from hub.database.failures import not_connected, refused
from hub.database.passwords import password
from hub.database.place import socket_folder
from hub.database.roles import Role
from hub.errors import Mistake
from hub.settings import settings

_LOCK_TIMEOUT = "10s"  # a waiting lock blocks everyone behind it; better to give up and try again


def url(role: Role | str) -> URL:
    """Return the SQLAlchemy URL of *role*, password included (``str()`` of it hides the password)."""
    role = Role(role)
    base = _base()
    return base.set(username=role.value, password=password(role), database=role.database)


def engine(role: Role | str) -> sa.Engine:
    """Return an engine for *role* that keeps no connection open between uses.

    A lock is waited for 10 s. Raises ``Unavailable`` (server away, lock or deadlock: retry helps), ``Mistake``
    (login refused) and ``StatementRefused``: none repeats a value, a statement or a password.
    """
    made = sa.create_engine(
        url(role),
        creator=lambda: _connect(Role(role)),
        poolclass=NullPool,
        hide_parameters=True,
    )
    sa.event.listen(made, "handle_error", _raise_in_our_words)
    return made


def adbc(role: Role | str) -> Connection:
    """Return an ADBC connection for *role*: Arrow in and out by COPY. The caller closes it.

    Connecting raises ``Unavailable`` or ``Mistake``; what is done with it raises ADBC's own errors, which quote values.
    """
    try:
        database = _types_known(_libpq(url(role), "hub adbc"))
        return Connection(_Kept(), adbc_driver_manager.AdbcConnection(database))  # type: ignore[arg-type]  # it is only ever closed
    except adbc_driver_manager.Error as error:
        raise not_connected(str(error), Role(role)) from None


@cache
def _types_known(login: str) -> adbc_driver_manager.AdbcDatabase:
    """Return ADBC's database of *login*, which holds no connection: to learn the types takes ten times as long as to connect."""
    return adbc_driver_postgresql.connect(login)


class _Kept:
    """Stands for a database that outlives the connections to it."""

    def close(self) -> None:
        """Keep it."""


def replication_login(user: str) -> str:
    """Return libpq's keywords for a login of *user* to the server itself, to no database, without its password."""
    return _libpq(_base().set(username=user, password=None, database=None), "hub backup")


def _base() -> URL:
    declared = settings().database_url
    if declared is None:
        return URL.create("postgresql+psycopg", query={"host": str(socket_folder(settings().state))})
    try:
        return make_url(declared).set(drivername="postgresql+psycopg")
    except sa.exc.ArgumentError:
        raise Mistake("HUB_DATABASE_URL is not a URL", remedy="write postgresql://hub_owner@host:5432/hub, without a password") from None


def _libpq(target: URL, application: str) -> str:
    """Return *target* as libpq's keywords: its URI form cannot carry every option that SQLAlchemy's may."""
    keywords = target.get_dialect()().create_connect_args(target)[1]
    given = {"application_name": application, "connect_timeout": 10, "options": f"-clock_timeout={_LOCK_TIMEOUT}"}
    return make_conninfo(**{**given, **keywords})


def _connect(role: Role) -> DBAPIConnection:
    target = url(role)
    try:
        return psycopg.connect(_libpq(target, "hub"))  # type: ignore[return-value]  # SQLAlchemy's protocol is looser
    except psycopg.Error as error:
        raise not_connected(str(error), role) from None


def _raise_in_our_words(context: ExceptionContext) -> None:
    error = context.original_exception
    if not isinstance(error, psycopg.Error):
        return  # already in our words, from _connect
    sqlstate = error.sqlstate or ("08006" if context.is_disconnect else None)
    raise refused(sqlstate, error.diag) from None
