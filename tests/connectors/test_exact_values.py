"""One table of values, written into every kind of source as that kind writes them, and read back.

What a kind cannot carry is not skipped: :data:`OTHERWISE` says how the value arrives instead, and why.
"""

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import openpyxl
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pymysql
import pytest

from connectors.protocol import Oddity, Place, Window
from connectors.registry import open_connector
from connectors.text import plain, written_out

SHANGHAI = timezone(timedelta(hours=8))
RAW = b"\x00\xff\x10"


@dataclass(frozen=True)
class Value:
    """A value, the types of its column, and the text it must arrive as (bytes as bytes)."""

    stored: object
    arrives: object
    postgres: str = "text"
    mysql: str = "varchar(60)"
    sqlite: str = "TEXT"
    parquet: pa.DataType = pa.string()  # noqa: RUF009  a constant


def text(written: str) -> Value:
    return Value(written, written)


VALUES = {
    "decimal": Value(Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789", "numeric(38, 9)", "decimal(38, 9)", "DECIMAL", pa.decimal128(38, 9)),
    "trailing_zero": Value(Decimal("0.10"), "0.10", "numeric(5, 2)", "decimal(5, 2)", "DECIMAL", pa.decimal128(5, 2)),
    "big_integer": Value(2**63 - 1, "9223372036854775807", "bigint", "bigint", "INTEGER", pa.int64()),
    "bigger_integer": Value(2**64 - 1, "18446744073709551615", "numeric(20)", "bigint unsigned", "TEXT", pa.uint64()),
    "time_without_zone": Value(datetime(2026, 1, 2, 3, 4, 5, 678901), "2026-01-02 03:04:05.678901", "timestamp", "datetime(6)", "TEXT", pa.timestamp("us")),
    "time_with_zone": Value(
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=SHANGHAI), "2026-01-01 19:04:05.678901+00:00", "timestamptz", "timestamp(6)", "TEXT", pa.timestamp("us", tz="UTC")
    ),
    "day": Value(date(1900, 2, 28), "1900-02-28", "date", "date", "TEXT", pa.date32()),
    "null": Value(None, None),
    "empty": text(""),
    "binary": Value(RAW, RAW, "bytea", "varbinary(10)", "BLOB", pa.binary()),
    "four_bytes": text("𬭎𠅤😀"),
    "gb18030_2022": text("ḿ龴︐"),
    "old_id": text("110105491231002"),
    "leading_zero": text("007"),
    "full_width": text("１２３ＡＢ"),
    "separators": text("阿·买•提・汗．某‧"),
    "spaces": text("  a  "),
    "lines": text('a\r\nb"c'),
}  # fmt: skip

WORDS = {
    "decimal": "12345678901234567890.123456789",
    "trailing_zero": "0.10",
    "binary": RAW.hex(),
    "time_with_zone": "2026-01-02 03:04:05.678901+08:00",
}
FLOATING = {"decimal": "1.2345678901234567e+19", "trailing_zero": "0.1"}

# Kind: {value: how it arrives instead}. A reason for each:
OTHERWISE: dict[str, dict[str, object]] = {
    # Text files and JSON hold no bytes: a department writes them as text, here as hexadecimal. A zone arrives as it was written.
    "csv": {"binary": RAW.hex(), "time_with_zone": WORDS["time_with_zone"]},
    "geojson": {"binary": RAW.hex(), "time_with_zone": WORDS["time_with_zone"]},
    "http": {"binary": RAW.hex(), "time_with_zone": WORDS["time_with_zone"]},
    # A workbook keeps numbers as doubles, times to the millisecond and without zone, and cannot tell empty text from no cell.
    # A number of more than 15 digits is written with an exponent, and so arrives: no contract reads that as a decimal or a whole number.
    "excel": {
        "decimal": "1.234567890123457e+19", "trailing_zero": "0.1", "big_integer": "9.223372036854776e+18",
        "bigger_integer": "1.844674407370955e+19", "time_without_zone": "2026-01-02 03:04:05.679000", "time_with_zone": WORDS["time_with_zone"], "empty": None, "binary": RAW.hex(),
        "lines": 'a\nb"c',
    },
    # SQLite makes a double of what a column of numeric affinity is given; declared TEXT it would be exact.
    "sqlite": {**FLOATING, "time_with_zone": WORDS["time_with_zone"]},
    "sqlalchemy-sqlite": {**FLOATING, "time_with_zone": WORDS["time_with_zone"]},
}  # fmt: skip


