"""The search is not blind: what is planted is found, wherever and in whatever form."""

import base64
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from hub.database import embedded
from hub.database.passwords import password
from tests.leaks.search import SHORTEST, Searcher, databases_of, forms, search, settled

CANARY = "金丝雀张三丰11010119900307889X"
VALUES = {"canary": CANARY, "other": "somebody else altogether"}


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.xml", data)
    return out.getvalue()


def parquet(data: bytes) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(
        pa.table({"name": [data.decode()] * 50}), out, compression="gzip", use_dictionary=False, write_statistics=False
    )
    return out.getvalue()


@pytest.mark.parametrize(("form", "written"), [pytest.param(*one, id=one[0]) for one in forms(CANARY)])
def test_every_form_is_found_in_a_log(tmp_path: Path, form: str, written: bytes) -> None:
    (tmp_path / "some.log").write_bytes(b"x" * 4_194_299 + b"before it " + written + b" after it")
    assert {found.value for found in search([tmp_path], [], VALUES)} == {"canary"}


@pytest.mark.parametrize("wrap", [gzip.compress, zlib.compress, zipped, parquet, lambda data: gzip.compress(zipped(data))])
def test_a_compressed_file_is_opened(tmp_path: Path, wrap) -> None:
    wrapped = wrap(f"a line\n{CANARY}\n".encode() * 50)
    assert CANARY.encode() not in wrapped
    (tmp_path / "file").write_bytes(wrapped)
    assert {found.value for found in search([tmp_path], [], VALUES)} == {"canary"}


def test_the_name_of_a_file_is_searched(tmp_path: Path) -> None:
    (tmp_path / f"{CANARY}.html").touch()
    assert [found.value for found in search([tmp_path], [], VALUES)] == ["canary"]


def test_what_programs_said_is_searched() -> None:
    assert [found.place for found in search([], [], VALUES, texts={"hub sync": f"failed on {CANARY}"})] == ["hub sync"]


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "some.log").write_bytes(b"nothing of the kind" * 1000)
    assert search([tmp_path], [], VALUES) == []


def test_a_value_that_is_short_is_refused() -> None:
    with pytest.raises(ValueError, match="short"):
        Searcher({"phone": "13800000001"})


@given(st.text(st.characters(codec="utf-8"), min_size=SHORTEST), st.binary(), st.binary())
def test_base64_is_found_whatever_stands_around(value: str, before: bytes, after: bytes) -> None:
    data = base64.b64encode(before + value.encode() + after)
    assert any(Searcher({"value": value}).within(data, "here"))


@pytest.fixture
def server(hub_database: Path) -> Iterator[str]:
    """An administrator's connection string; a schema to plant in is gone afterwards."""
    login = make_conninfo(host=str(embedded.status().socket), user="postgres", password=password("postgres"), dbname="hub")
    yield login
    with psycopg.connect(login) as connection:
        connection.execute("DROP SCHEMA planted CASCADE")


def test_a_value_in_a_compressed_row_is_found_by_the_dump_though_not_in_the_files(hub_database: Path, server: str) -> None:
    with psycopg.connect(server) as connection:
        connection.execute("CREATE SCHEMA planted")
        connection.execute("CREATE TABLE planted.toasted (note text)")
        connection.execute(
            "INSERT INTO planted.toasted VALUES (repeat('again and again ', 400) || %s || repeat(' and again', 4000))", [CANARY]
        )
        connection.execute("CREATE TABLE planted.plain (note text, bytes bytea)")
        connection.execute("INSERT INTO planted.plain VALUES (%s, %s)", [CANARY, CANARY.encode("utf-16-le")])
    settled(server)

    places = {found.place for found in search([], databases_of(server), VALUES)}
    files = {found.form for found in search([hub_database / "postgres"], [], VALUES)}

    assert {"hub: planted.toasted", "hub: planted.plain"} <= places
    assert {"utf-8", "utf-16-le"} <= files
