"""The words for what goes wrong at a source. No message holds a value."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

from hub.errors import Mistake, Rejected, Unavailable
from hub.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connectors.protocol import Place
    from schemas.source import Source

LISTED = 20


def listed(names: Iterable[object]) -> str:
    """Give at most twenty of *names* and how many more there are."""
    every = [str(name) for name in names]
    more = f" and {len(every) - LISTED} more" if len(every) > LISTED else ""
    return ", ".join(every[:LISTED]) + more


def _nearest(name: str, existing: Sequence[str]) -> str:
    lowered = {other.lower(): other for other in existing}
    near = get_close_matches(name.lower(), lowered, 1)
    return f"did you mean {lowered[near[0]]!r}? " if near else ""


def no_such_column(source: Source, place: Place, name: str, existing: Sequence[str]) -> Mistake:
    """Say that *place* has no column *name*, what it has, and which is nearest."""
    problem = f"source {source.source!r}, {place}: there is no column {name!r} that may be read"
    if place.file:
        found = f"of those asked for it has {listed(existing)}" if existing else "it has none of those asked for"
        return Mistake(problem, remedy=f"{found}: see that its first line names the columns as the contract does")
    return Mistake(problem, remedy=f"{_nearest(name, existing)}write one of its columns in the contract: {listed(existing)}")


def no_such_table(source: Source, place: Place, existing: Sequence[str]) -> Mistake:
    """Say that the table is not there, which are, and which is nearest."""
    shown = listed(existing) or "it shows none to this user"
    return Mistake(
        f"source {source.source!r}: there is no {place}",
        remedy=f"{_nearest(place.table or '', existing)}write one of its tables in the contract: {shown}",
    )


def column_named_twice(source: Source, place: Place, names: Iterable[str]) -> Mistake:
    """Say that a column name does not say which column is meant."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    return Mistake(
        f"source {source.source!r}, {place}: more than one column is called {listed(map(repr, twice))}",
        remedy="give each column its own name at the source (in a query: `AS`)",
    )


def down(source: Source, why: str) -> Unavailable:
    """Say that the source did not answer or was cut off."""
    return Unavailable(
        f"source {source.source!r} of {source.department}: {why}",
        remedy="try again later; if it stays so, ask the department whether the system runs and may be reached from here",
    )


def timed_out(source: Source, place: Place) -> Unavailable:
    """Say that reading took longer than the source's declaration allows."""
    return Unavailable(
        f"source {source.source!r}, {place}: reading took longer than {source.statement_timeout_seconds} s and was ended",
        remedy="try again at a quieter hour; else read less at a time (incremental, an index on the cursor) "
        "or raise `statement_timeout_seconds`",
    )


def turned_away(source: Source) -> Mistake:
    """Say that the server answers but does not accept this user, password or database."""
    secret = settings().secrets / (source.secret or source.source)
    return Mistake(
        f"source {source.source!r}: the server did not accept the user, the password or the database name",
        remedy=f"check `url` in the source's declaration and the password in the file {secret}",
    )


def not_permitted(source: Source, place: Place) -> Mistake:
    """Say that the user may not read the place."""
    return Mistake(
        f"source {source.source!r}, {place}: the user of this source may not read it",
        remedy="ask the department to grant SELECT on it (and on nothing more) to the user in `url`",
    )


def columns_not_permitted(source: Source, place: Place, names: Iterable[str]) -> Mistake:
    """Say which columns are there but closed to the user."""
    shown = listed(map(repr, names))
    return Mistake(
        f"source {source.source!r}, {place}: the user of this source may not read the column {shown}",
        remedy="ask the department to grant SELECT on it to the user in `url`, or leave the field out of the contract",
    )


def query_refused(source: Source, place: Place, code: object) -> Mistake:
    """Say that the source did not accept what was asked, by its error code alone: its words quote values."""
    return Mistake(
        f"source {source.source!r}, {place}: the source refused the request (error {code})",
        remedy="run the declared query at the source as this user, and mend the declaration",
    )


def broken(source: Source, place: Place, what: str, remedy: str) -> Rejected:
    """Say that what the source supplied is broken."""
    return Rejected(f"source {source.source!r}, {place}: {what}", remedy=remedy)
