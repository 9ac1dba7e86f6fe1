"""Writing the departments' systems: files, SQLite and PostgreSQL, each as such a department would have it."""

import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
from openpyxl import Workbook
from psycopg import sql

from demo.registers import ORIGINS, System
from hub.database.passwords import ensure_password

DATABASE, OWNER, READER = "city", "city_owner", "city_reader"


def write_files(folder: Path, tables: Mapping[str, pa.Table]) -> None:
    """Write every dataset that is a file below *folder*; each file changes at once or not at all."""
    databases: dict[str, dict[str, pa.Table]] = {}
    for name, table in tables.items():
        system = ORIGINS[name].system
        if system.form == "sqlite":
            databases.setdefault(system.file, {})[system.table] = table
        elif system.form != "postgres":
            with _replaced(folder / system.file) as path:
                _WRITERS[system.form](path, table, system)
    for file, contents in databases.items():
        with _replaced(folder / file) as path:
            _sqlite(path, contents)


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Give a name to write to, and rename it to *path* when all is written: nobody reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    yield draft
    draft.replace(path)


def _rows(table: pa.Table) -> Iterator[tuple[object, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _csv(path: Path, table: pa.Table, system: System) -> None:
    with path.open("w", encoding=system.encoding, newline="") as file:
        writer = csv.writer(file, delimiter=system.delimiter)
        writer.writerow(table.column_names)
        writer.writerows(_rows(table))


def _excel(path: Path, table: pa.Table, system: System) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(system.table)
    sheet.append(table.column_names)
    for row in _rows(table):
        sheet.append(row)
    book.save(path)


def _geojson(path: Path, table: pa.Table, system: System) -> None:  # noqa: ARG001 (one shape for all writers)
    names = table.column_names
    features = [
        {"type": "Feature", "properties": dict(zip(names[:-1], row[:-1], strict=True)), "geometry": json.loads(str(row[-1]))}
        for row in _rows(table)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False), encoding="utf-8")


_WRITERS = {"csv": _csv, "excel": _excel, "geojson": _geojson}


def _sqlite(path: Path, tables: Mapping[str, pa.Table]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for name, table in tables.items():
            types = ("INTEGER" if pa.types.is_integer(column.type) else "TEXT" for column in table.schema)
            columns = ", ".join(f'"{column}" {kind}' for column, kind in zip(table.column_names, types, strict=True))
            connection.execute(f'CREATE TABLE "{name}" ({columns})')
            places = ", ".join("?" * table.num_columns)
            connection.executemany(f'INSERT INTO "{name}" VALUES ({places})', _rows(table))


def write_database(administrator: str, tables: Mapping[str, pa.Table], label: str) -> None:
    """Write every dataset of the PostgreSQL database ``city``, all in one transaction, and label the database.

    *administrator* is a connection string that may create roles and databases; the reader's password is a file in
    ``HUB_SECRETS``, made if there is none. The reader may connect and select, nothing else.
    """
    _ensure_database(administrator)
    with psycopg.connect(administrator, dbname=DATABASE) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        connection.execute("SET LOCAL timezone = 'Asia/Shanghai'")
        for name, table in tables.items():
            system = ORIGINS[name].system
            if system.form == "postgres":
                schema, _, place = system.table.partition(".")
                _table(connection, schema, place, table)
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(DATABASE), sql.Literal(label)))


def database_label(administrator: str) -> str | None:
    """Return the label that :func:`write_database` left, or None where there is no such database."""
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    with psycopg.connect(administrator, autocommit=True) as connection:
        row = connection.execute(query, [DATABASE]).fetchone()
    return row[0] if row else None


def _ensure_database(administrator: str) -> None:
    password = ensure_password(READER)
    with psycopg.connect(administrator, autocommit=True) as connection:
        known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [[OWNER, READER]])}
        owner, reader, database = sql.Identifier(OWNER), sql.Identifier(READER), sql.Identifier(DATABASE)
        if OWNER not in known:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(owner))
        if READER not in known:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(reader))
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(reader, sql.Literal(password)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(database, owner))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, reader))


def _table(connection: psycopg.Connection, schema: str, name: str, table: pa.Table) -> None:
    place, reader = sql.Identifier(schema, name), sql.Identifier(READER)
    columns = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(_type(one.type))) for one in table.schema)
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(place))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(place, columns))
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(place)) as copy:
        for row in _rows(table):
            copy.write_row(row)
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), reader))
    connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(place, reader))


def _type(kind: pa.DataType) -> str:
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "timestamp with time zone"
    return "bigint" if pa.types.is_integer(kind) else "text"
