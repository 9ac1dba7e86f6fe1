"""A register of invented people as a PostgreSQL source: 12 columns, five of them sensitive, 20 rules and more."""

from pathlib import Path
from urllib.parse import quote

import adbc_driver_postgresql.dbapi
import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from demo.city import administrator
from demo.numbers import FIRST_SEQUENCE, citizen_numbers, joined, mobile_numbers, padded
from hub.database.passwords import ensure_password
from hub.settings import settings
from schemas.declarations import declarations

DATABASE, READER = "bench_source", "bench_reader"
COLUMNS = "record_no text PRIMARY KEY, citizen_no text, full_name text, sex text, birth_date date, ethnic text, address text, phone text, "
COLUMNS += "marital text, education text, division_code text, updated_at timestamptz"
FIELDS = tuple(part.split()[0] for part in COLUMNS.split(", "))
SEQUENCES = 290

CONTRACT = """
dataset: bench_people
department: bench
version: 1
title: {zh: 测量, en: Measure}
abstract: {zh: 测量, en: Measure}
source: bench
table: people
key: [record_no]
fields:
  - {name: record_no, title: {zh: 编号, en: Record}, type: string, level: L2, required: true, length: 12}
  - {name: citizen_no, title: {zh: 号码, en: Number}, type: string, level: L3, kind: citizen_id, required: true}
  - {name: full_name, title: {zh: 姓名, en: Name}, type: string, level: L3, kind: person_name, required: true, length: 40}
  - {name: sex, title: {zh: 性别, en: Sex}, type: string, level: L2, codes: sex, required: true}
  - {name: birth_date, title: {zh: 出生, en: Born}, type: date, level: L3, kind: birth_date, required: true}
  - {name: ethnic, title: {zh: 民族, en: Ethnic group}, type: string, level: L2, codes: ethnic}
  - {name: address, title: {zh: 住址, en: Address}, type: string, level: L3, kind: address_text, length: 100}
  - {name: phone, title: {zh: 电话, en: Telephone}, type: string, level: L3, kind: mobile}
  - {name: marital, title: {zh: 婚姻, en: Marital}, type: string, level: L2, codes: marital}
  - {name: education, title: {zh: 教育, en: Education}, type: string, level: L2, codes: education}
  - {name: division_code, title: {zh: 区划, en: Division}, type: string, level: L1, kind: division_code}
  - {name: updated_at, title: {zh: 更新, en: Changed}, type: timestamp, level: L1, required: true}
rules:
  - {rule: birth_agrees, fields: [birth_date, citizen_no]}
  - {rule: sex_agrees, fields: [sex, citizen_no]}
  - {rule: not_in_future, fields: [birth_date]}
contributes:
  - entity: bench.person
    subject: citizen_no
    fields:
      citizen_no: citizen_no
      full_name: full_name
      sex: sex
      birth_date: birth_date
      ethnic: ethnic
      address: address
      phone: phone
      marital: marital
      education: education
      division_code: division_code
      updated_at: updated_at
sync: {mode: full}
sharing: {class: conditional, scope: bench, use: bench}
"""

INCREMENTAL = CONTRACT.replace("sync: {mode: full}", "sync: {mode: incremental, cursor: updated_at}")

LIBRARY = """
library: bench
title: {zh: 测量, en: Measure}
entities:
  - entity: person
    title: {zh: 人, en: Person}
    form: composed
    subject: citizen_id
    exists_by: [bench_people]
    authority: [{rank: 1, dataset: bench_people, basis: measure}]
    fields:
"""


