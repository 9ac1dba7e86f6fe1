"""Every connector keeps the protocol's promises, against a real source of its kind."""

import csv
import json
import os
import sqlite3
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.conformance import COLUMNS, ROWS, Case, Conformance
from connectors.protocol import Place

ADDED = (8, "late", "8.25", "2026-01-01 08:00:09")


def a_file_case(request, path, source, place, **more):
    return Case(
        source=source,
        place=place,
        missing=Place(file="absent.txt"),
        down=source.model_copy(update={"path": str(path.parent / "not-mounted")}),
        state=lambda: (path.read_bytes(), path.stat().st_mtime_ns),
        write=lambda session: os.write((session._files[0] if hasattr(session, "_files") else session._file).descriptor, b"x"),
        held=lambda: request.getfixturevalue("descriptors")(path),
        **more,
    )


def postgres_case(request):
    department = request.getfixturevalue("postgres")
    department.run("CREATE TABLE people (id bigint PRIMARY KEY, name text, amount numeric(20, 2), updated timestamp)")
    department.insert("people", ROWS)
    source = department.source()
    return Case(
        source=source,
        place=Place(table="public.people"),
        missing=Place(table="peple"),
        down=source.model_copy(update={"url": "postgresql://reader@127.0.0.1:1/nowhere"}),
        password=department.password,
        state=lambda: department.run("SELECT count(*), sum(id) FROM people"),
        write=lambda session: session._run("INSERT INTO people VALUES (99)"),
        held=department.sessions,
        order_by=("id",),
        add_row=lambda: department.insert("people", [ADDED]),
    )


def mysql_case(request):
    department = request.getfixturevalue("mariadb")
    department.run("CREATE TABLE people (id bigint PRIMARY KEY, name text, amount decimal(20, 2), updated datetime)")
    department.insert("people", ROWS)
    source = department.source()
    return Case(
        source=source,
        place=Place(table="people"),
        missing=Place(table="peple"),
        down=source.model_copy(update={"url": "mysql://reader@127.0.0.1:1/nowhere"}),
        password=department.password,
        state=lambda: department.run("SELECT count(*), sum(id) FROM people"),
        write=lambda session: session._rows("INSERT INTO people (id) VALUES (99)"),
        held=department.sessions,
        add_row=lambda: department.insert("people", [ADDED]),
    )


def sqlite_case(request):
    path = request.getfixturevalue("sqlite")(
        "PRAGMA journal_mode = WAL", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, amount DECIMAL(20, 2), updated TEXT)"
    )

    def insert(rows):
        connection = sqlite3.connect(path)
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", rows)
        connection.commit()
        connection.close()

    insert(ROWS)
    source = request.getfixturevalue("source")("sqlite", path=str(path))
    return Case(
        source=source,
        place=Place(table="people"),
        missing=Place(table="peple"),
        down=source.model_copy(update={"path": str(path.parent / "not-mounted.sqlite")}),
        state=lambda: sqlite3.connect(path).execute("SELECT count(*), sum(id) FROM people").fetchall(),
        write=lambda session: session._connection.execute("INSERT INTO people VALUES (99, 'x', 1, 'x')"),
        held=lambda: request.getfixturevalue("descriptors")(path),
        add_row=lambda: insert([ADDED]),
        floats=True,
    )


def csv_case(request):
    folder = request.getfixturevalue("tmp_path")
    path = folder / "people.csv"
    with path.open("w", encoding="gb18030", newline="") as out:
        out.write(",".join(COLUMNS) + "\r\n")
        for row in ROWS:
            # The csv module cannot write null and empty text apart.
            out.write(",".join("" if value is None else '""' if value == "" else quoted(value) for value in row) + "\r\n")
    return a_file_case(
        request, path, request.getfixturevalue("source")("csv", path=str(folder), encoding="gb18030"), Place(file="people.csv")
    )


def quoted(value):
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text


def excel_case(request):
    folder = request.getfixturevalue("tmp_path")
    path = folder / "people.xlsx"
    book = openpyxl.Workbook()
    book.active.append(COLUMNS)
    for number, name, amount, updated in ROWS:
        book.active.append([number, name, amount and Decimal(amount), updated and datetime.fromisoformat(updated)])
    book.save(path)
    return a_file_case(
        request,
        path,
        request.getfixturevalue("source")("excel", path=str(folder)),
        Place(file="people.xlsx"),
        empty_is_null=True,
        floats=True,
    )