def postgres(request):
    department = request.getfixturevalue("postgres")
    department.run(f"CREATE TABLE kept ({', '.join(f'{name}_ {value.postgres}' for name, value in VALUES.items())})")
    with psycopg.connect(department.administrator) as connection:
        connection.execute(f"INSERT INTO kept VALUES ({', '.join(['%s'] * len(VALUES))})", [value.stored for value in VALUES.values()])
    return department.source(), Place(table="kept"), department.password


def mysql(request):
    department = request.getfixturevalue("mariadb")
    department.run(f"CREATE TABLE kept ({', '.join(f'{name}_ {value.mysql} NULL' for name, value in VALUES.items())})")
    stored = [
        value.stored.astimezone(UTC).replace(tzinfo=None) if name == "time_with_zone" else value.stored for name, value in VALUES.items()
    ]
    with (
        pymysql.connect(host="127.0.0.1", user="root", database=department.name, charset="utf8mb4", autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"INSERT INTO kept VALUES ({', '.join(['%s'] * len(VALUES))})", stored)
    return department.source(), Place(table="kept"), department.password


def worded(name, value, floats=str):
    """Write a value as a file of text would hold it."""
    stored = value.stored
    if isinstance(stored, bytes):
        return stored.hex()
    if isinstance(stored, Decimal):
        return floats(stored)
    return stored.isoformat(sep=" ") if isinstance(stored, datetime) else stored.isoformat() if isinstance(stored, date) else stored


def sqlite(request):
    path = request.getfixturevalue("sqlite")(
        f"CREATE TABLE kept ({', '.join(f'{name}_ {value.sqlite}' for name, value in VALUES.items())})"
    )
    stored = [value.stored if isinstance(value.stored, bytes) else worded(name, value) for name, value in VALUES.items()]
    stored = [str(one) if isinstance(one, int) and one >= 2**63 else one for one in stored]
    connection = sqlite3.connect(path)
    connection.execute(f"INSERT INTO kept VALUES ({', '.join('?' * len(stored))})", stored)
    connection.commit()
    connection.close()
    return request.getfixturevalue("source")("sqlite", path=str(path)), Place(table="kept"), None


# The two-byte codes that the 2022 edition gives, where Python's codec writes those of an older one.
NEW_CODES = {"ḿ": b"\xa8\xbc", "龴": b"\xfe\x59", "︐": b"\xa6\xd9"}


def csv(request):
    folder = request.getfixturevalue("tmp_path")
    fields = ["" if value.stored is None else '"' + str(worded(name, value)).replace('"', '""') + '"' for name, value in VALUES.items()]
    lines = ",".join(f"{name}_" for name in VALUES) + "\r\n" + ",".join(fields) + "\r\n"
    (folder / "a.csv").write_bytes(b"".join(NEW_CODES.get(letter) or letter.encode("gb18030") for letter in lines))
    return request.getfixturevalue("source")("csv", path=str(folder), encoding="gb18030"), Place(file="a.csv"), None


def excel(request):
    folder = request.getfixturevalue("tmp_path")
    book = openpyxl.Workbook()
    book.active.append([f"{name}_" for name in VALUES])
    book.active.append(
        [
            value.stored if not isinstance(value.stored, bytes) and name != "time_with_zone" else worded(name, value)
            for name, value in VALUES.items()
        ]
    )
    book.save(folder / "a.xlsx")
    return request.getfixturevalue("source")("excel", path=str(folder)), Place(file="a.xlsx"), None


def as_json():
    """Write the values as one JSON object, decimals as bare numbers."""
    written = json.dumps(
        {f"{name}_": worded(name, value, lambda number: f"#{number}#") for name, value in VALUES.items()}, ensure_ascii=False
    )
    return written.replace('"#', "").replace('#"', "")


def geojson(request):
    folder = request.getfixturevalue("tmp_path")
    feature = f'{{"type": "Feature", "geometry": null, "properties": {as_json()}}}'
    (folder / "a.geojson").write_text(f'{{"type": "FeatureCollection", "features": [{feature}]}}', encoding="utf-8")
    return request.getfixturevalue("source")("geojson", path=str(folder), crs="EPSG:4490"), Place(file="a.geojson"), None


def http(request):
    api = request.getfixturevalue("api")
    api.answer = lambda *_: (200, {}, f"[{as_json()}]".encode())
    return api.source({"rows": None, "pages": {}}), Place(table="kept"), None


def parquet(request):
    folder = request.getfixturevalue("tmp_path")
    pq.write_table(pa.table({f"{name}_": pa.array([value.stored], value.parquet) for name, value in VALUES.items()}), folder / "a.parquet")
    return request.getfixturevalue("source")("parquet", path=str(folder)), Place(file="a.parquet"), None


def through_sqlalchemy(native, driver):
    def stored(request):
        source, place, password = native(request)
        url = f"sqlite:///{source.path}" if source.path else f"{driver}://{source.url.partition('://')[2]}"
        return source.model_copy(update={"connector": "sqlalchemy", "url": url, "path": None}), place, password

    return stored


KINDS = {
    "postgres": postgres,
    "mysql": mysql,
    "sqlite": sqlite,
    "csv": csv,
    "excel": excel,
    "geojson": geojson,
    "parquet": parquet,
    "http": http,
    "sqlalchemy-postgres": through_sqlalchemy(postgres, "postgresql+psycopg"),
    "sqlalchemy-mysql": through_sqlalchemy(mysql, "mysql+pymysql"),
    "sqlalchemy-sqlite": through_sqlalchemy(sqlite, "sqlite"),
}


def shown(value):
    if isinstance(value, bytes | None):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    return value.astimezone(UTC).isoformat(sep=" ") if isinstance(value, datetime) and value.tzinfo else written_out(value)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.services] * ("mysql" in kind)) for kind in KINDS])