def write_home(home: Path, contract: str = CONTRACT) -> None:
    """Write the declarations of the measure below *home*."""
    fields = [line.strip()[2:] for line in contract.splitlines() if line.strip().startswith("- {name:")]
    entity = [field.split(", required")[0].split(", length")[0].rstrip("}") + "}" for field in fields if "name: record_no" not in field]
    titled = "\n".join(f"      - {field}" for field in (_closed(field) for field in entity))
    _write(home / "schemas/libraries/bench.yaml", LIBRARY + titled + "\n")
    _write(home / "schemas/contracts/bench/bench_people.yaml", contract)
    url = f"postgresql://{READER}@/{DATABASE}?host=${{HUB_SOCKET}}"
    source = f"source: bench\ndepartment: bench\ntitle: {{zh: 测量, en: Measure}}\nconnector: postgres\nurl: {url}\nsecret: {READER}\n"
    _write(home / "connectors/sources/bench.yaml", source)
    _write(
        home / "catalog/departments.yaml",
        "departments:\n  - {department: bench, title: {zh: 测量, en: Measure}, credit_code: 11100000000013338W}\n",
    )


def declare(contract: str) -> None:
    """Replace the contract in ``HUB_HOME``."""
    _write(settings().home / "schemas/contracts/bench/bench_people.yaml", contract)
    declarations.cache_clear()


def _closed(field: str) -> str:
    return field if field.count("{") == field.count("}") else field + "}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def people(rows: int) -> pa.Table:
    """Return *rows* invented people with numbers that are all different and all valid."""
    count = np.arange(rows)
    births = np.datetime64("1940-01-01") + (count // SEQUENCES) % 29_000
    sequences = FIRST_SEQUENCE + count % SEQUENCES
    divisions = np.array(["110101", "110102", "110105", "110106"])[count // (SEQUENCES * 29_000)]
    surnames, given = np.array(list("王李张刘陈杨赵黄周吴")), np.array(list("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平"))
    codes = {"ethnic": ("01", "02", "03", "11"), "marital": ("10", "20", "30", "40"), "education": ("21", "31", "61", "71")}
    texts = {
        "record_no": joined("P", padded(count, 11)),
        "citizen_no": citizen_numbers(divisions, births, sequences),
        "full_name": joined(surnames[count % 10], given[count // 10 % 20], given[count // 7 % 20]),
        "sex": np.where(sequences % 2 == 1, "1", "2"),
        "address": joined("北京市示范区测量街道第", padded(count % 5000, 4), "号院", padded(count % 40, 2), "号楼"),
        "phone": mobile_numbers(np.random.default_rng(1), rows),
        "division_code": divisions,
    } | {name: np.array(values)[count % len(values)] for name, values in codes.items()}
    columns = {name: pa.array(values.tolist(), pa.string()) for name, values in texts.items()}
    columns["birth_date"] = pa.array(births.astype("datetime64[D]"), pa.date32())
    columns["updated_at"] = pa.array(np.full(rows, np.datetime64("2026-01-01T00:00:00", "us")), pa.timestamp("us", "UTC"))
    return pa.table({name: columns[name] for name in FIELDS})


def build_source(rows: int) -> None:
    """Fill the source database with *rows* people; the hub's embedded server must be up."""
    reader, words = sql.Identifier(READER), sql.Literal(ensure_password(READER))
    with psycopg.connect(administrator(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(DATABASE)))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(reader))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(reader, words))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    with adbc_driver_postgresql.dbapi.connect(source_administrator()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE people ({COLUMNS})")
        cursor.adbc_ingest("people", people(rows), mode="append")
        cursor.execute("CREATE INDEX ON people (updated_at)")  # as a department has on what its cursor is
        cursor.execute(sql.SQL("GRANT SELECT ON people TO {}").format(reader).as_string())
        connection.commit()
    run_at_source("VACUUM ANALYZE people")


def source_administrator() -> str:
    """Return the administrator's connection string to the source database."""
    return make_conninfo(administrator(), dbname=DATABASE)


def source_address() -> str:
    """Return the administrator's URL of the source database, for programs that want one."""
    given = conninfo_to_dict(source_administrator())
    user, secret, host = (quote(str(given[name]), safe="") for name in ("user", "password", "host"))
    return f"postgresql://{user}:{secret}@localhost/{DATABASE}?host={host}"  # dlt wants a host; libpq takes the later one


def run_at_source(statement: str) -> None:
    """Run one statement at the source, as its owner."""
    with psycopg.connect(source_administrator(), autocommit=True) as connection:
        connection.execute(statement)
