"""Ten thousand columns, or as many as a database lets a table have: the few that are wanted arrive, and soon."""

from time import monotonic

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.protocol import Place, Window
from connectors.registry import open_connector

COLUMNS = 10_000
ROWS = 5
SECONDS = 15


def names(number):
    return [f"column_{n}" for n in range(number)]


def csv(request, number):
    folder = request.getfixturevalue("tmp_path")
    line = ",".join(map(str, range(number)))
    (folder / "a.csv").write_text("\n".join([",".join(names(number)), *[line] * ROWS]), encoding="utf-8")
    return request.getfixturevalue("source")("csv", path=str(folder)), Place(file="a.csv"), None


def excel(request, number):
    folder = request.getfixturevalue("tmp_path")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("s")
    for row in (names(number), *[list(range(number))] * ROWS):
        sheet.append(row)
    book.save(folder / "a.xlsx")
    return request.getfixturevalue("source")("excel", path=str(folder)), Place(file="a.xlsx"), None


def parquet(request, number):
    folder = request.getfixturevalue("tmp_path")
    pq.write_table(pa.table({name: [n] * ROWS for n, name in enumerate(names(number))}), folder / "a.parquet")
    return request.getfixturevalue("source")("parquet", path=str(folder)), Place(file="a.parquet"), None


def http(request, number):
    api = request.getfixturevalue("api")
    api.pages([{name: n + row * 0 for n, name in enumerate(names(number))} | {"row": row} for row in range(ROWS)])
    return api.source(), Place(table="wide"), None


def created(number):
    return f"CREATE TABLE wide ({', '.join(f'{name} int' for name in names(number))})"


def filled(number):
    return f"INSERT INTO wide VALUES {', '.join([str(tuple(range(number)))] * ROWS)}"


def postgres(request, number):
    department = request.getfixturevalue("postgres")
    department.run(created(number), filled(number))
    return department.source(), Place(table="wide"), department.password


def mysql(request, number):
    department = request.getfixturevalue("mariadb")
    department.run(created(number), filled(number))
    return department.source(), Place(table="wide"), department.password


def sqlite(request, number):
    return (
        request.getfixturevalue("source")("sqlite", path=str(request.getfixturevalue("sqlite")(created(number), filled(number)))),
        Place(table="wide"),
        None,
    )


@pytest.mark.parametrize(
    ("made", "number"),
    [
        (csv, COLUMNS), (excel, COLUMNS), (parquet, COLUMNS), (http, COLUMNS),
        (postgres, 1600), pytest.param(mysql, 1000, marks=pytest.mark.services), (sqlite, 2000),
    ],
)  # fmt: skip
def test_few_of_very_many_columns_arrive_soon(request, made, number):
    source, place, password = made(request, number)
    began = monotonic()
    with open_connector(source, place, password=password) as session:
        assert len(session.columns().names) >= number
        wanted = [f"column_{number - 1}", "column_7"]
        rows = [tuple(map(int, row.values())) for batch in session.read(wanted, Window()) for row in batch.to_pylist()]
    assert monotonic() - began < SECONDS
    assert rows == [(number - 1, 7)] * ROWS