def test_every_value_arrives_exactly_or_as_the_table_says(request, kind):
    source, place, password = KINDS[kind](request)
    with open_connector(source, place, password=password) as session:
        (row,) = (row for batch in session.read([f"{name}_" for name in VALUES], Window()) for row in batch.to_pylist())
        assert session.oddities == Counter()
    expected = {name: value.arrives for name, value in VALUES.items()} | OTHERWISE.get(kind, {})
    assert {name.removesuffix("_"): shown(value) for name, value in row.items()} == expected


def test_the_table_covers_every_connector():
    from connectors.registry import BUILT_IN

    assert {kind.partition("-")[0] for kind in KINDS} == set(BUILT_IN)


@pytest.mark.services
@pytest.mark.parametrize(("connector", "arrives", "counted"), [("mysql", None, 2), ("sqlalchemy", "as it stands", 0)])
def test_a_zero_date_is_null_and_counted_or_text_that_no_contract_reads(mariadb, connector, arrives, counted):
    mariadb.run(
        "CREATE TABLE z (d date, t datetime)", "SET SESSION sql_mode = ''", "INSERT INTO z VALUES ('0000-00-00', '0000-00-00 00:00:00')"
    )
    source = mariadb.source()
    if connector == "sqlalchemy":
        source = source.model_copy(update={"connector": connector, "url": f"mysql+pymysql://{source.url.partition('://')[2]}"})
    with open_connector(source, Place(table="z"), password=mariadb.password) as session:
        (row,) = (row for batch in session.read(["d", "t"], Window()) for row in batch.to_pylist())
        assert session.oddities == Counter({Oddity(name, "zero or impossible date"): 1 for name in "dt"} if counted else {})
    assert row == ({"d": None, "t": None} if arrives is None else {"d": "0000-00-00", "t": "0000-00-00 00:00:00"})
