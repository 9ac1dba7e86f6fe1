"""Parquet: a file, or a folder of files of one schema, read page by page and only the columns that are wanted."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors import failures
from connectors.files import opened, source_path
from connectors.parquet_types import arriving, taken
from connectors.registry import connector
from connectors.windows import TextSession
from hub.errors import HubError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.files import SourceFile
    from connectors.protocol import Connector, Place, Window
    from schemas.source import Source

FILES_AT_MOST = 500  # each is kept open, so that none changes unseen
BUFFER_BYTES = 1 << 20  # read at once of one column


@connector("parquet")
@contextmanager
def open_parquet(source: Source, place: Place, *, password: str | None, order_by: Sequence[str] = ()) -> Iterator[Connector]:
    """Open a Parquet file, or every ``*.parquet`` in a folder and the folders below it, in the order of their paths.

    Columns keep their types (``parquet_types``); the files of a folder must agree on the columns that are read.
    Values that a writer put into folder names (``day=2026-01-01``) are no columns.
    Rows come in the files' order, whatever ``order_by`` says. There is no password.
    """
    del password, order_by
    with ExitStack() as stack:
        files = [stack.enter_context(opened(source, each)) for each in _places(source, place)]
        session = ParquetSession(source, place, files)
        session.begin()
        yield session


def _places(source: Source, place: Place) -> list[Place]:
    path = source_path(source, place.file)
    if not path.is_dir():
        return [place]
    found = sorted(file for file in path.rglob("*.parquet") if not file.name.startswith((".", "_")))
    if not found:
        raise failures.down(source, f"folder {path} holds no .parquet file yet")
    if len(found) > FILES_AT_MOST:
        raise Mistake(
            f"source {source.source!r}, {place}: the folder holds {len(found)} files, more than {FILES_AT_MOST}",
            remedy="have the department write fewer, larger files, or name a folder below it in the contract's `file`",
        )
    folder = source_path(source, None)
    start = folder if folder.is_dir() else folder.parent
    return [replace(place, file=str(file.relative_to(start))) for file in found]


class ParquetSession(TextSession):
    """The open files. Their snapshot is themselves: a change of one while it is read rejects it."""

    def __init__(self, source: Source, place: Place, files: Sequence[SourceFile]) -> None:
        """Wrap *files*; :meth:`begin` must come next."""
        size = sum(file.size for file in files)
        super().__init__(source, place, snapshot=f"the open file{'s' * (len(files) > 1)} ({len(files)}, {size} bytes)")
        self._files, self._rows = files, 0

    def begin(self) -> None:
        """Read what the files say of themselves: columns, types, rows."""
        self._stored = [self._opened(file) for file in self._files]
        first = self._stored[0].schema_arrow
        if len(set(first.names)) < len(first.names):
            raise failures.column_named_twice(self._source, self._place, first.names)
        self._schema = pa.schema([pa.field(field.name, arriving(field.type)) for field in first])
        self._rows = sum(stored.metadata.num_rows for stored in self._stored)

    def columns(self) -> pa.Schema:
        """Return the first file's columns in its order; nullable throughout."""
        return self._schema

    def count(self, window: Window) -> int:
        """Return the rows of *window*: without bounds as the files say, else by reading the cursor alone."""
        self.known([], window)
        if not window.bounded:
            return self._rows
        return sum(batch.num_rows for batch in self.read([window.cursor or ""], window))

    def newest(self, cursor: str) -> str | None:
        """Return the greatest value: a number, or a date or time as ISO 8601, or text by code point."""
        if pa.types.is_string(self._type(cursor)):
            return super().newest(cursor)
        greatest = None
        for batch in self._read([cursor]):
            found = pc.max(batch.column(0))
            greatest = found if greatest is None or (found.is_valid and pc.greater(found, greatest).as_py()) else greatest
        return None if greatest is None or not greatest.is_valid else str(greatest.cast(pa.string()).as_py())

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the rows; of the files only these columns (and the cursor) are read."""
        self.known(columns, window)
        names = list(dict.fromkeys([*columns, *([window.cursor] if window.bounded and window.cursor else [])]))
        for batch in self._read(names):
            yield (self._within(batch, window) if window.bounded else batch).select(list(columns))
        for file in self._files:
            file.unchanged()

    def _read(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        self._agree(names)
        schema = pa.schema([self._schema.field(name) for name in names])
        for file, stored in zip(self._files, self._stored, strict=True):
            try:
                for batch in stored.iter_batches(self._source.fetch_rows, columns=names, use_threads=False):
                    # `columns` chooses but does not order.
                    yield pa.record_batch([self._taken(name, batch.column(name)) for name in names], schema=schema)
            except (pa.ArrowException, OSError):
                raise _damaged(file) from None

    def _taken(self, name: str, column: pa.Array) -> pa.Array:
        values, oddities = taken(name, column)
        self.oddities.update(oddities)
        return values

    def _within(self, batch: pa.RecordBatch, window: Window) -> pa.RecordBatch:
        if pa.types.is_string(batch.schema.field(window.cursor).type):
            return self.within(batch, window)
        values = batch.column(window.cursor)
        kept = values.is_valid()
        if window.after is not None:
            kept = pc.and_(kept, pc.greater(values, self._bound(window.after, values.type)))
        if window.until is not None:
            kept = pc.and_(kept, pc.less_equal(values, self._bound(window.until, values.type)))
        return batch.filter(kept)

    def _bound(self, text: str, kind: pa.DataType) -> pa.Scalar:
        try:
            return pa.scalar(text).cast(kind)
        except pa.ArrowException:
            raise Mistake(
                f"source {self._source.source!r}, {self._place}: the cursor is of type {kind}, the bound is not",
                remedy="run the job in full once",
            ) from None

    def _type(self, name: str) -> pa.DataType:
        self._agree([name])
        return self._schema.field(name).type

    def _agree(self, names: Sequence[str]) -> None:
        """Raise ``Mistake`` for a column the first file lacks, ``Rejected`` for one that another file lacks or types otherwise."""
        self._has(names)
        for file, stored in zip(self._files[1:], self._stored[1:], strict=True):
            schema = stored.schema_arrow
            for name in names:
                at = schema.get_field_index(name)
                if at < 0 or arriving(schema.types[at]) != self._schema.field(name).type:
                    raise failures.broken(
                        self._source,
                        file.place,
                        f"column {name!r} is missing or of another type than in {self._files[0].place}",
                        "have the department write all files of the folder with one schema",
                    )

    def _opened(self, file: SourceFile) -> pq.ParquetFile:
        try:
            stream = pa.PythonFile(file.bytes_from_start(), "r")
            return pq.ParquetFile(stream, buffer_size=BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us")
        except (pa.ArrowException, OSError):
            raise _damaged(file) from None


def _damaged(file: SourceFile) -> HubError:
    return failures.broken(
        file.source,
        file.place,
        "the file is no whole Parquet file: cut short, damaged, encrypted or of another kind",
        "have the department supply it anew; better, written under another name and renamed when it is whole",
    )
