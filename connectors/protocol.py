"""What every connector promises.

A connector is one open session with one place at one source. It knows no key and no contract:
it hands over columns under the source's own names, and whoever called it conforms them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hub.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is read at a source: one of a table, a query or a file (with its sheet)."""

    table: str | None = None
    query: str | None = None
    file: str | None = None
    sheet: str | None = None

    def __str__(self) -> str:
        """Name the place for a message; a query is not quoted, it may hold values."""
        if self.table:
            return f"table {self.table!r}"
        if self.query:
            return "the declared query"
        return f"file {self.file!r}" if self.file else "the source's file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One stretch of a place: rows with ``low <= column < high``; without ``low`` from the start, nulls included.

    Bounds are the source's own values (text, numbers, times or bytes), often somebody's identifiers: they are not shown,
    are kept sealed only, and mean something only to sessions of the connector that gave them.
    """

    column: str
    low: object = field(default=None, repr=False)
    high: object = field(default=None, repr=False)

    @property
    def whole(self) -> bool:
        """Whether the part is the whole place."""
        return self.low is None and self.high is None


def parts_between(column: str, bounds: Sequence[object]) -> list[Part]:
    """Return the parts that ascending, distinct *bounds* of *column* make: one more than there are bounds, together everything."""
    return [Part(column=column, low=low, high=high) for low, high in zip([None, *bounds], [*bounds, None], strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Rows with ``after < cursor <= until``, bounds in the source's own form as text.

    Without a cursor: every row. With a cursor, rows whose cursor is null lie in no window
    that has a bound, so a first load should use ``Window()``.
    ``after`` is exclusive and ``until`` inclusive: rows that tie on a bound are in exactly one of two
    neighbouring windows.
    ``part`` narrows the window to one part of :meth:`Connector.parts`.
    """

    cursor: str | None = None
    after: str | None = None
    until: str | None = None
    part: Part | None = None

    @property
    def bounded(self) -> bool:
        """Whether the window leaves anything out."""
        return self.cursor is not None and (self.after is not None or self.until is not None)

    @property
    def columns(self) -> list[str]:
        """The columns that decide whether a row lies in the window."""
        return [name for name in (self.cursor, self.part and self.part.column) if name]


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something in a column that could not be handed over as it stood; never the value."""

    column: str
    what: str


@dataclass(kw_only=True)
class Session:
    """What every session tells about itself.

    ``snapshot`` describes the one snapshot that columns, count, key pass and rows share, or is None
    where the source has none.
    ``oddities`` counts what :meth:`Connector.read` could not hand over as it stood (a zero date of MySQL,
    an infinite timestamp of PostgreSQL, an error cell of Excel: all read as null). Several passes count again.
    """

    snapshot: str | None = None
    oddities: Counter[Oddity] = field(default_factory=Counter)

    def parts(self, key: Sequence[str], number: int) -> list[Part]:
        """Return one part, the whole: what a source answers that cannot be divided."""
        del number
        return [Part(column=key[0])]

    def seconds_behind(self) -> float | None:
        """Return None: most sources cannot tell."""
        return None

    def share(self) -> str | None:
        """Return None: most sources cannot show one snapshot to several sessions."""
        return None

    def join(self, shared: str) -> None:
        """Raise ``Mistake``: see :meth:`share`."""
        del shared
        raise Mistake("this source cannot show one snapshot to several sessions", remedy="read it in one session")


class Connector(Protocol):
    """Reads one place of one department's system. It has no way to write."""

    @property
    def snapshot(self) -> str | None:
        """Describe the snapshot all reads of this session share; None where the source has none."""

    @property
    def oddities(self) -> Counter[Oddity]:
        """Count what could not be handed over as it stood and was read as null."""

    def columns(self) -> pa.Schema:
        """Return the columns as the source declares them today, in its order.

        Sources that do not hold a column to its type (CSV, Excel, SQLite, GeoJSON) give text;
        the type SQLite declares is in the field's metadata under ``declared``.
        """

    def count(self, window: Window) -> int:
        """Return how many rows :meth:`read` would yield for *window* in this session."""

    def newest(self, cursor: str) -> str | None:
        """Return the greatest value of *cursor* in the source's own form; None if there is none."""

    def earlier(self, value: str, seconds: int) -> str:
        """Return the cursor value *seconds* before *value*, in the source's own form.

        Raises :class:`hub.errors.Mistake` where *value* is not a time.
        """

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Yield the rows of *window*: *columns* in that order, at most ``fetch_rows`` rows a batch.

        Two reads of one session over one window give the same rows in the same order:
        files in file order; databases in the order of ``order_by`` given at opening,
        else as each connector's docstring says. One read at a time. A read given up half-way
        may end the session. Nulls stay null and empty text stays empty.
        """

    def parts(self, key: Sequence[str], number: int) -> list[Part]:
        """Return at most *number* parts of about equal size by the first column of *key*, in its order.

        Each row lies in exactly one, nulls in the first. Found by the source, from a sample where the table is large;
        a column of few values gives fewer parts, a source that cannot divide (files) a single one.
        """

    def seconds_behind(self) -> float | None:
        """Return how far a replica is behind its primary, infinity if it does not follow; None where it is none or cannot tell."""

    def share(self) -> str | None:
        """Return the name under which other sessions may :meth:`join` this one's snapshot while it is open, or None."""

    def join(self, shared: str) -> None:
        """See the snapshot that another session of the same source shared; call it before the first read."""
