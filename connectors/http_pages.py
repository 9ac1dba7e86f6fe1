"""The pages of an HTTP API, one after another, and every way in which they fail to come to an end."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import httpx

from connectors import failures
from connectors.http_client import Client, same_origin
from hub.errors import HubError, Mistake
from schemas.source import Paging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.http_client import Answer
    from connectors.protocol import Place
    from schemas.source import Source

Row = dict[str, object]
_ABSENT = object()


class Pages:
    """One pass over the pages of one resource."""

    def __init__(self, client: Client, source: Source, place: Place, url: httpx.URL) -> None:
        """Prepare to read from *url*, the address without its paging parameters."""
        self._client, self._source, self._place, self._url = client, source, place, url
        self._api, self._pages = source.api, source.api.pages
        self._seen: set[bytes] = set()
        self._number, self._rows = 0, 0

    def rows(self) -> Iterator[list[Row]]:
        """Yield the rows of each page that has some.

        ``Rejected`` where a page comes twice, where there are more pages or rows than declared, where the answer has another shape;
        ``Unavailable`` where the API gives another number of rows than it says.
        """
        self._client.start_pass()
        url: httpx.URL | None = self._first()
        while url is not None:
            answer = self._client.get(url)
            self._number += 1
            rows = self._rows_of(answer.body)
            self._require_new(rows)
            self._rows += len(rows)
            self._require_an_end()
            if rows:
                yield rows
            url = self._next(answer, len(rows))

    def _first(self) -> httpx.URL:
        match self._pages.style:
            case Paging.NUMBER:
                return self._with(self._pages.first)
            case Paging.OFFSET:
                return self._with(0)
            case _:
                return self._with(None)

    def _with(self, position: object) -> httpx.URL:
        url = self._url
        if self._pages.size_parameter and self._pages.style is not Paging.NONE:
            url = url.copy_set_param(self._pages.size_parameter, str(self._pages.size))
        if position is None or self._pages.parameter is None:
            return url
        return url.copy_set_param(self._pages.parameter, str(position))

    def _next(self, answer: Answer, rows: int) -> httpx.URL | None:
        total = self._total(answer.body)
        url = self._following(answer, rows, total)
        if url is None and total is not None and total != self._rows:
            raise failures.down(
                self._source,
                f"{self._place}: the API says it has {total} rows and gave {self._rows}: it changed while it was read, or leaves pages out",
            )
        return url

    def _following(self, answer: Answer, rows: int, total: int | None) -> httpx.URL | None:
        match self._pages.style:
            case Paging.NONE:
                return None
            case Paging.NUMBER | Paging.OFFSET:
                # A short page is no end: an API may give fewer rows than it is asked for.
                if not rows or (total is not None and self._rows >= total):
                    return None
                return self._with(self._rows if self._pages.style is Paging.OFFSET else self._pages.first + self._number)
            case Paging.TOKEN:
                token = self._pointer(answer, rows)
                return None if token is None else self._with(token)
            case Paging.LINK:
                link = answer.next_link if self._pages.next is None else self._pointer(answer, rows)
                return None if link is None else self._linked(answer.url, str(link))

    def _pointer(self, answer: Answer, rows: int) -> object:
        """Return what the answer holds at ``next``; None at the end."""
        found = _at(answer.body, self._pages.next)
        if found is _ABSENT and self._number == 1 and rows >= self._pages.size:
            raise self._shape(f"a full page of {rows} rows and nothing at `{self._pages.next}`")
        if found is _ABSENT or found is None or found == "" or found is False:
            return None
        if not isinstance(found, str | int):
            raise self._shape(f"neither text nor a whole number at `{self._pages.next}`")
        self._require_fresh(f"next {found}", f"the answer names the same next page again (`{self._pages.next}`)")
        return found

    def _linked(self, here: httpx.URL, link: str) -> httpx.URL:
        try:
            there = here.join(link)
        except httpx.InvalidURL:
            raise self._shape("a next link that is no address") from None
        if not same_origin(there, self._client.base):
            raise Mistake(
                f"{self._named()}: the link to the next page leads to another origin; it was not followed",
                remedy="ask the department why; if the API is served there, write that address as `url`",
            )
        if self._pages.next is None:
            self._require_fresh(f"link {there}", "the header `Link` names the same next page again")
        return there

    def _rows_of(self, body: object) -> list[Row]:
        found = _at(body, self._api.rows)
        where = f"at `{self._api.rows}`" if self._api.rows else "in the answer"
        if found is None:
            return []
        if not isinstance(found, list):
            raise self._shape(f"no list of rows {where}")
        for position, row in enumerate(found, 1):
            if not isinstance(row, dict):
                raise self._shape(f"row {position} {where} is no object")
        return found

    def _total(self, body: object) -> int | None:
        if self._pages.total is None:
            return None
        found = _at(body, self._pages.total)
        if isinstance(found, str) and found.isdecimal():
            return int(found)
        if not isinstance(found, int) or isinstance(found, bool):
            raise self._shape(f"no whole number at `{self._pages.total}`")
        return found

    def _require_new(self, rows: list[Row]) -> None:
        if rows:
            self._require_fresh(
                f"rows {rows!r}",
                "the API gives the same rows again",
            )

    def _require_fresh(self, what: str, problem: str) -> None:
        digest = blake2b(what.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._seen:
            raise failures.broken(
                self._source,
                self._place,
                f"page {self._number}: {problem}",
                "check `pages` in the source's declaration; for an API that repeats its last page declare `total`",
            )
        self._seen.add(digest)

    def _require_an_end(self) -> None:
        for number, most, name in ((self._number, self._api.max_pages, "pages"), (self._rows, self._api.max_rows, "rows")):
            if number > most:
                raise failures.broken(
                    self._source,
                    self._place,
                    f"the API gave more than {most} {name} and has not come to an end",
                    f"see whether it ever ends; if it really has so many, raise `max_{name}` in the source's declaration",
                )

    def _shape(self, found: str) -> HubError:
        return failures.broken(
            self._source,
            self._place,
            f"page {self._number or 1}: the answer has not the declared shape: {found}",
            "compare the API's description with `api` in the source's declaration; it may also be an error told with HTTP 200",
        )

    def _named(self) -> str:
        return f"source {self._source.source!r}, {self._place}"


def _at(body: object, path: str | None) -> object:
    """Return what stands at *path*: names with points between them, through objects only."""
    for name in path.split(".") if path else ():
        if not isinstance(body, dict) or name not in body:
            return _ABSENT
        body = body[name]
    return body