def geojson_case(request):
    folder = request.getfixturevalue("tmp_path")
    path = folder / "people.geojson"
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [121.4, 31.2]}, "properties": dict(zip(COLUMNS, row, strict=True))}
        for row in ROWS
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False), encoding="utf-8")
    return a_file_case(
        request,
        path,
        request.getfixturevalue("source")("geojson", path=str(folder), crs="EPSG:4490"),
        Place(file="people.geojson"),
        extra=("geometry",),
    )


def parquet_case(request):
    folder = request.getfixturevalue("tmp_path")
    path = folder / "people.parquet"
    columns = zip(*ROWS, strict=True)
    amounts, updated = (
        [value and kind(value) for value in column]
        for kind, column in zip((Decimal, datetime.fromisoformat), list(columns)[2:], strict=True)
    )
    table = pa.table(
        {
            "id": [row[0] for row in ROWS],
            "name": [row[1] for row in ROWS],
            "amount": pa.array(amounts, pa.decimal128(20, 2)),
            "updated": updated,
        }
    )
    pq.write_table(table, path, row_group_size=3)
    return a_file_case(request, path, request.getfixturevalue("source")("parquet", path=str(folder)), Place(file="people.parquet"))


def http_case(request):
    api = request.getfixturevalue("api")
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]

    def answer(path, parameters, _):
        page, size = int(parameters["page"]), int(parameters["size"])
        found = rows[(page - 1) * size : page * size]
        # Amounts as bare numbers: how many digits survive is the point.
        body = json.dumps({"data": {"rows": found}}, ensure_ascii=False)
        for row in found:
            body = body.replace(json.dumps(row["amount"]), row["amount"]) if row["amount"] else body
        return (200, {}, body.encode()) if path == "/open/v1/people" else (404, {}, b"{}")

    api.answer = answer
    pages = {"style": "number", "parameter": "page", "size_parameter": "size", "size": 3}
    source = api.source({"pages": pages, "login": "bearer"})
    return Case(
        source=source,
        place=Place(table="people"),
        missing=Place(table="peple"),
        down=source.model_copy(update={"url": "http://127.0.0.1:1/open/v1", "api": source.api.model_copy(update={"patience_seconds": 0})}),
        password="a-token",
        state=lambda: {asked[0] for asked in api.asked} | {"GET"},
        write=lambda session: session._client._client.post(source.url, json={}),
        held=api.held,
    )


def by_sqlalchemy(native):
    """Return the native case, read through SQLAlchemy instead."""

    def case(request):
        made = native(request)
        return replace(
            made,
            source=through_sqlalchemy(made.source),
            down=through_sqlalchemy(made.down),
            write=lambda session: session._connection.exec_driver_sql("INSERT INTO people (id) VALUES (99)"),
        )

    return case


def through_sqlalchemy(source):
    if source.path:
        return source.model_copy(update={"connector": "sqlalchemy", "url": f"sqlite:///{source.path}", "path": None})
    driver = {"postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}[source.connector]
    rest = source.url.partition("://")[2]
    return source.model_copy(update={"connector": "sqlalchemy", "url": f"{driver}://{rest}"})


CASES = [
    pytest.param(postgres_case, id="postgres"),
    pytest.param(mysql_case, id="mysql", marks=pytest.mark.services),
    pytest.param(sqlite_case, id="sqlite"),
    pytest.param(csv_case, id="csv"),
    pytest.param(excel_case, id="excel"),
    pytest.param(geojson_case, id="geojson"),
    pytest.param(http_case, id="http"),
    pytest.param(parquet_case, id="parquet"),
    pytest.param(by_sqlalchemy(postgres_case), id="sqlalchemy-postgres"),
    pytest.param(by_sqlalchemy(mysql_case), id="sqlalchemy-mysql", marks=pytest.mark.services),
    pytest.param(by_sqlalchemy(sqlite_case), id="sqlalchemy-sqlite"),
]


@pytest.fixture(params=CASES)
def case(request):
    return request.param(request)


class TestEveryConnector(Conformance):
    pass


def test_the_suite_covers_every_built_in_connector():
    from connectors.registry import BUILT_IN

    assert {case.id.partition("-")[0] for case in CASES} == set(BUILT_IN)


def test_the_known_rows_survive_csv_writing():
    assert next(csv.reader([quoted(ROWS[4][1])])) == [ROWS[4][1]]
