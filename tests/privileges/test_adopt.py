"""``hub.adopt`` runs as the owner for the writer: it takes a plain staged table into an empty place, and nothing else."""

import pytest
import sqlalchemy as sa

from hub.database.engine import engine
from hub.database.failures import StatementRefused
from hub.database.roles import Role
from tests.flows.conftest import Town

STAGED = "CREATE TABLE staging.tried (LIKE population.person__insurance)"
FORBIDDEN = "42501"  # insufficient_privilege, PostgreSQL appendix A


def writing(*statements: str) -> None:
    with engine(Role.WRITER).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def adopting(table: str = "person__insurance", *, library: str = "population", entity: str = "person", staged: str = "tried") -> str:
    return f"SELECT hub.adopt('{library}', '{entity}', '{table}', '{staged}')"


def refusal(*statements: str) -> str:
    with pytest.raises(StatementRefused) as caught:
        writing(*statements)
    return caught.value.sqlstate


def test_a_plain_staged_table_is_adopted(filled: Town) -> None:
    writing(
        STAGED,
        "INSERT INTO staging.tried (row_key, subject, since) VALUES ('a', 7, 3)",
        "CREATE UNIQUE INDEX ON staging.tried (row_key)",
        adopting(),
    )

    assert filled.all("SELECT subject FROM population.person__insurance") == [{"subject": 7}]
    assert filled.all("SELECT tableowner FROM pg_tables WHERE tablename = 'person__insurance'") == [{"tableowner": "hub_owner"}]
    assert refusal("TRUNCATE population.person__insurance") == FORBIDDEN


@pytest.mark.parametrize(
    "call",
    [
        adopting("person__register"),  # filled
        adopting("person__key"),  # filled
        adopting("person"),  # the view
        adopting("entry", library="audit", entity="entry"),
        adopting("batch", library="hub", entity="batch"),
        adopting("job", library="hub", entity="person"),
        adopting("person__insurance", library="staging"),
        adopting("marriage__marriages"),  # another entity's
        adopting("person__nothing"),
        adopting("personXXinsurance"),
        adopting(staged="nothing"),
        adopting(staged="../population.person__insurance"),
        adopting('person__insurance"; DROP TABLE audit.entry; --'),
        adopting(library="population; DROP SCHEMA audit CASCADE"),
        "SELECT hub.adopt(NULL, NULL, NULL, NULL)",
        "SELECT hub.adopt('population', 'person', 'person__insurance', NULL)",
    ],
)
def test_nonsense_is_refused(filled: Town, call: str) -> None:
    before = filled.all("SELECT oid::int, relname FROM pg_class WHERE relnamespace = 'population'::regnamespace ORDER BY 1")
    refusal(STAGED, call)
    assert filled.all("SELECT oid::int, relname FROM pg_class WHERE relnamespace = 'population'::regnamespace ORDER BY 1") == before


@pytest.mark.parametrize(
    "staged",
    [
        "CREATE TABLE staging.tried (row_key bytea)",
        "CREATE TABLE staging.tried (LIKE population.person__insurance, more integer)",
        "CREATE TABLE staging.tried (LIKE population.person__register)",
    ],
)
def test_other_columns_are_refused(filled: Town, staged: str) -> None:
    refusal(staged, adopting())


# Whatever is attached to a table runs with the rights of its owner once the owner has it.
_EVIL = "CREATE FUNCTION staging.evil() RETURNS boolean LANGUAGE sql AS 'SELECT true'"
_EVIL_KEY = "CREATE FUNCTION staging.evil(bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS 'SELECT $1'"
_EVIL_TRIGGER = "CREATE FUNCTION staging.evil_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"


@pytest.mark.parametrize(
    "prepared",
    [
        ("CREATE VIEW staging.tried AS SELECT * FROM population.person__insurance",),
        ("CREATE MATERIALIZED VIEW staging.tried AS SELECT * FROM population.person__insurance",),
        ("CREATE TABLE staging.tried (LIKE population.person__insurance) PARTITION BY HASH (row_key)",),
        ("CREATE UNLOGGED TABLE staging.tried (LIKE population.person__insurance)",),
        (STAGED, "CREATE TABLE staging.child () INHERITS (staging.tried)"),
        ("CREATE TABLE staging.parent (LIKE population.person__insurance)", "CREATE TABLE staging.tried () INHERITS (staging.parent)"),
        (STAGED, "CREATE RULE evil AS ON INSERT TO staging.tried DO ALSO DELETE FROM hub.library_version"),
        (STAGED, _EVIL_TRIGGER, "CREATE TRIGGER evil BEFORE INSERT ON staging.tried FOR EACH ROW EXECUTE FUNCTION staging.evil_trigger()"),
        (STAGED, _EVIL, "CREATE POLICY evil ON staging.tried USING (staging.evil())"),
        (STAGED, "ALTER TABLE staging.tried ENABLE ROW LEVEL SECURITY"),
        (STAGED, "ALTER TABLE staging.tried FORCE ROW LEVEL SECURITY"),
        (STAGED, _EVIL, "ALTER TABLE staging.tried ADD CHECK (staging.evil())"),
        (STAGED, "ALTER TABLE staging.tried ADD CHECK (false)"),
        (STAGED, _EVIL_KEY, "ALTER TABLE staging.tried ALTER row_key SET DEFAULT staging.evil('')"),
        (STAGED, _EVIL_KEY, "CREATE INDEX ON staging.tried (staging.evil(row_key))"),
        (STAGED, _EVIL, "CREATE INDEX ON staging.tried (row_key) WHERE staging.evil()"),
        (STAGED, "GRANT ALL ON staging.tried TO PUBLIC"),
        (STAGED, "GRANT TRUNCATE ON staging.tried TO hub_reader"),
        (STAGED, "GRANT UPDATE (row_key) ON staging.tried TO hub_auditor"),
    ],
)
def test_a_table_with_anything_attached_is_refused(filled: Town, prepared: tuple[str, ...]) -> None:
    refusal(*prepared, adopting())


def test_code_of_the_writer_never_runs_as_the_owner(filled: Town) -> None:
    """A policy on an adopted table would have run inside the next call, as the owner, and emptied the audit trail."""
    evil = (
        "CREATE FUNCTION staging.evil() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        "ALTER TABLE audit.entry DISABLE TRIGGER ALL; DELETE FROM audit.entry; RETURN true; END $$"
    )
    entries = filled.all("SELECT count(*) AS entries FROM audit.entry")

    refusal(
        STAGED, evil, "CREATE POLICY evil ON staging.tried USING (staging.evil())", "INSERT INTO staging.tried (row_key, subject) VALUES ('a', 1)",
        "ALTER TABLE staging.tried ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", adopting(),
        "CREATE TABLE staging.again (LIKE population.person__insurance)", adopting(staged="again"),
    )  # fmt: skip

    assert filled.all("SELECT count(*) AS entries FROM audit.entry") == entries


@pytest.mark.parametrize("role", [Role.READER, Role.AUDITOR])
def test_only_the_writer_may_call_it(filled: Town, role: Role) -> None:
    writing(STAGED)
    with engine(role).connect() as connection, pytest.raises(StatementRefused) as caught:
        connection.execute(sa.text(adopting()))
    assert caught.value.sqlstate == FORBIDDEN
    writing("DROP TABLE staging.tried")
