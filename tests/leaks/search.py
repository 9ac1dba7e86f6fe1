"""Search every byte the hub has written for values that must not be there (privacy rule 21).

``search`` looks into files (compressed ones opened) and into a plain dump of every table of every database, because a
compressed value of a row is invisible in the server's files. Each value is looked for in many written forms.
A search is worth nothing until it has found canaries: see test_search.py.
"""

import base64
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psycopg
import pyarrow.parquet
from psycopg import sql

SHORTEST = 12  # bytes: shorter values occur by chance
_ANCHOR = 8  # bytes at the end of a form that are looked up; beginnings are shared by many values
_CHUNK = 1 << 22
_TABLE_BITS = 20
_DEEPEST = 4  # archives in archives


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A value that lies where it must not: its name (never itself), in which form, and where."""

    value: str
    form: str
    place: str


@dataclass(frozen=True, slots=True)
class Needle:
    """One value in one written form."""

    value: str
    form: str
    written: bytes


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Yield the ways in which *value* might be written: encodings, each also in hex and base64, and escapes of programs."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
        raw = value.encode(encoding)
        yield encoding, raw
        yield f"{encoding} in hex", raw.hex().encode()
        yield f"{encoding} in HEX", raw.hex().upper().encode()
        for shift in range(3):
            coded = _base64(raw, shift)
            yield f"{encoding} in base64, shifted by {shift}", coded
            yield f"{encoding} in base64 for URLs, shifted by {shift}", coded.translate(bytes.maketrans(b"+/", b"-_"))
    yield "JSON", json.dumps(value)[1:-1].encode()
    yield "repr of bytes", repr(value.encode())[2:-1].encode()
    yield "octal", "".join(chr(byte) if byte < 128 else f"\\{byte:03o}" for byte in value.encode()).encode()
    yield "URL", quote(value).encode()


def _base64(raw: bytes, shift: int) -> bytes:
    """Return the part of a base64 text that is the same whatever stands before and after *raw*."""
    coded = base64.b64encode(bytes(shift) + raw)
    begin = (0, 2, 3)[shift]
    return coded[begin : len(coded) * 3 // 4 * 4 // 3][: ((shift + len(raw)) * 8 // 6) - begin]


class Searcher:
    """Finds any of many needles in one pass over the bytes."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Take *values* by name; a value of fewer than 12 bytes is refused, it would be found by chance."""
        short = [name for name, value in values.items() if len(value.encode()) < SHORTEST]
        if short:
            raise ValueError(f"too short to search for: {', '.join(short)}")
        found: dict[bytes, Needle] = {}
        for name, value in values.items():
            for form, written in forms(value):
                found.setdefault(written, Needle(name, form, written))
        self._ends: dict[bytes, list[Needle]] = {}
        for needle in found.values():
            self._ends.setdefault(needle.written[-_ANCHOR:], []).append(needle)
        self._longest = max(map(len, found), default=0)

    @cached_property
    def _table(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        table = np.zeros(1 << _TABLE_BITS, bool)
        ends = np.frombuffer(b"".join(self._ends), np.uint64)
        table[_hashed(ends)] = True
        return table

    def within(self, data: bytes, place: str) -> Iterator[Finding]:
        """Yield what is found in *data*, which is also opened where it is an archive."""
        yield from self._plain(data, place)
        yield from self._opened(data, place, 0)

    def _opened(self, data: bytes, place: str, depth: int) -> Iterator[Finding]:
        if depth < _DEEPEST:
            for name, inner in opened(data):
                yield from self._plain(inner, f"{place} › {name}")
                yield from self._opened(inner, f"{place} › {name}", depth + 1)

    def _plain(self, data: bytes, place: str) -> Iterator[Finding]:
        for start in range(0, max(len(data) - _ANCHOR + 1, 0), _CHUNK):
            for position in self._ends_in(data[start : start + _CHUNK + _ANCHOR - 1]):
                end = start + position + _ANCHOR
                for needle in self._ends.get(data[end - _ANCHOR : end], ()):
                    if data[max(end - len(needle.written), 0) : end] == needle.written:
                        yield Finding(needle.value, needle.form, place)

    def _ends_in(self, chunk: bytes) -> Iterator[int]:
        """Yield the positions in *chunk* at which the end of some needle may lie."""
        for shift in range(_ANCHOR):
            words = (
                np.frombuffer(chunk, np.uint64, count=max((len(chunk) - shift) // _ANCHOR, 0), offset=shift) if len(chunk) > shift else ()
            )
            if len(words):
                yield from (np.flatnonzero(self._table[_hashed(words)]) * _ANCHOR + shift).tolist()


def _hashed(words: "np.ndarray[tuple[int], np.dtype[np.uint64]]") -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    return (words * np.uint64(0x9E37_79B9_7F4A_7C15)) >> np.uint64(64 - _TABLE_BITS)


def opened(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the contents of *data* where it is gzip, zlib, zip (also xlsx) or Parquet."""
    if data[:2] == b"\x1f\x8b":
        yield "gunzipped", _gunzipped(data)
    elif data[:1] == b"\x78" and data[1:2] in {b"\x01", b"\x5e", b"\x9c", b"\xda"}:
        try:
            yield "inflated", zlib.decompressobj().decompress(data)
        except zlib.error:
            return
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    elif data[:4] == b"PAR1" and data[-4:] == b"PAR1":
        for batch in pyarrow.parquet.ParquetFile(io.BytesIO(data)).iter_batches():
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                yield name, b"\n".join(_written(value) for value in column.to_pylist())


def _gunzipped(data: bytes) -> bytes:
    """Return what a gzip file's members hold, as far as they are whole; what follows them is ignored."""
    out = bytearray()
    while data[:2] == b"\x1f\x8b":
        member = zlib.decompressobj(wbits=31)
        try:
            out += member.decompress(data)
        except zlib.error:
            break
        data = member.unused_data
    return bytes(out)


def _written(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def search(
    roots: Iterable[Path], databases: Iterable[str], values: Mapping[str, str], *, texts: Mapping[str, str] | None = None
) -> list[Finding]:
    """Return every place where one of *values* (by name) lies, in any form, sorted.

    *roots* are files or folders, searched whole; *databases* are connection strings of an administrator, of whose
    databases every table is dumped (the system's own too: statistics hold samples of values); *texts* are what programs said.
    """
    searcher = Searcher(values)
    found: set[Finding] = set()
    for root in roots:
        for path in _files(root):
            found.update(searcher.within(path.name.encode("utf-8", "surrogateescape"), f"name of {path}"))
            found.update(searcher.within(_content(path), str(path)))
    for database in databases:
        for place, data in dumped(database):
            found.update(searcher.within(data, place))
    for name, text in (texts or {}).items():
        found.update(searcher.within(text.encode("utf-8", "surrogatepass"), name))
    return sorted(found)


def _files(root: Path) -> Iterator[Path]:
    paths = [root] if root.is_file() else root.rglob("*")
    yield from (path for path in paths if path.is_file() and not path.is_symlink())


def _content(path: Path) -> bytes:
    """Return the bytes of *path*; nothing if it has gone meanwhile, as files of a live server do."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def dumped(database: str) -> Iterator[tuple[str, bytes]]:
    """Yield every table, materialised view and sequence of one database as COPY's text, decompressed by the server."""
    with psycopg.connect(database) as connection:
        connection.execute("SET statement_timeout = '60s'")
        name = connection.info.dbname
        tables = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'm') AND NOT starts_with(n.nspname, 'pg_toast') AND c.relpersistence <> 't' ORDER BY 1, 2"
        ).fetchall()
        for schema, table in tables:
            out = bytearray()
            query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(sql.Identifier(schema, table))
            with connection.cursor().copy(query) as copy:
                for piece in copy:
                    out += piece
            yield f"{name}: {schema}.{table}", bytes(out)


def databases_of(server: str, *, but: Iterable[str] = ()) -> list[str]:
    """Return connection strings for every database of the server that the connection string *server* (an administrator's) names."""
    excluded = set(but)
    with psycopg.connect(server) as connection:
        names = [name for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")]
    return [psycopg.conninfo.make_conninfo(server, dbname=name) for name in names if name not in excluded]


def settled(server: str) -> None:
    """Bring all that the server holds in memory to its files."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
