"""CSV files, streamed through Arrow's reader; text is decoded on the way."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.csv as arrow_csv

from connectors import failures
from connectors.csv_diagnosis import LONGEST, diagnosis
from connectors.decoding import Decoded, QuoteWatch, encoding_of
from connectors.files import opened
from connectors.registry import connector
from connectors.windows import TextSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from connectors.files import SourceFile
    from connectors.protocol import Connector, Place, Window
    from hub.errors import Rejected
    from schemas.source import Source


@connector("csv")
@contextmanager
def open_csv(source: Source, place: Place, *, password: str | None, order_by: Sequence[str] = ()) -> Iterator[Connector]:
    """Open a CSV file (RFC 4180, with the source's delimiter and encoding) with one header record.

    Every column is text. An empty field is null, a quoted empty field is empty text; blank lines are skipped.
    Rows come in the file's order, whatever ``order_by`` says. There is no password.
    """
    del password, order_by
    with opened(source, place) as file:
        session = CsvSession(file)
        session.begin()
        yield session


class CsvSession(TextSession):
    """One open file. Its snapshot is the file itself: a change while it is read rejects it."""

    def __init__(self, file: SourceFile) -> None:
        """Wrap *file*; :meth:`begin` must come next."""
        super().__init__(file.source, file.place, snapshot=f"the open file ({file.size} bytes)")
        self._file = file
        self._encoding = encoding_of(file.source)
        self._header: list[str] = []
        self._records_before_rows = 0  # the header, and blank lines above it
        self._counts: dict[Window, int] = {}

    def begin(self) -> None:
        """Read the header."""
        self._header = self._first_record()

    def columns(self) -> pa.Schema:
        """Return the header's columns, all of them text."""
        return pa.schema([pa.field(name, pa.string()) for name in self._header])

    def count(self, window: Window) -> int:
        """Return the rows of *window*, by a pass over the file unless one was already made."""
        if window not in self._counts:
            for _ in self._filtered([], window):
                pass
        return self._counts[window]

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the rows. A broken file raises ``Rejected``, at the latest after its last row."""
        for batch in self._filtered(columns, window):
            for start in range(0, batch.num_rows, self._source.fetch_rows):
                yield batch.slice(start, self._source.fetch_rows)

    def _filtered(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        cursor = window.cursor if window.bounded else None
        self.known(columns, window)
        wanted = dict.fromkeys([*columns, *([cursor] if cursor else [])]) or {self._header[0]: None}
        rows = 0
        for batch in self._batches(list(wanted)):
            taken = self.within(batch, window) if cursor else batch
            rows += taken.num_rows
            yield taken.select(list(columns))
        self._file.unchanged()
        self._counts[window] = rows

    def _batches(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        watch = QuoteWatch(self._source.delimiter)
        text = Decoded(self._file.bytes_from_start(), self._encoding, watch)
        ragged = 0

        def remember(row: arrow_csv.InvalidRow) -> Literal["skip", "error"]:
            nonlocal ragged
            del row  # its text is data; where it stands is found by the diagnosis
            ragged += 1
            return "skip"

        try:
            reader = self._reader(text, names, remember)
            for batch in reader:
                if batch.num_rows:
                    yield batch.rename_columns(names)
        except (pa.ArrowException, UnicodeError, ValueError):
            raise self._broken() from None
        if ragged:
            raise self._broken()
        if watch.suspicious and (found := diagnosis(self._file, self._encoding, len(self._header))):
            raise found

    def _reader(
        self, text: Decoded, names: list[str], ragged: Callable[[arrow_csv.InvalidRow], Literal["skip", "error"]]
    ) -> arrow_csv.CSVStreamingReader:
        # By position: a header may hold a line break, and names of columns that nobody reads may repeat.
        positions = {name: f"c{at}" for at, name in enumerate(self._header)}
        return arrow_csv.open_csv(
            pa.PythonFile(text, "r"),  # an Arrow file will do
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=LONGEST,
                column_names=[f"c{at}" for at in range(len(self._header))],
                skip_rows_after_names=self._records_before_rows,
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self._source.delimiter, newlines_in_values=True, invalid_row_handler=ragged),
            convert_options=arrow_csv.ConvertOptions(
                column_types={positions[name]: pa.string() for name in names},
                include_columns=[positions[name] for name in names],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )

    def known(self, wanted: Sequence[str], window: Window) -> None:
        """Raise ``Mistake`` also for a column whose name does not say which is meant."""
        super().known(wanted, window)
        if twice := [name for name in [*wanted, *window.columns] if self._header.count(name) > 1]:
            raise failures.column_named_twice(self._source, self._place, twice * 2)

    def _first_record(self) -> list[str]:
        text = io.TextIOWrapper(io.BufferedReader(Decoded(self._file.bytes_from_start(), self._encoding)), encoding="utf-8", newline="")
        try:
            for record in csv.reader(text, delimiter=self._source.delimiter, strict=True):
                self._records_before_rows += 1
                if record:
                    return record
        except (csv.Error, UnicodeError):
            raise self._broken() from None
        raise failures.broken(
            self._source, self._place, "the file has no header", "have the department supply it with its column names in the first line"
        )

    def _broken(self) -> Rejected:
        return diagnosis(self._file, self._encoding, len(self._header) or None) or failures.broken(
            self._source,
            self._place,
            f"the file cannot be read as CSV, or a record is longer than {LONGEST >> 20} MiB",
            "have the department supply it anew",
        )
