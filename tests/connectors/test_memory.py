"""Reading much takes no more memory than reading little: a file, a row group and a server here, every kind of source in the campaign."""

import json
import subprocess
import sys

import pytest

ROWS = 300_000
EXCEL_ROWS = 60_000  # its reader takes a second for 10 000 rows; the whole is 180 MiB
GROWTH_MIB = 100  # batches of 8192 rows, 32 blocks of Arrow's reader and the allocator's slack; the whole is 200 MiB and more

PROGRAM = """
import json, resource, sys
import connectors.csv_file, connectors.excel_file, connectors.geojson_file, connectors.mysql, connectors.postgres, connectors.sqlite, psycopg
from connectors.protocol import Place, Window
from connectors.registry import open_connector
from schemas.source import Source

asked = json.loads(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_connector(Source(**asked["source"]), Place(**asked["place"]), password=sys.stdin.read() or None) as session:
    rows = sum(batch.num_rows for batch in session.read(["id", "name", "note"], Window()))
    print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def growth(source, place, password="", rows=ROWS):
    declared = source.model_copy(update={"fetch_rows": 8192}).model_dump(mode="json")
    asked = json.dumps({"source": declared, "place": place})
    done = subprocess.run([sys.executable, "-c", PROGRAM, asked], input=password, capture_output=True, text=True, check=True)
    arrived, grown = map(int, done.stdout.split())
    assert arrived == rows
    return grown


NOTE = "x" * 700


def is_the_same_at_five_times(make, rows, spare=40):
    """Hold the growth at five times the rows to that at once, and *spare* MiB of the allocator's slack."""
    once, five = make(rows), make(5 * rows)
    assert five < GROWTH_MIB
    assert five - once < spare


@pytest.mark.parametrize("kind", ["parquet", pytest.param("parquet-folder", marks=pytest.mark.campaign)])
def test_parquet_streams_one_row_group_of_any_size(tmp_path, source, kind):
    import pyarrow as pa
    import pyarrow.parquet as pq

    def make(rows):
        for part in range(3 if "folder" in kind else 1):
            folder = tmp_path / str(rows)
            folder.mkdir(exist_ok=True)
            numbers = range(rows // (3 if "folder" in kind else 1))
            table = pa.table({"id": numbers, "name": [f"name{n}" for n in numbers], "note": [f"{n}{NOTE}" for n in numbers]})
            pq.write_table(table, folder / f"{part}.parquet", row_group_size=len(numbers), use_dictionary=False, compression="none")
        place = {"file": str(rows)} if "folder" in kind else {"file": f"{rows}/0.parquet"}
        return growth(source("parquet", path=str(tmp_path)), place, rows=rows)

    is_the_same_at_five_times(make, 30_000)


@pytest.mark.campaign
@pytest.mark.parametrize("database", ["postgres", pytest.param("mysql", marks=pytest.mark.services)])
def test_sqlalchemy_streams(request, database):
    department = request.getfixturevalue({"postgres": "postgres", "mysql": "mariadb"}[database])
    driver = {"postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}[database]

    def make(rows):
        numbers = f"generate_series(1, {rows}) AS n (i)" if database == "postgres" else f"(SELECT seq AS i FROM seq_1_to_{rows}) AS n"
        department.run(f"CREATE TABLE people_{rows} (id int, name text, note text)")
        department.run(f"INSERT INTO people_{rows} SELECT i, concat('name', i), concat('{NOTE}', i) FROM {numbers}")
        source = department.source()
        url = f"{driver}://{source.url.partition('://')[2]}"
        declared = source.model_copy(update={"connector": "sqlalchemy", "url": url})
        return growth(declared, {"table": f"people_{rows}"}, department.password, rows=rows)

    is_the_same_at_five_times(make, 20_000)


@pytest.mark.campaign
def test_an_api_is_held_page_by_page(api):
    def make(rows):
        def answer(_, parameters, __):
            start = (int(parameters["page"]) - 1) * 2000
            return 200, {}, {"data": {"rows": [{"id": n, "name": f"name{n}", "note": NOTE} for n in range(start, min(start + 2000, rows))]}}

        api.answer = answer
        return growth(api.source(), {"table": "people"}, rows=rows)

    is_the_same_at_five_times(make, 10_000)


def test_postgres_streams(postgres):
    postgres.run(f"CREATE TABLE people AS SELECT n AS id, 'name' || n AS name, '{NOTE}' || n AS note FROM generate_series(1, {ROWS}) AS n")
    assert growth(postgres.source(), {"table": "people"}, postgres.password) < GROWTH_MIB


@pytest.mark.campaign
@pytest.mark.services
def test_mysql_streams(mariadb):
    mariadb.run(
        "CREATE TABLE people (id int PRIMARY KEY, name text, note text)",
        f"INSERT INTO people SELECT seq, concat('name', seq), concat('{NOTE}', seq) FROM seq_1_to_{ROWS}",
    )
    assert growth(mariadb.source(), {"table": "people"}, mariadb.password) < GROWTH_MIB


@pytest.mark.campaign
def test_sqlite_streams(sqlite, source):
    path = sqlite(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, note TEXT)",
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) INSERT INTO people SELECT i, 'name' || i, '{NOTE}' || i FROM n",
    )
    assert growth(source("sqlite", path=str(path)), {"table": "people"}) < GROWTH_MIB


@pytest.mark.parametrize("encoding", ["utf-8", pytest.param("gb18030", marks=pytest.mark.campaign)])
def test_csv_streams(tmp_path, source, encoding):
    with (tmp_path / "a.csv").open("w", encoding=encoding) as out:
        out.write("id,name,note\n")
        out.writelines(f"{n},name{n},{NOTE}{n}\n" for n in range(ROWS))
    assert growth(source("csv", path=str(tmp_path), encoding=encoding), {"file": "a.csv"}) < GROWTH_MIB


@pytest.mark.campaign
def test_geojson_streams(tmp_path, source):
    with (tmp_path / "a.geojson").open("w") as out:
        out.write('{"type": "FeatureCollection", "features": [')
        for n in range(ROWS):
            geometry = '{"type": "Point", "coordinates": [121.5, 31.25]}'
            out.write(
                f'{"," if n else ""}{{"type": "Feature", "geometry": {geometry}, "properties": {{"id": {n}, "name": "name{n}", "note": "{NOTE}{n}"}}}}'
            )
        out.write("]}")
    assert growth(source("geojson", path=str(tmp_path), crs="EPSG:4490"), {"file": "a.geojson"}) < GROWTH_MIB


@pytest.mark.campaign
def test_excel_streams(tmp_path, source):
    """Written by hand: a sheet of this size takes its library minutes."""
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        )
        book.writestr(
            "_rels/.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml",
            '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        )
        with book.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
            for n, (a, b, c) in enumerate([("id", "name", "note"), *((str(n), f"name{n}", NOTE) for n in range(EXCEL_ROWS))], 1):
                sheet.write(
                    f'<row r="{n}"><c r="A{n}" t="str"><v>{a}</v></c><c r="B{n}" t="str"><v>{b}</v></c><c r="C{n}" t="str"><v>{c}</v></c></row>'.encode()
                )
            sheet.write(b"</sheetData></worksheet>")
    assert growth(source("excel", path=str(tmp_path)), {"file": "a.xlsx"}, rows=EXCEL_ROWS) < GROWTH_MIB
