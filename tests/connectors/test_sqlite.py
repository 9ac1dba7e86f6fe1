"""SQLite: text exactly as stored, files that are none."""

import sqlite3

import pytest

from connectors.protocol import Oddity, Place, Window
from connectors.registry import open_connector
from hub.errors import Mistake, Rejected, Unavailable


def read(source, place, columns=None):
    with open_connector(source, place) as session:
        return [row for batch in session.read(columns or session.columns().names, Window()) for row in batch.to_pylist()], session


def test_every_column_but_a_blob_is_text_with_its_declared_type_beside_it(sqlite, source):
    path = sqlite(
        "CREATE TABLE kinds (id INTEGER PRIMARY KEY, price DECIMAL(10,2), raw BLOB)",
        "INSERT INTO kinds VALUES (9223372036854775807, 12.5, x'00ff'), (1, 'abc', NULL)",
    )

    rows, session = read(source("sqlite", path=str(path)), Place(table="kinds"))

    assert rows == [{"id": "1", "price": "abc", "raw": None}, {"id": "9223372036854775807", "price": "12.5", "raw": b"\x00\xff"}]
    assert session.columns().field("price").metadata == {b"declared": b"DECIMAL(10,2)"}


def test_bytes_in_a_text_column_are_null_and_counted(sqlite, source):
    path = sqlite("CREATE TABLE notes (note TEXT)", "INSERT INTO notes VALUES (x'ff'), ('kept')")
    rows, session = read(source("sqlite", path=str(path)), Place(table="notes"))
    assert [row["note"] for row in rows] == [None, "kept"]
    assert session.oddities == {Oddity("note", "bytes that are not text"): 1}


def test_text_that_is_not_utf8_rejects_the_read_without_quoting_it(sqlite, source):
    path = sqlite("CREATE TABLE notes (note TEXT)", "INSERT INTO notes VALUES (CAST(x'626164ff' AS TEXT))")
    with pytest.raises(Rejected) as caught:
        read(source("sqlite", path=str(path)), Place(table="notes"))
    assert "bad" not in str(caught.value)


def test_a_number_is_compared_as_a_number_even_in_a_query(sqlite, source):
    path = sqlite("CREATE TABLE numbers (n INTEGER)", "INSERT INTO numbers VALUES (9), (10)")
    with open_connector(source("sqlite", path=str(path)), Place(query="SELECT n + 0 AS n FROM numbers;")) as session:
        assert session.newest("n") == "10"
        assert session.count(Window(cursor="n", after="9")) == 1


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at" * 20, b"SQLite format 3\0" + b"\xff" * 200])
def test_a_file_that_is_no_database_is_rejected(tmp_path, source, content):
    (tmp_path / "x.sqlite").write_bytes(content)
    with pytest.raises(Rejected):
        read(source("sqlite", path=str(tmp_path / "x.sqlite")), Place(table="t"))


def test_a_locked_database_may_be_tried_again(sqlite, source, monkeypatch):
    monkeypatch.setattr("connectors.sqlite.WAIT_SECONDS", 0)
    path = sqlite("CREATE TABLE t (id INTEGER)")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable):
        read(source("sqlite", path=str(path)), Place(table="t"))
    writer.close()


def test_a_read_over_its_time_is_ended_and_may_be_tried_again(sqlite, source):
    path = sqlite("CREATE TABLE t (id INTEGER)")
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS i FROM n"
    with pytest.raises(Unavailable):
        read(source("sqlite", path=str(path), statement_timeout_seconds=1), Place(query=endless))


def test_nothing_can_be_attached_or_written_by_a_query(sqlite, source):
    path = sqlite("CREATE TABLE t (id INTEGER)")
    for query in ("DELETE FROM t", "SELECT 1 AS a) AS place; DELETE FROM t; --"):
        with pytest.raises(Mistake):
            read(source("sqlite", path=str(path)), Place(query=query))
