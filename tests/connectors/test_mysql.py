"""MySQL and MariaDB: exact values, zero dates, engines without snapshots."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from connectors.protocol import Oddity, Place, Window
from connectors.registry import open_connector
from hub.errors import Mistake, Unavailable

pytestmark = pytest.mark.services


def opened(department, place, *, password=None, **declared):
    return open_connector(department.source(**declared), place, password=password or department.password)


def read(department, place, **declared):
    with opened(department, place, **declared) as session:
        return [row for batch in session.read(session.columns().names, Window()) for row in batch.to_pylist()], session


def test_values_arrive_exactly(mariadb):
    mariadb.run(
        "CREATE TABLE kinds (id bigint unsigned PRIMARY KEY, fixed decimal(22, 2), wide decimal(60, 2), single float, twin double, naive datetime(6), instant timestamp NULL, "
        "day date, span time, raw varbinary(4), bits bit(3), flag boolean, note text)",
        "SET time_zone = '+08:00'",
        "INSERT INTO kinds VALUES (18446744073709551615, 12345678901234567890.12, 1234567890123456789012345678901234567890.5, 16777217, 0.1, "
        "'2026-01-02 03:04:05.678901', '2026-01-02 03:04:05', '2026-01-02', '-100:00:00', x'00ff', b'101', true, '𠮷😀')",
    )

    rows, session = read(mariadb, Place(table="kinds"))

    assert rows == [
        {
            "id": 18446744073709551615, "fixed": Decimal("12345678901234567890.12"), "wide": "1234567890123456789012345678901234567890.50", "single": 16777216.0,
            "twin": 0.1, "naive": datetime(2026, 1, 2, 3, 4, 5, 678901), "instant": datetime(2026, 1, 1, 19, 4, 5, tzinfo=UTC), "day": date(2026, 1, 2),
            "span": "-100:00:00", "raw": b"\x00\xff", "bits": 5, "flag": 1, "note": "𠮷😀",
        }
    ]  # fmt: skip
    assert session.columns().field("id").type == pa.uint64()
    assert session.columns().field("fixed").type == pa.decimal128(22, 2)


def test_zero_and_impossible_dates_are_null_and_counted(mariadb):
    mariadb.run(
        "CREATE TABLE days (id int PRIMARY KEY, day date, moment datetime)",
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        "INSERT INTO days VALUES (1, '0000-00-00', '0000-00-00 00:00:00'), (2, '2026-02-31', '2026-01-00 01:00:00'), (3, NULL, NULL), (4, '2026-01-02', '2026-01-02 03:04:05')",
    )

    rows, session = read(mariadb, Place(table="days"))

    assert [(row["day"], row["moment"]) for row in rows] == [(None, None)] * 3 + [(date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5))]
    assert session.oddities == {Oddity("day", "zero or impossible date"): 2, Oddity("moment", "zero or impossible date"): 2}


def test_a_large_number_in_a_window_is_compared_as_a_number(mariadb):
    mariadb.run("CREATE TABLE big (id bigint PRIMARY KEY)", "INSERT INTO big VALUES (9007199254740992), (9007199254740993)")
    with opened(mariadb, Place(table="big")) as session:
        assert session.count(Window(cursor="id", after="9007199254740992")) == 1


def test_a_table_of_an_engine_without_snapshots_says_so(mariadb):
    mariadb.run("CREATE TABLE old (id int) ENGINE = MyISAM")
    with opened(mariadb, Place(table="old")) as session:
        assert session.snapshot is None


def test_a_wrong_password_points_to_the_secret_file(mariadb):
    with pytest.raises(Mistake) as caught, opened(mariadb, Place(table="t"), password="wrong"):
        pass
    assert "secrets/tested" in caught.value.remedy


def test_a_query_is_read_under_the_names_it_gives(mariadb):
    rows, _ = read(mariadb, Place(query="SELECT 1 AS `a b`, 'x%sy' AS c -- as declared"))
    assert rows == [{"a b": 1, "c": "x%sy"}]


@pytest.mark.parametrize("query", ["SELECT 1 AS a, 2 AS a", "SELEC 1", "SELECT 1 AS a) AS place; DROP TABLE kept; --"])
def test_a_query_that_cannot_be_read_is_a_mistake(mariadb, query):
    mariadb.run("CREATE TABLE kept (id int)")
    with pytest.raises(Mistake):
        read(mariadb, Place(query=query))
    assert mariadb.run("SELECT count(*) FROM kept") == [(0,)]


def test_a_statement_over_its_time_is_ended_and_may_be_tried_again(mariadb):
    with pytest.raises(Unavailable):
        read(mariadb, Place(query="SELECT sleep(3) AS slept"), statement_timeout_seconds=1)


def test_text_columns_tell_their_declared_length(mariadb):
    mariadb.run("CREATE TABLE declared (name varchar(20) CHARACTER SET utf8mb4, code char(6) CHARACTER SET latin1, n int) ENGINE InnoDB")
    with opened(mariadb, Place(table="declared")) as session:
        columns = session.columns()
    assert [(field.metadata or {}).get(b"declared") for field in columns] == [b"varchar(20)", b"varchar(6)", None]
