"""What the database connectors say in SQL alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.failures import no_such_column
from hub.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from connectors.protocol import Part, Place, Window
    from schemas.source import Source


def quoted(name: str, mark: str = '"') -> str:
    """Return *name* as one SQL identifier, whatever it holds."""
    if not name or "\0" in name:
        raise Mistake("a column or table name is empty or holds a NUL character", remedy="mend the name in the contract")
    return mark + name.replace(mark, mark * 2) + mark


def table(name: str, mark: str = '"') -> str:
    """Return ``schema.table`` quoted part by part; a name that itself holds a dot needs a query."""
    return ".".join(quoted(part, mark) for part in name.split("."))


def relation(place: Place, mark: str = '"') -> str:
    """Return what stands after FROM, called ``place``: the table, or the query in brackets."""
    if place.table:
        return f"{table(place.table, mark)} AS place"
    if place.query:
        # The line break keeps a trailing comment of the query from swallowing the bracket.
        return f"({place.query.strip().rstrip(';')}\n) AS place"
    raise Mistake("a database is read by `table` or `query`", remedy="write one of them in the contract instead of `file`")


def column(name: str, mark: str = '"') -> str:
    """Return the place's own column: unqualified, ORDER BY would mean what the SELECT list makes of it."""
    return f"place.{quoted(name, mark)}"


def condition(
    window: Window, bound: Callable[[str, object], str], mark: str = '"', *, stored: Callable[[str, object], str] | None = None
) -> str:
    """Return the WHERE clause of *window* (empty if unbounded).

    *bound* writes a column's bound safely, *stored* the bound of a part, a value as it is stored, where that differs.
    """
    terms = []
    if window.cursor is not None:
        name = column(window.cursor, mark)
        terms += [f"{name} > {bound(window.cursor, window.after)}"] if window.after is not None else []
        terms += [f"{name} <= {bound(window.cursor, window.until)}"] if window.until is not None else []
    if window.part is not None and not window.part.whole:
        terms.append(_within(window.part, stored or bound, mark))
    return f" WHERE {' AND '.join(terms)}" if terms else ""


def _within(part: Part, bound: Callable[[str, object], str], mark: str) -> str:
    name = column(part.column, mark)
    if part.low is None:
        return f"({name} < {bound(part.column, part.high)} OR {name} IS NULL)"
    low = f"{name} >= {bound(part.column, part.low)}"
    return low if part.high is None else f"{low} AND {name} < {bound(part.column, part.high)}"


def walked(rows: int, number: int, step: Callable[[object, int], object]) -> list[object]:
    """Return the at most ``number - 1`` values that cut *rows* rows into about equal parts.

    ``step(low, offset)`` gives the value *offset* rows after the first that is greater than *low* (than nothing, if None);
    None at the end. With an index on the column the source reads each of its entries at most once.
    """
    bounds: list[object] = []
    size = max(1, -(-rows // number))
    while len(bounds) < number - 1:
        found = step(bounds[-1], size - 1) if bounds else step(None, size)
        if found is None:
            break
        bounds.append(found)
    return bounds


def ordering(columns: Sequence[str], mark: str = '"') -> str:
    """Return the ORDER BY clause for *columns*; empty for none."""
    return f" ORDER BY {', '.join(column(name, mark) for name in columns)}" if columns else ""


def checked(source: Source, place: Place, schema: pa.Schema, wanted: Sequence[str | None]) -> None:
    """Raise ``Mistake`` for the first of *wanted* that *schema* lacks.

    A file without a header has somebody's values where its columns should be named:
    of a file's columns only those asked for are repeated.
    """
    existing = dict.fromkeys(schema.names)
    for name in wanted:
        if name is not None and name not in existing:
            raise no_such_column(source, place, name, [name for name in existing if name in wanted or not place.file])
