"""How much memory each connector takes to read 1 and 5 million rows: ``python -m bench.memory [kind …]``.

Each case reads in a process of its own that has imported everything; its peak above that is what is told.
PostgreSQL is the embedded one, MariaDB the server of ``HUB_TEST_MARIADB_HOST`` where there is one. A worksheet ends at 1,048,576 rows.
Results go to ``bench/results/memory.json``.
"""

import itertools
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import people
from bench.sync import RESULTS
from hub.database.passwords import ensure_password
from hub.database.place import Place as ServerPlace
from hub.settings import settings

SIZES = (1_000_000, 5_000_000)
WORKSHEET = 1_000_000
STRETCH = 100_000
Place = dict[str, Any]  # a source's declaration and the place that is read, as JSON
COLUMNS = ("id", "name", "amount", "changed")


def rows(start: int, stop: int) -> pa.Table:
    """Return invented rows with the numbers from *start* up to *stop*."""
    numbers = range(start, stop)
    return pa.table(
        {
            "id": pa.array([f"P{number:011d}" for number in numbers]),
            "name": pa.array([f"测量{number % 1000}" for number in numbers]),
            "amount": pa.array([number / 4 for number in numbers], pa.float64()),
            "changed": pa.array([f"2026-01-{1 + number % 28:02d} 00:00:00" for number in numbers]),
        }
    )


def stretches(count: int) -> Iterator[pa.Table]:
    """Yield *count* rows by the stretch."""
    return (rows(start, min(start + STRETCH, count)) for start in range(0, count, STRETCH))


def _csv(path: Path, count: int) -> None:
    schema = rows(0, 1).schema
    with pyarrow.csv.CSVWriter(path, schema) as out:
        for stretch in stretches(count):
            out.write_table(stretch)


def _parquet(path: Path, count: int) -> None:
    with pyarrow.parquet.ParquetWriter(path, rows(0, 1).schema) as out:
        for stretch in stretches(count):
            out.write_table(stretch)


def _sqlite(path: Path, count: int) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (id TEXT, name TEXT, amount REAL, changed TEXT)")
        for stretch in stretches(count):
            database.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", zip(*stretch.to_pydict().values(), strict=True))
    database.close()


