"""Parts of a large table: about equal, every row once, whatever the key column holds."""

import pytest

from connectors.protocol import Place, Window
from connectors.registry import open_connector
from hub.errors import Mistake, Unavailable

ROWS = 20_000


@pytest.fixture(params=["postgres", pytest.param("mysql", marks=pytest.mark.services), "sqlite"])
def table(request):
    """Return a function that makes a table of one column by SQL, and opens it."""

    def opened(kind: str, value: str, rows: int = ROWS):
        numbers = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        if request.param == "sqlite":
            path = request.getfixturevalue("sqlite")(f"CREATE TABLE t (k {kind})", f"{numbers} INSERT INTO t SELECT {value} FROM n")
            return open_connector(request.getfixturevalue("source")("sqlite", path=str(path)), Place(table="t"))
        department = request.getfixturevalue({"postgres": "postgres", "mysql": "mariadb"}[request.param])
        numbers = f"generate_series(1, {rows}) AS n (i)" if request.param == "postgres" else f"(SELECT seq AS i FROM seq_1_to_{rows}) AS n"
        department.run(f"CREATE TABLE t (k {kind})", f"INSERT INTO t SELECT {value} FROM {numbers}")
        return open_connector(department.source(), Place(table="t"), password=department.password)

    return opened


def sizes(session, number):
    return [session.count(Window(part=part)) for part in session.parts(["k"], number)]


def test_unique_numbers_give_equal_parts(table):
    with table("bigint", "i * 1003") as session:
        assert all(abs(size - ROWS // 4) <= 1 for size in sizes(session, 4))


@pytest.mark.parametrize(
    ("kind", "value"), [("varchar(20)", "100000000000000000 + i"), ("decimal(20, 2)", "i / 4.0"), ("double precision", "i / 3.0")]
)
def test_parts_of_other_types_are_about_equal(table, kind, value):
    with table(kind, value) as session:
        found = sizes(session, 4)
    assert sum(found) == ROWS
    assert max(found) - min(found) < ROWS // 100


def test_nulls_lie_in_the_first_part_and_few_values_give_few_parts(table):
    with table("integer", "CASE WHEN i % 10 = 0 THEN NULL ELSE i % 2 END") as session:
        found = sizes(session, 8)
    assert sum(found) == ROWS
    assert found[0] >= ROWS // 10
    assert len(found) <= 3


def test_an_empty_table_is_one_part(table):
    with table("integer", "i", rows=1) as session:
        assert sizes(session, 1) == [1]
        assert sum(sizes(session, 4)) == 1


def test_a_large_table_is_divided_by_a_sample(postgres):
    from connectors import postgres as connector

    filler = "x" * 2000
    postgres.run(
        f"CREATE TABLE wide AS SELECT i AS k, '{filler}'::text AS filler FROM generate_series(1, 100000) AS i",
        "ALTER TABLE wide ALTER filler SET STORAGE PLAIN",
    )
    with open_connector(postgres.source(), Place(table="wide"), password=postgres.password) as session:
        assert connector.SAMPLED_PAGES * 10 < 100_000 * 2000 / 8192
        assert "TABLESAMPLE" in session._sample()
        parts = session.parts(["k"], 4)
        assert session.parts(["k"], 4) == parts
        found = [session.count(Window(part=part)) for part in parts]
    assert sum(found) == 100_000
    assert max(found) < 35_000


def test_a_shared_snapshot_outlives_a_change_but_not_its_session(postgres):
    postgres.run("CREATE TABLE t AS SELECT 1 AS k")
    with open_connector(postgres.source(), Place(table="t"), password=postgres.password) as first:
        shared = first.share()
        postgres.run("INSERT INTO t VALUES (2)")
        with open_connector(postgres.source(), Place(table="t"), password=postgres.password) as second:
            assert second.count(Window()) == 2
            second.join(shared)
            assert second.count(Window()) == 1
    with open_connector(postgres.source(), Place(table="t"), password=postgres.password) as late:
        with pytest.raises(Mistake):
            late.join("'; DROP TABLE t; --")
        with pytest.raises(Unavailable):
            late.join(shared)


@pytest.mark.services
def test_a_column_that_orders_otherwise_than_it_compares_divides_nothing(mariadb):
    mariadb.run("CREATE TABLE t (k enum('z', 'a', 'm'))", "INSERT INTO t VALUES ('z'), ('a'), ('m')")
    with open_connector(mariadb.source(), Place(table="t"), password=mariadb.password) as session:
        assert [part.whole for part in session.parts(["k"], 3)] == [True]
