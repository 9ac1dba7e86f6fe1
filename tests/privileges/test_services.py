"""What the services' roles may not do to what must only grow, and what they can do (privacy rule 22)."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from hub.database.engine import engine
from hub.database.failures import StatementRefused
from hub.database.roles import Role
from tests.flows.conftest import Town

FORBIDDEN = "42501"  # insufficient_privilege, PostgreSQL appendix A
SERVICES = (Role.WRITER, Role.READER, Role.AUDITOR)


def refusal(role: Role, statement: str) -> str:
    with engine(role).connect() as connection, pytest.raises(StatementRefused) as caught:
        connection.exec_driver_sql(statement)
    return caught.value.sqlstate


def changing(table: str, column: str) -> Iterator[str]:
    yield f"UPDATE {table} SET {column} = {column}"
    yield f"DELETE FROM {table}"
    yield f"TRUNCATE {table}"


def defining(table: str) -> Iterator[str]:
    yield f"ALTER TABLE {table} ADD COLUMN more integer"
    yield f"ALTER TABLE {table} DISABLE TRIGGER ALL"
    yield f"ALTER TABLE {table} SET UNLOGGED"
    yield f"ALTER TABLE {table} OWNER TO CURRENT_USER"
    yield f"DROP TABLE {table}"
    yield f"CREATE RULE nothing AS ON INSERT TO {table} DO INSTEAD NOTHING"
    yield f"CREATE TRIGGER nothing BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()"
    yield f"CREATE INDEX ON {table} ((1))"
    yield f"COMMENT ON TABLE {table} IS 'mine'"


ESCALATIONS = (
    "SET ROLE hub_owner",
    "SET SESSION AUTHORIZATION hub_owner",
    "SET session_replication_role = replica",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "GRANT hub_owner TO CURRENT_USER",
    "CREATE ROLE intruder",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "CREATE TEMP TABLE lines (line text); COPY lines FROM PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/outside'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT lo_import('/etc/hostname')",
    "SELECT pg_reload_conf()",
    "SET log_statement = 'all'",
    "SET log_min_error_statement = 'error'",
    "SELECT passwd FROM pg_shadow",
    "SELECT rolpassword FROM pg_authid",
    "DROP EXTENSION plpgsql",
    "CREATE LANGUAGE anything HANDLER plpgsql_call_handler",
    "CREATE SCHEMA other",
    "CREATE TABLE public.other ()",
    "CREATE TABLE hub.other ()",
    "CREATE TABLE audit.other ()",
    "CREATE FUNCTION hub.adopt(text) RETURNS void LANGUAGE sql AS ''",
    "CREATE OR REPLACE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    "ALTER FUNCTION audit.refuse() OWNER TO CURRENT_USER",
    "DROP SCHEMA audit CASCADE",
    "DROP OWNED BY hub_owner",
    "ALTER DATABASE hub SET session_replication_role = replica",
)


@pytest.mark.parametrize("role", SERVICES)
def test_no_service_becomes_more_than_it_is(filled: Town, role: Role) -> None:
    assert {statement: refusal(role, statement) for statement in ESCALATIONS} == dict.fromkeys(ESCALATIONS, FORBIDDEN)


@pytest.mark.parametrize("role", [*SERVICES, Role.OWNER])
def test_nobody_configures_the_server(filled: Town, role: Role) -> None:
    with engine(role).connect().execution_options(isolation_level="AUTOCOMMIT") as connection, pytest.raises(StatementRefused) as caught:
        connection.exec_driver_sql("ALTER SYSTEM SET log_statement = 'all'")
    assert caught.value.sqlstate == FORBIDDEN


@pytest.mark.parametrize("role", SERVICES)
def test_no_service_alters_an_audit_entry(filled: Town, role: Role) -> None:
    statements = [
        *changing("audit.entry", "actor"),
        *defining("audit.entry"),
        "MERGE INTO audit.entry e USING (SELECT 1) o ON true WHEN MATCHED THEN DELETE",
    ]
    assert {statement: refusal(role, statement) for statement in statements} == dict.fromkeys(statements, FORBIDDEN)


def test_even_their_owner_does_not_alter_an_audit_entry_by_mistake(filled: Town) -> None:
    for statement in changing("audit.entry", "actor"):
        assert refusal(Role.OWNER, statement) == "P0001"  # raise_exception: the trigger
    assert filled.all("SELECT count(*) AS entries FROM audit.entry")[0]["entries"]


def test_the_writer_adds_audit_entries_and_does_not_read_them(filled: Town) -> None:
    with engine(Role.WRITER).begin() as connection:
        connection.exec_driver_sql("INSERT INTO audit.entry (event, actor, details) VALUES ('batch:staged', 'test', '{}')")
    assert refusal(Role.WRITER, "SELECT FROM audit.entry") == FORBIDDEN
    assert refusal(Role.READER, "SELECT FROM audit.entry") == FORBIDDEN
    assert refusal(Role.READER, "INSERT INTO audit.entry (event, actor, details) VALUES ('e', 'a', '{}')") == FORBIDDEN


def test_nobody_chooses_the_number_of_an_audit_entry(filled: Town) -> None:
    given = "INSERT INTO audit.entry (id, event, actor, details) {} VALUES (1, 'batch:staged', 'test', '{{}}')"
    assert refusal(Role.WRITER, given.format("")) == "428C9"  # generated_always
    assert refusal(Role.WRITER, given.format("OVERRIDING SYSTEM VALUE")) == FORBIDDEN
    assert refusal(Role.WRITER, "SELECT setval('audit.entry_id_seq', 1)") == FORBIDDEN


def test_nobody_chooses_the_time_of_an_audit_entry(filled: Town) -> None:
    backdated = "INSERT INTO audit.entry (at, event, actor, details) VALUES ('2001-01-01', 'batch:staged', 'test', '{}')"
    assert refusal(Role.WRITER, backdated) == FORBIDDEN


def test_the_auditor_reads_the_record_and_no_library(filled: Town) -> None:
    with engine(Role.AUDITOR).connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM audit.entry").scalar_one()
        assert connection.exec_driver_sql("SELECT count(*) FROM hub.batch").scalar_one()
    for table in ("population.person", "population.person__register", "population.person__key", "hub.quarantine"):
        assert refusal(Role.AUDITOR, f"SELECT FROM {table}") == FORBIDDEN


@pytest.mark.parametrize("role", [Role.READER, Role.AUDITOR])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("hub.batch", "state"), ("hub.batch_check", "failing"), ("hub.watermark", "cursor"), ("hub.library_version", "cause"),
        ("hub.authority", "rank"), ("hub.library_view", "definition"), ("hub.quarantine", "sealed"), ("hub.job", "paused"),
        ("population.person__register", "sex_code"), ("population.person__register__history", "sex_code"), ("population.person__key", "key"),
    ],
)  # fmt: skip
def test_who_only_reads_changes_nothing(filled: Town, role: Role, table: str, column: str) -> None:
    statements = [*changing(table, column), f"INSERT INTO {table} DEFAULT VALUES", *defining(table)]
    assert {statement: refusal(role, statement) for statement in statements} == dict.fromkeys(statements, FORBIDDEN)


@pytest.mark.parametrize(
    ("table", "statements"),
    [
        ("hub.batch", ("DELETE FROM hub.batch",)),
        ("hub.batch_check", ("DELETE FROM hub.batch_check", "UPDATE hub.batch_check SET failing = 0")),
        ("hub.watermark", ("DELETE FROM hub.watermark",)),
        ("hub.library_version", ("DELETE FROM hub.library_version", "UPDATE hub.library_version SET cause = 'epoch'")),
        (
            "hub.authority",
            ("DELETE FROM hub.authority", "UPDATE hub.authority SET rank = 1", "INSERT INTO hub.authority SELECT * FROM hub.authority"),
        ),
        ("hub.library_view", ("DELETE FROM hub.library_view", "UPDATE hub.library_view SET definition = 'SELECT 1'")),
        ("hub.quarantine", ()),
        ("hub.job", ("DELETE FROM hub.job",)),
        ("population.person__register", ("UPDATE population.person__register SET sex_code = '2'",)),
        ("population.person__register__history", ("UPDATE population.person__register__history SET until = 9",)),
        ("population.person__insurance", ("UPDATE population.person__insurance SET since = 9",)),
        ("population.person__key", ("UPDATE population.person__key SET key = ''", "UPDATE population.person__key SET subject = 1")),
    ],
)
def test_the_writer_writes_rows_and_neither_empties_nor_defines(filled: Town, table: str, statements: tuple[str, ...]) -> None:
    tried = [*statements, f"TRUNCATE {table}", *defining(table)]
    assert {statement: refusal(Role.WRITER, statement) for statement in tried} == dict.fromkeys(tried, FORBIDDEN)


def test_reading_the_library_works_for_the_reader(filled: Town) -> None:
    with engine(Role.READER).connect() as connection:
        assert connection.execute(sa.text("SELECT birth_year FROM population.person")).scalars().all() == [1990]