def _geojson(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.write('{"type": "FeatureCollection", "features": [\n')
        for stretch in stretches(count):
            for row in stretch.to_pylist():
                feature = {"type": "Feature", "properties": row, "geometry": {"type": "Point", "coordinates": [116.4, 39.9]}}
                out.write(("" if row["id"] == "P00000000000" else ",\n") + json.dumps(feature, ensure_ascii=False))
        out.write("\n]}\n")


def _excel(path: Path, count: int) -> None:
    from openpyxl import Workbook  # noqa: PLC0415 (slow to import)

    book = Workbook(write_only=True)
    sheet = book.create_sheet("t")
    sheet.append(COLUMNS)
    for stretch in stretches(count):
        for row in zip(*stretch.to_pydict().values(), strict=True):
            sheet.append(row)
    book.save(path)


FILES: dict[str, Callable[[Path, int], None]] = {
    "csv": _csv, "parquet": _parquet, "sqlite": _sqlite, "sqlalchemy": _sqlite, "geojson": _geojson, "excel": _excel,
}  # fmt: skip


def read(kind: str, about: Place) -> dict[str, float]:
    """Read the place *about* whole, in this process, and return rows, seconds and the peak in MB."""
    from bench.sync import watched  # noqa: PLC0415
    from connectors import protocol  # noqa: PLC0415
    from connectors.registry import open_connector  # noqa: PLC0415
    from hub.flows import sync  # noqa: F401, PLC0415
    from schemas.expectations import expectations  # noqa: PLC0415
    from schemas.source import Source  # noqa: PLC0415

    title = {"zh": "测量", "en": "Measure"}
    source = Source.model_validate({"source": "measured", "department": "bench", "title": title, "connector": kind, **about["source"]})
    place = protocol.Place(**about["place"])
    _warm()
    expectations()
    with watched() as peak:
        began, count = time.perf_counter(), 0
        password = about.get("password")
        with open_connector(source, place, password=str(password) if password else None) as session:
            for batch in session.read(COLUMNS, protocol.Window()):
                count += batch.num_rows
        return {"rows": count, "seconds": round(time.perf_counter() - began, 1), "peak_mb": round(peak())}


def _warm() -> None:
    """Use what every process uses once: threads, Arrow's pool."""
    pyarrow.csv.read_csv(pa.py_buffer(b"a,b\n1,2\n" * 1000))


class _Pages(BaseHTTPRequestHandler):
    """An API whose pages are made as they are asked for."""

    count = 0

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        start, size = int(asked["offset"][0]), int(asked["limit"][0])
        body = json.dumps({"rows": rows(start, min(start + size, self.count)).to_pylist()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _file(kind: str, folder: Path, count: int) -> Place:
    path = folder / f"rows.{'xlsx' if kind == 'excel' else kind}"
    FILES[kind](path, min(count, WORKSHEET) if kind == "excel" else count)
    if kind == "sqlalchemy":
        return {"source": {"url": f"sqlite:///{path}"}, "place": {"table": "t"}}
    if kind == "sqlite":
        return {"source": {"path": str(path)}, "place": {"table": "t"}}
    crs = {"crs": "EPSG:4490"} if kind == "geojson" else {}
    return {"source": {"path": str(folder), **crs}, "place": {"file": path.name}}


@contextmanager
def _http(count: int) -> Iterator[Place]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Pages", (_Pages,), {"count": count}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pages = {"style": "offset", "parameter": "offset", "first": 0, "size_parameter": "limit", "size": 20_000}
    api = {"rows": "rows", "pages": pages, "requests_per_second": 1000}
    yield {"source": {"url": f"http://127.0.0.1:{server.server_port}", "api": api}, "place": {"table": "rows"}}
    server.shutdown()


def _postgres(count: int) -> Place:
    from hub.flows.database import ready  # noqa: PLC0415 (settings come first)

    ready()
    people.build_source(1)
    people.run_at_source("CREATE TABLE measured (id text, name text, amount double precision, changed timestamp)")
    people.run_at_source(
        "INSERT INTO measured SELECT 'P' || lpad(i::text, 11, '0'), '测量' || i % 1000, i / 4.0, timestamp '2026-01-01' "
        f"+ i % 28 * interval '1 day' FROM generate_series(1, {count}) AS i"
    )
    people.run_at_source(f"GRANT SELECT ON measured TO {people.READER}")
    url = f"postgresql://{people.READER}@/{people.DATABASE}?host={quote(str(ServerPlace.of_settings().socket), safe='')}"
    return {"source": {"url": url}, "place": {"table": "measured"}, "password": ensure_password(people.READER)}


def _mariadb(count: int) -> Place | None:
    import pymysql  # noqa: PLC0415 (where there is none it is not needed)

    host = os.environ.get("HUB_TEST_MARIADB_HOST", "127.0.0.1")
    try:
        connection = pymysql.connect(host=host, user="root", password="", charset="utf8mb4")
    except pymysql.Error:
        return None
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS hub_bench")
        cursor.execute("CREATE DATABASE hub_bench CHARACTER SET utf8mb4")
        cursor.execute("USE hub_bench")
        cursor.execute("CREATE TABLE measured (id varchar(12), name varchar(20), amount double, changed datetime)")
        cursor.execute(
            "INSERT INTO measured SELECT concat('P', lpad(seq, 11, '0')), concat('测量', seq % 1000), seq / 4, "
            f"date_add('2026-01-01', INTERVAL seq % 28 DAY) FROM seq_1_to_{count}"
        )
        connection.commit()
        cursor.execute("CREATE USER IF NOT EXISTS hub_bench IDENTIFIED BY 'measure'")
        cursor.execute("GRANT SELECT ON hub_bench.* TO hub_bench")
    return {"source": {"url": f"mysql://hub_bench@{host}:3306/hub_bench"}, "place": {"table": "measured"}, "password": "measure"}


def measured(kind: str, folder: Path, count: int) -> dict[str, float] | None:
    """Make a source of *count* rows and read it in a process of its own; ``None`` where its server is missing."""
    if kind == "http":
        with _http(count) as place:
            return _in_a_process(kind, place)
    if kind in FILES:
        place = _file(kind, folder, count)
        found = _in_a_process(kind, place)
        for path in folder.glob("rows.*"):
            path.unlink()
        return found
    table = _postgres(count) if kind == "postgres" else _mariadb(count)
    return _in_a_process(kind, table) if table is not None else None


def _in_a_process(kind: str, place: Place) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.memory", "--read", kind]
    ended = subprocess.run(command, input=json.dumps(place), capture_output=True, text=True, check=False)  # noqa: S603 (this program)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure, print and keep the results."""
    kinds = sys.argv[1:] or [*FILES, "http", "postgres", "mysql"]
    found: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name, Progress(transient=True) as progress:
        folder = Path(name)
        os.environ |= {"HUB_HOME": str(folder), "HUB_STATE": str(folder / "state"), "HUB_KEYS": str(folder / "keys")}
        settings.cache_clear()
        task = progress.add_task("", total=len(SIZES) * len(kinds))
        for count, kind in itertools.product(SIZES, kinds):
            progress.update(task, description=f"{kind} {count:,}")
            if kind != "excel" or count == SIZES[0]:
                numbers = measured(kind, folder, count)
                found += [{"kind": kind, **numbers}] if numbers is not None else []
            progress.advance(task)
        if "postgres" in kinds:
            from hub.database import embedded  # noqa: PLC0415

            embedded.down()
    show(found)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "memory.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def show(found: list[dict[str, object]]) -> None:
    """Print the table."""
    table = Table(title="reading, above a process that has imported everything", title_justify="left")
    for column in ("connector", "rows", "seconds", "peak MB"):
        table.add_column(column, justify="left" if column == "connector" else "right")
    for one in sorted(found, key=lambda each: str(each["kind"])):
        table.add_row(str(one["kind"]), f"{one['rows']:,}", f"{one['seconds']:.1f}", f"{one['peak_mb']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        print(json.dumps(read(sys.argv[2], json.loads(sys.stdin.read()))))
    else:
        main()
