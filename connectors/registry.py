"""Which connectors there are: the built-in ones, and those of other distributions.

Another distribution adds one by the entry-point group ``exchange_hub.connectors``:
the entry's name is the connector's, its object a function like :class:`Opener`.
Modules are imported when a source of theirs is opened, so that reading declarations stays cheap.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, TypeVar

from connectors.replicas import from_replica
from hub.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from connectors.protocol import Connector, Place
    from schemas.source import Source

GROUP = "exchange_hub.connectors"
BUILT_IN = {
    "csv": "connectors.csv_file",
    "excel": "connectors.excel_file",
    "geojson": "connectors.geojson_file",
    "http": "connectors.http_api",
    "mysql": "connectors.mysql",
    "parquet": "connectors.parquet_file",
    "postgres": "connectors.postgres",
    "sqlalchemy": "connectors.sqlalchemy_source",
    "sqlite": "connectors.sqlite",
}


class Opener(Protocol):
    """Opens a session; the session ends, and its connection or file is closed, with the context."""

    def __call__(self, source: Source, place: Place, *, password: str | None, order_by: Sequence[str]) -> AbstractContextManager[Connector]:
        """Open *place* at *source*."""


_openers: dict[str, Opener] = {}
Found = TypeVar("Found", bound=Opener)


def connector(name: str) -> Callable[[Found], Found]:
    """Register the decorated opener as *name*; a name already taken is a :class:`Mistake`."""

    def register(opener: Found) -> Found:
        if name in _openers:
            raise Mistake(f"two connectors are called {name!r}", remedy="give one of them another name")
        _openers[name] = opener
        return opener

    return register


def connector_names() -> tuple[str, ...]:
    """Return the names a source may give as its ``connector``, sorted; imports none of them."""
    return tuple(sorted({*BUILT_IN, *_openers, *(entry.name for entry in entry_points(group=GROUP))}))


def open_connector(
    source: Source, place: Place, *, password: str | None = None, order_by: Sequence[str] = ()
) -> AbstractContextManager[Connector]:
    """Open *place* at *source* for reading.

    Where the source declares a replica, that is read first.
    ``order_by`` names columns that order every read of the session (databases only: files keep file order).
    Raises ``Mistake`` (declaration, password or permission), ``Unavailable`` (down, or the file is not there yet)
    or ``Rejected`` (the file is broken); none of them quotes a value.
    """
    opener = _opener(source)

    def opening(which: Source) -> AbstractContextManager[Connector]:
        return opener(which, place, password=password, order_by=tuple(order_by))

    return opening(source) if source.replica is None else from_replica(source, source.replica, opening)


def _opener(source: Source) -> Opener:
    name = source.connector
    if name not in _openers and name in BUILT_IN:
        import_module(BUILT_IN[name])
    if name not in _openers:
        for entry in entry_points(group=GROUP, name=name):
            connector(name)(entry.load())
    if name not in _openers:
        near = get_close_matches(name, connector_names(), 1) or connector_names()
        raise Mistake(
            f"source {source.source!r}: there is no connector {name!r}",
            remedy=f"write `connector: {near[0]}`, or one of {', '.join(connector_names())}",
        )
    return _openers[name]
