"""What each role may do, tried against the real server: nobody alters what must only grow."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from hub.database import embedded, migrations
from hub.database.engine import adbc, engine
from hub.database.failures import StatementRefused
from hub.database.passwords import password
from hub.database.roles import Role, establish
from hub.errors import Unavailable

_FORBIDDEN = "42501"  # insufficient_privilege, PostgreSQL appendix A
_SERVICES = [Role.WRITER, Role.READER, Role.AUDITOR]


@pytest.fixture
def ledger(hub_database: Path) -> Iterator[str]:
    """A table of the owner that the writer may add to and read."""
    with engine(Role.OWNER).begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA tried")
        connection.exec_driver_sql("CREATE TABLE tried.ledger (entry int PRIMARY KEY CHECK (entry > 0))")
        connection.exec_driver_sql("GRANT USAGE ON SCHEMA tried TO hub_writer, hub_reader")
        connection.exec_driver_sql("GRANT SELECT, INSERT ON tried.ledger TO hub_writer")
        connection.exec_driver_sql("GRANT SELECT ON tried.ledger TO hub_reader")
    yield "tried.ledger"
    with engine(Role.OWNER).begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA tried CASCADE")


def _refusal(role: Role, statement: str) -> str:
    with engine(role).connect() as connection, pytest.raises(StatementRefused) as caught:
        connection.exec_driver_sql(statement)
    return caught.value.sqlstate


@pytest.mark.parametrize("role", list(Role))
def test_no_role_is_a_superuser_or_may_make_roles_and_databases(hub_database: Path, role: Role) -> None:
    rights = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    with engine(role).connect() as connection:
        assert connection.exec_driver_sql(f"SELECT {rights} FROM pg_roles WHERE rolname = current_user").scalar_one() is False


@pytest.mark.parametrize("role", _SERVICES)
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE tried.ledger",
        "DELETE FROM tried.ledger",
        "UPDATE tried.ledger SET entry = 2",
        "ALTER TABLE tried.ledger ADD COLUMN more int",
        "ALTER TABLE tried.ledger DISABLE TRIGGER ALL",
        "DROP TABLE tried.ledger",
        "CREATE TABLE tried.other ()",
        "CREATE TABLE public.other ()",
        "CREATE SCHEMA other",
        "CREATE TRIGGER t BEFORE INSERT ON tried.ledger EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()",
        "SET session_replication_role = replica",
        "SET ROLE hub_owner",
        "SET SESSION AUTHORIZATION postgres",
        "COPY (SELECT 1) TO '/tmp/outside'",
        "SELECT pg_read_file('postgresql.conf')",
    ],
)
def test_no_service_may_alter_what_the_owner_made(ledger: str, role: Role, statement: str) -> None:
    assert _refusal(role, statement) == _FORBIDDEN


def test_the_owner_may_not_switch_triggers_off_for_a_session_or_read_files(hub_database: Path) -> None:
    assert _refusal(Role.OWNER, "SET session_replication_role = replica") == _FORBIDDEN
    assert _refusal(Role.OWNER, "SELECT pg_read_file('postgresql.conf')") == _FORBIDDEN


@pytest.mark.parametrize(
    ("role", "database"), [(Role.AIRFLOW, "hub"), (Role.WRITER, "airflow"), (Role.OWNER, "postgres"), (Role.READER, "template1")]
)
def test_a_role_enters_its_own_database_alone(hub_database: Path, role: Role, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(host=str(embedded.status().socket), user=role, password=password(role), dbname=database)


def test_a_function_of_the_owner_takes_over_a_table_that_the_writer_staged(hub_database: Path) -> None:
    take_over = """
        CREATE FUNCTION taken.publish() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        BEGIN ALTER TABLE staged_by.rows OWNER TO hub_owner; ALTER TABLE staged_by.rows SET SCHEMA taken; END $$"""
    with engine(Role.OWNER).begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA staged_by; CREATE SCHEMA taken; GRANT USAGE, CREATE ON SCHEMA staged_by TO hub_writer")
        connection.exec_driver_sql("GRANT USAGE ON SCHEMA taken TO hub_writer")
        connection.exec_driver_sql(take_over)
    try:
        with engine(Role.WRITER).begin() as connection:
            connection.exec_driver_sql("CREATE UNLOGGED TABLE staged_by.rows AS SELECT 1 AS one")
            connection.exec_driver_sql("SELECT taken.publish()")
        assert _refusal(Role.WRITER, "TRUNCATE taken.rows") == _FORBIDDEN
        with engine(Role.OWNER).connect() as connection:
            assert connection.exec_driver_sql("SELECT one FROM taken.rows").scalar_one() == 1
    finally:
        with engine(Role.OWNER).begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA taken CASCADE; DROP SCHEMA staged_by CASCADE")


def test_setting_the_roles_up_again_changes_nothing(hub_database: Path) -> None:
    establish(f"host={embedded.status().socket} user=postgres dbname=postgres password={password('postgres')}")
    with engine(Role.READER).connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_an_administrator_who_is_no_superuser_can_set_the_roles_up(state: Path) -> None:
    """As on a managed server, where nobody gets the superuser."""
    embedded.up()
    server = f"host={embedded.status().socket} dbname=postgres"
    with psycopg.connect(f"{server} user=postgres password={password('postgres')}", autocommit=True) as connection:
        for statement in (
            "DROP DATABASE hub",
            "DROP DATABASE airflow",
            "DROP ROLE hub_owner, hub_writer, hub_reader, hub_auditor, airflow",
            "CREATE ROLE city_admin LOGIN CREATEROLE CREATEDB PASSWORD 'chosen-by-the-city'",
            "GRANT CONNECT ON DATABASE postgres TO city_admin",
        ):
            connection.execute(sql.SQL(statement))

    for _ in range(2):  # the second time changes nothing
        establish(f"{server} user=city_admin password=chosen-by-the-city")

    migrations.upgrade()
    assert _refusal(Role.WRITER, "CREATE SCHEMA other") == _FORBIDDEN
    with engine(Role.AIRFLOW).connect() as connection:
        assert connection.exec_driver_sql("SELECT current_database()").scalar_one() == "airflow"


def test_a_broken_constraint_is_named_without_the_value(ledger: str) -> None:
    with engine(Role.WRITER).connect() as connection, pytest.raises(StatementRefused) as caught:
        connection.execute(sa.text("INSERT INTO tried.ledger VALUES (:entry)"), {"entry": -770077})
    assert "770077" not in str(caught.value)
    assert caught.value.sqlstate == "23514"  # check_violation
    assert "table ledger, constraint ledger_entry_check" in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_lock_that_is_not_given_is_something_to_try_again(ledger: str) -> None:
    with engine(Role.OWNER).begin() as holder, engine(Role.WRITER).connect() as waiting:
        holder.exec_driver_sql("LOCK TABLE tried.ledger")
        waiting.exec_driver_sql("SET lock_timeout = '50ms'")
        with pytest.raises(Unavailable, match="55P03"):
            waiting.exec_driver_sql("SELECT * FROM tried.ledger")


def test_arrow_goes_in_and_out_by_role(ledger: str) -> None:
    with adbc(Role.READER) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user::text AS who, current_setting('lock_timeout') AS patience")
        assert cursor.fetch_arrow_table().to_pylist() == [{"who": "hub_reader", "patience": "10s"}]
