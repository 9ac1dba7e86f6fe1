"""Opening a contract's source: where it is, with which password, at which hours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors.protocol import Connector, Place
from connectors.registry import open_connector
from hub.database.place import socket_folder
from hub.errors import Unavailable
from hub.flows.locks import reader_slot
from hub.settings import settings
from schemas.contract import Contract
from schemas.declarations import Declarations
from schemas.opening import within
from schemas.source import Source


def located(source: Source) -> Source:
    """Return *source* with ``${HUB_STATE}``, ``${HUB_HOME}`` and ``${HUB_SOCKET}`` replaced by this installation's."""
    here = {
        "${HUB_STATE}": str(settings().state),
        "${HUB_HOME}": str(settings().home),
        "${HUB_SOCKET}": str(socket_folder(settings().state)),
    }

    def replaced(text: str | None, written: Callable[[str], str]) -> str | None:
        for name, value in here.items() if text else ():
            text = text.replace(name, written(value)) if text else None
        return text

    # In a URL a folder's blanks and letters beyond ASCII are escaped (RFC 3986, 2.1).
    replica = source.replica and source.replica.model_copy(update={"url": replaced(source.replica.url, quote)})
    return source.model_copy(update={"url": replaced(source.url, quote), "path": replaced(source.path, str), "replica": replica})


def password_of(source: Source) -> str | None:
    """Return the password of *source* from ``HUB_SECRETS``; ``None`` where none is kept."""
    file = settings().secrets / (source.secret or source.source)
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


def require_allowed_hour(source: Source, now: datetime) -> None:
    """Raise :class:`Unavailable` outside the hours at which the department lets its system be read."""
    if not within(source.hours, now.astimezone(ZoneInfo(source.timezone))):
        start, end = source.hours.split("-")
        raise Unavailable(f"source {source.source} may be read between {start} and {end} only", remedy="run the job at an allowed hour")


@contextmanager
def open_source(declared: Declarations, contract: Contract, *, now: datetime) -> Iterator[Connector]:
    """Open the place *contract* reads, read-only, in one snapshot where the source has one.

    Raises :class:`Unavailable` outside the source's hours, or when as many read it as may.
    """
    source = located(declared.sources[contract.source])
    require_allowed_hour(source, now)
    place = Place(table=contract.table, query=contract.query, file=contract.file, sheet=contract.sheet)
    order = tuple(contract.field(name).source_column for name in contract.key)
    with (
        reader_slot(source.source, source.readers),
        open_connector(source, place, password=password_of(source), order_by=order) as connector,
    ):
        yield connector
