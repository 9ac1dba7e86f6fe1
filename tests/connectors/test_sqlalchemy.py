"""Any SQLAlchemy URL, against the three databases at hand."""

from time import monotonic

import pytest

from connectors.protocol import Place, Window
from connectors.registry import open_connector
from hub.errors import HubError, Mistake, Unavailable


@pytest.fixture(params=["postgres", pytest.param("mysql", marks=pytest.mark.services)])
def department(request):
    return request.getfixturevalue({"postgres": "postgres", "mysql": "mariadb"}[request.param])


def through(department, **declared):
    source = department.source()
    driver = {"postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}[source.connector]
    return source.model_copy(update={"connector": "sqlalchemy", "url": f"{driver}://{source.url.partition('://')[2]}", **declared})


def read(department, place, columns=None, window=None, **declared):
    with open_connector(through(department, **declared), place, password=department.password) as session:
        names = columns or session.columns().names
        return [tuple(row.values()) for batch in session.read(names, window or Window()) for row in batch.to_pylist()]


def the_error(kind, department, place, columns=None, window=None, **declared):
    with pytest.raises(kind) as caught:
        read(department, place, columns, window, **declared)
    assert caught.value.remedy
    assert caught.value.__cause__ is None
    return caught.value


def test_a_query_with_colons_and_percent_signs_is_read_as_written(department):
    query = "SELECT '08:00 :x %s %(y)s' AS a, 1 AS b;"
    assert read(department, Place(query=query)) == [("08:00 :x %s %(y)s", "1")]


def test_a_cursor_of_each_type_takes_its_bounds(department):
    department.run(
        "CREATE TABLE t (i bigint, n numeric(20, 2), d date, s varchar(20))",
        "INSERT INTO t VALUES (9, 9.50, '2026-01-09', 'a'), (10, 10.25, '2026-01-10', 'b')",
    )
    for column, bound in (("i", "9"), ("n", "9.50"), ("d", "2026-01-09"), ("s", "a")):
        assert read(department, Place(table="t"), ["i"], Window(cursor=column, after=bound)) == [("10",)]
        assert read(department, Place(query="SELECT * FROM t"), ["i"], Window(cursor=column, until=bound)) == [("9",)]


def test_a_bound_of_another_type_is_a_mistake_without_the_value(department):
    department.run("CREATE TABLE t (d date)", "INSERT INTO t VALUES ('2026-01-09')")
    error = the_error(Mistake, department, Place(table="t"), window=Window(cursor="d", after="110105194912310021"))
    assert "110105" not in str(error)


def test_parts_of_a_table_are_about_equal(department):
    department.run("CREATE TABLE t (k int PRIMARY KEY)")
    department.insert("t", [(n,) for n in range(1000)])
    with open_connector(through(department), Place(table="t"), password=department.password) as session:
        assert all(abs(session.count(Window(part=part)) - 250) <= 1 for part in session.parts(["k"], 4))


def test_a_statement_over_its_time_is_ended(department):
    slow = "pg_sleep(0.2)" if "postgres" in department.source().connector else "sleep(0.2)"
    department.run("CREATE TABLE t (k int PRIMARY KEY)")
    department.insert("t", [(n,) for n in range(100)])
    began = monotonic()
    the_error(Unavailable, department, Place(query=f"SELECT k, {slow} AS slept FROM t"), statement_timeout_seconds=1)
    assert monotonic() - began < 8


def test_a_column_that_may_not_be_read_is_named(postgres):
    postgres.run("CREATE TABLE part (id int, secret varchar(10))")
    postgres.run(f"REVOKE ALL ON part FROM {postgres.name}_reader", f"GRANT SELECT (id) ON part TO {postgres.name}_reader")
    assert read(postgres, Place(table="part"), ["id"]) == []
    assert "'secret'" in the_error(Mistake, postgres, Place(table="part"), ["id", "secret"]).problem


@pytest.mark.services
def test_a_table_open_in_part_is_read_by_a_query_where_it_cannot_be_described(mariadb):
    """MySQL describes a table only to those who may read all of it; the `mysql` connector knows another way."""
    mariadb.run(
        "CREATE TABLE part (id int, secret varchar(10))",
        f"REVOKE SELECT ON {mariadb.name}.* FROM {mariadb.name}@'%'",
        f"GRANT SELECT (id) ON {mariadb.name}.part TO {mariadb.name}@'%'",
    )
    assert "grant SELECT" in the_error(Mistake, mariadb, Place(table="part"), ["id"]).remedy
    assert read(mariadb, Place(query="SELECT id FROM part")) == []


def test_a_wrong_password_points_to_the_secret_file(department):
    with pytest.raises(Mistake) as caught, open_connector(through(department), Place(table="t"), password="wrong"):
        pass
    assert "secrets/tested" in caught.value.remedy


def test_an_error_in_the_data_is_told_without_the_data(postgres):
    postgres.run("CREATE TABLE numbers AS SELECT '110105194912310021' AS id")
    error = the_error(HubError, postgres, Place(query="SELECT id::int AS n FROM numbers"))
    assert "110105" not in str(error)


@pytest.mark.parametrize(
    "url",
    ["oracle+oracledb://reader@127.0.0.1/x", "mssql+pyodbc://reader@127.0.0.1/x", "dm+dmPython://reader@127.0.0.1/", "nothing+at_all://x/"],
)
def test_a_driver_that_is_not_installed_is_named_with_where_to_read(source, url):
    with pytest.raises(Mistake, match="is installed") as caught, open_connector(source("sqlalchemy", url=url), Place(table="t")):
        pass
    assert "add-a-source.md" in caught.value.remedy


@pytest.mark.parametrize(
    "url", ["no url", "postgresql+psycopg://reader:hunter2@127.0.0.1/x", "mssql+pyodbc://h/x?PWD=hunter2", "postgresql+asyncpg://h/x"]
)
def test_a_url_that_cannot_be_is_refused_without_quoting_it(source, url):
    with pytest.raises(Mistake) as caught, open_connector(source("sqlalchemy", url=url), Place(table="t")):
        pass
    assert "hunter2" not in str(caught.value)


def test_a_sqlite_file_that_is_not_there_is_not_made(tmp_path, source):
    with pytest.raises(Unavailable), open_connector(source("sqlalchemy", url=f"sqlite:///{tmp_path}/a.sqlite"), Place(table="t")):
        pass
    assert list(tmp_path.iterdir()) == []
