"""PostgreSQL: exact values, least privilege, one snapshot."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from connectors.protocol import Oddity, Place, Window
from connectors.registry import open_connector
from hub.errors import HubError, Mistake, Unavailable


def read(department, place, columns=None, **declared):
    with open_connector(department.source(**declared), place, password=department.password) as session:
        rows = [row for batch in session.read(columns or session.columns().names, Window()) for row in batch.to_pylist()]
        return session.columns(), rows, session.oddities


def the_error(kind, department, place, columns=None, **declared):
    with pytest.raises(kind) as caught:
        read(department, place, columns, **declared)
    return caught.value


def test_values_arrive_exactly(postgres):
    postgres.run(
        "CREATE TABLE kinds AS SELECT 9223372036854775807::bigint AS big, 12345678901234567890.12::numeric(22, 2) AS fixed, 0.1::numeric AS free, "
        "'2026-01-02 03:04:05.678901'::timestamp AS naive, '2026-01-02 03:04:05.678901+08'::timestamptz AS instant, '2026-01-02'::date AS day, "
        "'ab'::char(5) AS padded, ''::text AS empty, '\\x00ff'::bytea AS raw, 'f47ac10b-58cc-4372-a567-0e02b2c3d479'::uuid AS uuid, '{\"a\": [1]}'::jsonb AS doc, true AS flag"
    )

    schema, rows, _ = read(postgres, Place(table="kinds"))

    assert rows == [
        {
            "big": 9223372036854775807, "fixed": Decimal("12345678901234567890.12"), "free": "0.1", "naive": datetime(2026, 1, 2, 3, 4, 5, 678901),
            "instant": datetime(2026, 1, 1, 19, 4, 5, 678901, tzinfo=UTC), "day": date(2026, 1, 2), "padded": "ab", "empty": "", "raw": b"\x00\xff",
            "uuid": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "doc": '{"a": [1]}', "flag": True,
        }
    ]  # fmt: skip
    assert schema.field("fixed").type == pa.decimal128(22, 2)
    assert schema.field("naive").type == pa.timestamp("us")
    assert schema.field("instant").type == pa.timestamp("us", tz="UTC")


def test_what_arrow_cannot_hold_is_null_and_counted(postgres):
    postgres.run(
        "CREATE TABLE odd AS SELECT 'NaN'::numeric(5, 1) AS n, 'infinity'::date AS d, '-infinity'::timestamptz AS t, 'infinity'::timestamp AS u"
    )

    _, rows, oddities = read(postgres, Place(table="odd"))

    assert rows == [{"n": None, "d": None, "t": None, "u": None}]
    assert oddities == {Oddity("n", "not a number"): 1, **{Oddity(name, "infinite or BC"): 1 for name in "dtu"}}


def test_the_newest_value_of_a_number_is_the_greatest_number_not_the_last_text(postgres):
    postgres.run("CREATE TABLE numbers AS SELECT n::numeric(5) FROM generate_series(1, 120) AS n")
    with open_connector(postgres.source(), Place(table="numbers"), password=postgres.password) as session:
        assert session.newest("n") == "120"


def test_columns_that_may_not_be_read_are_left_out(postgres):
    postgres.run(
        "CREATE TABLE part (id int, secret text)",
        f"REVOKE ALL ON part FROM {postgres.name}_reader",
        f"GRANT SELECT (id) ON part TO {postgres.name}_reader",
    )
    schema, rows, _ = read(postgres, Place(table="part"))
    assert (schema.names, rows) == (["id"], [])
    assert "may not read the column 'secret'" in the_error(Mistake, postgres, Place(table="part"), columns=["id", "secret"]).problem


def test_a_table_without_permission_is_a_mistake_that_says_what_to_grant(postgres):
    postgres.run("CREATE TABLE closed (id int)", f"REVOKE ALL ON closed FROM {postgres.name}_reader")
    assert "grant SELECT" in the_error(Mistake, postgres, Place(table="closed")).remedy


def test_a_wrong_password_points_to_the_secret_file(postgres):
    with pytest.raises(Mistake) as caught, open_connector(postgres.source(), Place(table="t"), password="wrong"):
        pass
    assert "secrets/tested" in caught.value.remedy


@pytest.mark.parametrize("query", ["SELECT 1 AS a, 2 AS a", "SELEC 1", "SELECT 1 AS a) AS place; DROP TABLE kept; --"])
def test_a_query_that_cannot_be_read_is_a_mistake(postgres, query):
    postgres.run("CREATE TABLE kept (id int)")
    the_error(Mistake, postgres, Place(query=query))
    assert postgres.run("SELECT count(*) FROM kept") == [(0,)]


@pytest.mark.parametrize(
    "attempt",
    ["INSERT INTO kept VALUES (1)", "SET TRANSACTION READ WRITE", "CREATE TABLE other (id int)", "SELECT nextval('counter')"],
)
def test_the_transaction_is_read_only_even_for_the_owner(postgres, attempt):
    postgres.run("CREATE TABLE kept (id int)", "CREATE SEQUENCE counter", f"GRANT ALL ON kept, counter TO {postgres.name}_reader")
    with (
        open_connector(postgres.source(), Place(table="kept"), password=postgres.password) as session,
        pytest.raises(Exception, match=r"read-only|read-write"),
    ):
        session._run(attempt) if not attempt.startswith("SELECT") else session._one(attempt)


def test_a_statement_over_its_time_is_ended_and_may_be_tried_again(postgres):
    postgres.run("CREATE TABLE slow AS SELECT 1 AS id FROM generate_series(1, 50)")
    query = Place(query="SELECT id, pg_sleep(0.1)::text AS slept FROM slow")
    the_error(Unavailable, postgres, query, statement_timeout_seconds=1)


def test_identifiers_are_quoted_whatever_they_hold(postgres):
    postgres.run(
        'CREATE SCHEMA "Ordnung"',
        'CREATE TABLE "Ordnung"."t"";--" ("select" int, "名 称" text)',
        'INSERT INTO "Ordnung"."t"";--" VALUES (1, \'x\')',
    )
    postgres.run(
        f'GRANT USAGE ON SCHEMA "Ordnung" TO {postgres.name}_reader', f'GRANT SELECT ON "Ordnung"."t"";--" TO {postgres.name}_reader'
    )
    _, rows, _ = read(postgres, Place(table='Ordnung.t";--'))
    assert rows == [{"select": 1, "名 称": "x"}]


def test_a_bound_is_text_never_sql(postgres):
    postgres.run("CREATE TABLE notes AS SELECT 'b' AS id")
    with open_connector(postgres.source(), Place(table="notes"), password=postgres.password) as session:
        assert session.count(Window(cursor="id", after="' OR true --")) == 1


def test_an_error_in_the_data_is_told_without_the_data(postgres):
    postgres.run("CREATE TABLE numbers AS SELECT '110105194912310021' AS id")
    error = the_error(HubError, postgres, Place(query="SELECT id::int AS n FROM numbers"))
    assert "110105" not in str(error)


def test_a_url_with_a_password_is_refused_without_quoting_it(postgres):
    error = the_error(Mistake, postgres, Place(table="t"), url="postgresql://reader:hunter2@127.0.0.1/x")
    assert "hunter2" not in str(error)


def test_a_tables_columns_tell_their_declared_types(postgres):
    postgres.run("CREATE TABLE declared (name varchar(20), code char(6), amount numeric(10,2), at timestamp(3), many text[])")
    postgres.run(f"GRANT SELECT ON declared TO {postgres.name}_reader")
    columns, _, _ = read(postgres, Place(table="declared"))
    assert [field.metadata[b"declared"].decode() for field in columns] == [
        "character varying(20)",
        "character(6)",
        "numeric(10,2)",
        "timestamp(3) without time zone",
        "text[]",
    ]
