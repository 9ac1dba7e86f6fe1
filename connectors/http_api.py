"""JSON over HTTP, page by page."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa

from connectors import failures
from connectors.http_client import Client
from connectors.http_pages import Pages
from connectors.registry import connector
from connectors.text import as_text
from connectors.windows import TextSession
from hub.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx

    from connectors.http_pages import Row
    from connectors.protocol import Connector, Place, Window
    from schemas.source import Source


@connector("http")
@contextmanager
def open_http(source: Source, place: Place, *, password: str | None, order_by: Sequence[str] = ()) -> Iterator[Connector]:
    """Open one resource of an API: ``url`` and the contract's ``table``, or a ``query`` that is the resource with parameters.

    Opening asks for the first page, whose rows tell the columns; what rows may leave out is declared in ``api.columns``.
    Every column is text, numbers digit by digit as they were sent, what is nested as its JSON.
    Rows come in the API's order, whatever ``order_by`` says. There is no snapshot: an API may change from page to page.
    """
    del order_by
    with closing(Client(source, place, password)) as client:
        session = HttpSession(source, place, client)
        session.begin()
        yield session


class HttpSession(TextSession):
    """One resource; each read asks for all of its pages anew."""

    def __init__(self, source: Source, place: Place, client: Client) -> None:
        """Wrap *client*; :meth:`begin` must come next."""
        super().__init__(source, place, snapshot=None)
        self._client = client
        self._url = _address(source, place, client.base)

    def begin(self) -> None:
        """Learn the columns from the first page that has rows, and the declaration."""
        names = dict.fromkeys(self._source.api.columns)
        for rows in Pages(self._client, self._source, self._place, self._url).rows():
            names.update(dict.fromkeys(name for row in rows for name in row))
            break
        self._schema = pa.schema([pa.field(name, pa.string()) for name in names])

    def columns(self) -> pa.Schema:
        """Return the names in the order in which declaration and first page have them, all of them text."""
        return self._schema

    def count(self, window: Window) -> int:
        """Return the rows of *window*, by a pass over all pages."""
        names = [window.cursor] if window.cursor else self._schema.names[:1]
        return sum(batch.num_rows for batch in self.read(names, window))

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Stream the rows page by page. Bounds are told to the API where it has parameters for them, and kept to here in any case."""
        if not self._schema.names:
            raise failures.broken(
                self._source, self._place, "the API gave no rows, so its columns are not known", "name them in `api.columns` of the source"
            )
        self.known(columns, window)
        names = list(dict.fromkeys([*columns, *([window.cursor] if window.cursor else [])]))
        for rows in Pages(self._client, self._source, self._place, self._narrowed(window)).rows():
            for start in range(0, len(rows), self._source.fetch_rows):
                batch = self._batch(names, rows[start : start + self._source.fetch_rows])
                yield (self.within(batch, window) if window.bounded else batch).select(list(columns))

    def _batch(self, names: Sequence[str], rows: Sequence[Row]) -> pa.RecordBatch:
        arrays = []
        for name in names:
            array, oddities = as_text([row.get(name) for row in rows], name)
            self.oddities.update(oddities)
            arrays.append(array)
        return pa.record_batch(arrays, names=list(names))

    def _narrowed(self, window: Window) -> httpx.URL:
        url, api = self._url, self._source.api
        for parameter, bound in ((api.since, window.after), (api.until, window.until)):
            if parameter and bound is not None:
                url = url.copy_set_param(parameter, bound)
        return url


def _address(source: Source, place: Place, base: httpx.URL) -> httpx.URL:
    written = place.table or place.query
    path, _, parameters = (written or "").partition("?") if place.query else (written or "", "", "")
    parts = path.strip("/").split("/")
    if not written or ".." in parts or "." in parts or "" in parts:
        raise Mistake(
            f"source {source.source!r}: an API is read by `table` (the resource below `url`) or `query` (the resource with parameters)",
            remedy="write e.g. `table: v1/people` or `query: v1/people?status=valid` in the contract",
        )
    url = base.copy_with(path=f"{base.path.rstrip('/')}/{'/'.join(quote(part, safe='') for part in parts)}")
    return url.copy_with(query=parameters.encode()) if parameters else url
