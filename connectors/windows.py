"""Windows over sources that cannot filter for themselves: a cursor column of text."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connectors import failures, sql
from connectors.cursors import earlier
from connectors.protocol import Session, Window
from hub.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.protocol import Place
    from schemas.source import Source

_WHOLE = r"^\s*[+-]?\d{1,38}\s*$"
_NUMBER = pa.decimal128(38, 0)


def within(batch: pa.RecordBatch, window: Window, source: Source, place: Place) -> pa.RecordBatch:
    """Return the rows of *batch* in *window*.

    Where the bounds are whole numbers the cursor is compared as a number, else as text by code point
    (right for times written year first). Null and empty cursors lie in no window.
    """
    values = _filled(batch.column(window.cursor or ""))
    bounds = [bound for bound in (window.after, window.until) if bound is not None]
    kind: pa.DataType = pa.string()
    if all(re.match(_WHOLE, bound) for bound in bounds):
        kind = _NUMBER
        if not _all_whole(values):
            raise failures.broken(
                source,
                place,
                f"the cursor {window.cursor!r} was a whole number in every row before, and is not in some row now",
                "have the department mend the column, or read in full",
            )
    values = pc.utf8_trim_whitespace(values).cast(kind)
    kept = values.is_valid()
    if window.after is not None:
        kept = pc.and_(kept, pc.greater(values, pa.scalar(window.after.strip()).cast(kind)))
    if window.until is not None:
        kept = pc.and_(kept, pc.less_equal(values, pa.scalar(window.until.strip()).cast(kind)))
    return batch.filter(kept)


class TextSession(Session, ABC):
    """What sessions share whose values are text and whose windows are cut here: files, and HTTP APIs."""

    def __init__(self, source: Source, place: Place, *, snapshot: str | None) -> None:
        """Say what is read, and what holds still while it is."""
        super().__init__(snapshot=snapshot)
        self._source, self._place = source, place

    @abstractmethod
    def columns(self) -> pa.Schema:
        """Return the columns."""

    def known(self, wanted: Sequence[str], window: Window) -> None:
        """Raise ``Mistake`` for a column that is not there, and for a window over a part: such a source is one part."""
        if window.part is not None and not window.part.whole:
            raise Mistake("this source is read as a whole, not in parts", remedy="read the parts that the session itself gives")
        self._has([*wanted, *window.columns])

    def within(self, batch: pa.RecordBatch, window: Window) -> pa.RecordBatch:
        """Return the rows of *batch* in *window*, as :func:`within` has it."""
        return within(batch, window, self._source, self._place)

    def _has(self, names: Sequence[str]) -> None:
        sql.checked(self._source, self._place, self.columns(), names)

    @abstractmethod
    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the rows of *window*, as :class:`connectors.protocol.Connector` asks."""

    def newest(self, cursor: str) -> str | None:
        """Return the greatest value: as numbers where all are whole numbers, else as text by code point."""
        newest = Newest()
        for batch in self.read([cursor], Window()):
            newest.see(batch.column(0))
        return newest.value

    def earlier(self, value: str, seconds: int) -> str:
        """Return the time *seconds* before *value*, written as in the source."""
        return earlier(value, seconds)


class Newest:
    """The greatest value of a column of text, seen batch by batch."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._text: str | None = None
        self._number: int | None = None
        self._whole = True

    def see(self, column: pa.Array) -> None:
        """Take in *column*; null and empty count for nothing."""
        values = pc.utf8_trim_whitespace(_filled(column)).drop_null()
        if not len(values):
            return
        text = pc.max(values).as_py()
        self._text = text if self._text is None else max(self._text, text)
        self._whole = self._whole and _all_whole(values)
        if self._whole:
            number = int(pc.max(values.cast(_NUMBER)).as_py())
            self._number = number if self._number is None else max(self._number, number)

    @property
    def value(self) -> str | None:
        """The greatest: as a number if every value was a whole number, else as text by code point."""
        return str(self._number) if self._whole and self._number is not None else self._text


def _filled(values: pa.Array) -> pa.Array:
    blank: pa.Array = pc.if_else(pc.match_substring_regex(values, r"^\s*$"), pa.scalar(None, pa.string()), values)
    return blank


def _all_whole(values: pa.Array) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, _WHOLE), min_count=0).as_py())
