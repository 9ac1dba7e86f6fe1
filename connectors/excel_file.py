"""Excel workbooks (.xlsx), streamed row by row; formula cells give the value last calculated."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from connectors import failures
from connectors.excel_formulas import uncalculated
from connectors.excel_size import require_harmless
from connectors.files import opened
from connectors.lines import Lines
from connectors.protocol import Oddity
from connectors.registry import connector
from connectors.text import as_text
from connectors.windows import TextSession
from hub.errors import HubError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from openpyxl.cell import ReadOnlyCell
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

    from connectors.files import SourceFile
    from connectors.protocol import Connector, Place, Window
    from hub.errors import Rejected
    from schemas.source import Source

    Row = tuple[int, tuple[ReadOnlyCell, ...]]

_OLD_OR_LOCKED = bytes.fromhex("d0cf11e0a1b11ae1")
_ERROR_CELL = "error value"


@connector("excel")
@contextmanager
def open_excel(source: Source, place: Place, *, password: str | None, order_by: Sequence[str] = ()) -> Iterator[Connector]:
    """Open one sheet of a workbook; its first row that is not blank is the header.

    Every column is text: whole numbers without a point, dates and times as ISO 8601, a time of midnight as its date.
    Blank rows are skipped; an empty cell is null, and so is the empty text of a formula. Error values (#N/A) are read as null and counted.
    Rows come in the sheet's order, whatever ``order_by`` says. There is no password.
    """
    del password, order_by
    with opened(source, place) as file, closing(_workbook(file)) as workbook:
        session = ExcelSession(file, _sheet(file, workbook))
        session.begin()
        yield session


class ExcelSession(TextSession):
    """One sheet of one open file. Its snapshot is the file itself: a change while it is read rejects it."""

    def __init__(self, file: SourceFile, sheet: ReadOnlyWorksheet) -> None:
        """Wrap *sheet* of *file*; :meth:`begin` must come next."""
        super().__init__(file.source, file.place, snapshot=f"the open file ({file.size} bytes)")
        self._file, self._sheet = file, sheet
        self._header: list[str | None] = []

    def begin(self) -> None:
        """Read the header, and find the formulas that were never calculated."""
        for _, cells in self._rows():
            self._header = as_text([cell.value for cell in cells])[0].to_pylist()
            break
        while self._header and not self._header[-1]:
            self._header.pop()
        if not self._header:
            raise failures.broken(
                self._source,
                self._place,
                f"sheet {self._sheet.title!r} is empty",
                "have the department supply it with its column names in the first row",
            )
        try:
            self._uncalculated = uncalculated(self._file, self._sheet)
        except Exception:  # noqa: BLE001  whatever zip and its decompressors raise
            raise _cut_short(self._file) from None

    def columns(self) -> pa.Schema:
        """Return the header's columns, all of them text; a column without a header is not read."""
        return pa.schema([pa.field(name, pa.string()) for name in self._header if name])

    def count(self, window: Window) -> int:
        """Return the rows of *window*, by a pass over the sheet."""
        names = [window.cursor] if window.cursor else [self.columns().names[0]]
        return sum(batch.num_rows for batch in self.read(names, window))

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the rows. A broken sheet raises ``Rejected``, at the latest after its last row."""
        self.known(columns, window)
        names = list(dict.fromkeys([*columns, *([window.cursor] if window.cursor else [])]))
        positions = [self._header.index(name) for name in names]
        ragged, widest, rows = Lines("row"), 0, self._rows()
        next(rows, None)  # the header
        while taken := self._next_rows(rows, self._source.fetch_rows):
            for number, cells in taken:
                if width := self._too_wide(cells):
                    ragged.add(number)
                    widest = max(widest, width)
            batch = self._batch(names, positions, [cells for _, cells in taken])
            batch = self.within(batch, window) if window.bounded else batch
            yield batch.select(list(columns))
        self._file.unchanged()
        if ragged.total:
            raise self._ragged(ragged, widest)

    def known(self, wanted: Sequence[str], window: Window) -> None:
        """Raise also for a column whose name does not say which is meant, or whose formulas were never calculated."""
        super().known(wanted, window)
        names = [*wanted, *window.columns]
        if twice := [name for name in names if self._header.count(name) > 1]:
            raise failures.column_named_twice(self._source, self._place, twice * 2)
        for name in names:
            if cells := self._uncalculated.get(get_column_letter(self._header.index(name) + 1)):
                raise failures.broken(
                    self._source,
                    self._place,
                    f"column {name!r} holds {cells.total} formulas whose value was never calculated, in {cells}",
                    "have the department open the workbook in its spreadsheet program and save it",
                )

    def _rows(self) -> Iterator[Row]:
        """Yield the rows that are not blank with their numbers."""
        try:
            for number, cells in enumerate(self._sheet.iter_rows(), 1):  # type: ignore[misc]  # borrowed from another class
                if any(cell.value is not None for cell in cells):
                    yield number, cells  # type: ignore[misc]  # they are read-only cells
        except Exception:  # noqa: BLE001  openpyxl raises whatever its XML, zip and number parsers raise, and quotes values
            raise _cut_short(self._file) from None

    def _next_rows(self, rows: Iterator[Row], number: int) -> list[Row]:
        with warnings.catch_warnings():
            # openpyxl warns of dates out of bounds and quotes them; they arrive as error values.
            warnings.simplefilter("ignore")
            return list(islice(rows, number))

    def _batch(self, names: list[str], positions: list[int], rows: list[tuple[ReadOnlyCell, ...]]) -> pa.RecordBatch:
        arrays = []
        for name, at in zip(names, positions, strict=True):
            cells = [row[at] if at < len(row) else None for row in rows]
            errors = sum(cell is not None and cell.data_type == "e" for cell in cells)
            values = [None if cell is None or cell.data_type == "e" else cell.value for cell in cells]
            array, oddities = as_text(values, name)
            self.oddities.update(oddities + Counter({Oddity(name, _ERROR_CELL): errors} if errors else {}))
            arrays.append(array)
        return pa.record_batch(arrays, names=names)

    def _too_wide(self, cells: tuple[ReadOnlyCell, ...]) -> int:
        """Return the position of the last value without a header above it; 0 if there is none."""
        for at in range(len(cells), 0, -1):
            if cells[at - 1].value is not None and (at > len(self._header) or not self._header[at - 1]):
                return at
        return 0

    def _ragged(self, rows: Lines, widest: int) -> Rejected:
        return failures.broken(
            self._source,
            self._place,
            f"{rows.total} rows hold values where there is no header "
            f"(header: {len(self._header)} columns, values up to column {widest}): {rows}",
            "have the department give each column a name in the header, or clear those cells",
        )


def _workbook(file: SourceFile) -> Workbook:
    raw = file.bytes_from_start()
    if raw.peek(8)[:8] == _OLD_OR_LOCKED:
        raise failures.broken(
            file.source,
            file.place,
            "the file is an old .xls workbook or protected by a password",
            "have the department save it as .xlsx without a password",
        )
    try:
        require_harmless(file)
        return load_workbook(file.bytes_from_start(), read_only=True, data_only=True, keep_links=False)
    except HubError:
        raise
    except Exception:  # noqa: BLE001  openpyxl raises whatever its XML, zip and number parsers raise, and quotes values
        raise _cut_short(file) from None


def _cut_short(file: SourceFile) -> Rejected:
    return failures.broken(
        file.source,
        file.place,
        "the file is not a whole .xlsx workbook: cut short, damaged or of another kind",
        "have the department supply it anew as .xlsx",
    )


def _sheet(file: SourceFile, workbook: Workbook) -> ReadOnlyWorksheet:
    sheets = {sheet.title: sheet for sheet in workbook.worksheets}
    wanted = file.place.sheet or (next(iter(sheets)) if len(sheets) == 1 else None)
    if wanted not in sheets:
        problem = f"there is no sheet {wanted!r}" if wanted else "the workbook has several sheets and the contract names none"
        raise Mistake(
            f"source {file.source.source!r}, {file.place}: {problem}",
            remedy=f"write `sheet:` in the contract, one of: {failures.listed(sheets)}",
        )
    sheet = sheets[wanted]
    sheet.reset_dimensions()  # what a file says of its own size is often wrong
    return sheet
