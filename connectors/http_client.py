"""Asking an HTTP API: only to read, only at its own origin, gently, and with an end to patience."""

from __future__ import annotations

import json
import logging
import ssl
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import httpx

from connectors import failures
from connectors.decoding import encoding_of
from connectors.gb18030 import as_of_2022
from hub.errors import Mistake
from hub.settings import settings
from schemas.source import Login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.protocol import Place
    from schemas.source import Source

ATTEMPTS = 4  # at one page, if the server fails or the connection breaks
REDIRECTS = 5
_BUSY = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}
_MOVED = {301, 302, 303, 307, 308}


class Answer(NamedTuple):
    """What the API answered: the parsed JSON (numbers exact), and where its header says the next page is."""

    body: object
    next_link: str | None
    url: httpx.URL


class Client:
    """A client that can do nothing but GET from the source's own origin."""

    def __init__(self, source: Source, place: Place, password: str | None) -> None:
        """Prepare; nothing is sent. ``Mistake`` where the declaration or the secret is missing or cannot be."""
        # These two log every address at INFO, and an address may hold a cursor's value.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._source, self._place, self._api = source, place, source.api
        self.base = _base(source)
        self._encoding = encoding_of(source)
        self._next_at, self._deadline = 0.0, 0.0
        auth, headers = _login(source, password)
        self._client = httpx.Client(
            auth=auth,
            headers={"Accept": "application/json", "User-Agent": "exchange-hub", **headers},
            verify=_trust(source),
            timeout=source.api.timeout_seconds,
            trust_env=False,  # no proxy and no .netrc of whoever runs the hub
            event_hooks={"request": [self._only_reads]},
        )
        self.start_pass()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def start_pass(self) -> None:
        """Begin to measure ``statement_timeout_seconds``, which bounds a pass over all pages."""
        self._deadline = monotonic() + self._source.statement_timeout_seconds

    def get(self, url: httpx.URL) -> Answer:
        """Return the answer; waits and tries again where that can help, as long as patience lasts."""
        waited, problem = 0.0, ""
        for attempt in range(1, 1000):
            outcome = self._asked(url)
            if isinstance(outcome, Answer):
                return outcome
            problem, wait = outcome
            pause = float(2 ** min(attempt - 1, 6)) if wait is None else wait
            if waited + pause > self._api.patience_seconds or (wait is None and attempt >= ATTEMPTS):
                break
            waited += self._pause(pause)
        raise failures.down(self._source, f"{problem}, also after waiting {waited:.0f} s (`patience_seconds`)")

    def _asked(self, url: httpx.URL) -> Answer | tuple[str, float | None]:
        """Return the answer, or what was wrong and how many seconds to wait (None: the server did not say)."""
        try:
            for _ in range(REDIRECTS + 1):
                self._pause(self._next_at - monotonic())
                self._next_at = monotonic() + 1 / self._api.requests_per_second
                with self._client.stream("GET", url) as response:
                    if response.status_code in _MOVED:
                        url = self._moved(response)
                        continue
                    if response.status_code in _BUSY:
                        return f"the API is busy (HTTP {response.status_code})", _retry_after(response)
                    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                        return f"the API failed (HTTP {response.status_code})", None
                    self._require_success(response)
                    return Answer(self._parsed(response, b"".join(self._body(response))), _link(response), url)
        except httpx.ConnectError:
            return "the server does not answer", None
        except httpx.TimeoutException:
            return f"no answer within {self._api.timeout_seconds} s (`timeout_seconds`)", None
        except httpx.DecodingError:
            return "the answer is damaged", None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL):
            return "the connection broke off in the middle of an answer", None
        raise Mistake(f"{self._named()}: more than {REDIRECTS} redirections, one to the next", remedy="write the final address as `url`")

    def _only_reads(self, request: httpx.Request) -> None:
        if request.method != "GET":
            raise Mistake("the hub only reads", remedy="nothing but GET is sent to a source")
        if not same_origin(request.url, self.base):
            raise Mistake(f"{self._named()}: an address at another origin", remedy="the hub asks only the origin in `url`")

    def _moved(self, response: httpx.Response) -> httpx.URL:
        there = response.url.join(response.headers.get("Location", ""))
        if same_origin(there, self.base):
            return there
        raise Mistake(
            f"{self._named()}: the API sends the hub to another origin ({there.scheme}://{there.netloc.decode('ascii', 'replace')}); "
            "it was not followed, and the secret was not sent there",
            remedy="ask the department whether the API has moved, and write its new address as `url`; else the login has run out",
        )

    def _require_success(self, response: httpx.Response) -> None:
        match response.status_code:
            case 200 | 204:
                return
            case 401:
                raise failures.turned_away(self._source)
            case 403:
                raise failures.not_permitted(self._source, self._place)
            case 404 | 410:
                raise Mistake(
                    f"{self._named()}: the API knows no such resource (HTTP {response.status_code})",
                    remedy="check `url` in the source's declaration and `table` in the contract: together they are the address",
                )
            case code:
                raise failures.query_refused(self._source, self._place, f"HTTP {code}")

    def _body(self, response: httpx.Response) -> Iterator[bytes]:
        size, most = 0, self._api.max_page_mib << 20
        for piece in response.iter_bytes():
            size += len(piece)
            if size > most:
                raise failures.broken(
                    self._source,
                    self._place,
                    f"one answer is larger than {self._api.max_page_mib} MiB",
                    "ask for smaller pages (`pages.size`), or raise `max_page_mib`",
                )
            if monotonic() > self._deadline:
                raise failures.timed_out(self._source, self._place)
            yield piece

    def _parsed(self, response: httpx.Response, body: bytes) -> object:
        if response.status_code == httpx.codes.NO_CONTENT:
            return []
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if "html" in kind or body.lstrip()[:1] == b"<":
            raise failures.broken(
                self._source,
                self._place,
                f"the API answered with a page for people (HTTP 200, {kind or 'no type'}) instead of JSON",
                "check `url` and the login: it is usually a login page or a gateway; ask the department which address serves the data",
            )
        try:
            text = body.decode(self._encoding).removeprefix("\ufeff")
            text = as_of_2022(text) if self._encoding == "gb18030" else text
            return json.loads(text, parse_float=Decimal, parse_constant=_no_such_number)
        except (ValueError, RecursionError):
            # Without a length, an answer that is cut off looks whole to the protocol.
            measured = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
        if not measured:
            raise httpx.StreamError("cut off")
        raise failures.broken(
            self._source, self._place, "the answer is no JSON in the declared `encoding`", "ask the department what the API answers with"
        )

    def _pause(self, seconds: float) -> float:
        if seconds <= 0:
            return 0.0
        if monotonic() + seconds > self._deadline:
            raise failures.timed_out(self._source, self._place)
        sleep(seconds)
        return seconds

    def _named(self) -> str:
        return f"source {self._source.source!r}, {self._place}"


def same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether two addresses have the same scheme, host and port."""
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _base(source: Source) -> httpx.URL:
    try:
        url = httpx.URL(source.url or "")
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise Mistake(
            f"source {source.source!r}: `url` is not of the form https://host/path, or holds a login or parameters",
            remedy="write the address that all resources share; put the secret in the source's secret file",
        )
    return url


def _login(source: Source, password: str | None) -> tuple[httpx.Auth | None, dict[str, str]]:
    login = source.api.login
    if login is Login.NONE:
        return None, {}
    if not password or not password.isascii() or not password.isprintable():
        raise Mistake(
            f"source {source.source!r}: `login: {login}` needs a secret of one line of ASCII, and there is none",
            remedy=f"write it to the file {settings().secrets / (source.secret or source.source)}, readable by the hub's user alone",
        )
    if login is Login.BASIC:
        return httpx.BasicAuth(source.api.user or "", password), {}
    return None, {"Authorization": f"Bearer {password}"} if login is Login.BEARER else {source.api.header: password}


def _trust(source: Source) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=source.api.ca)
    except OSError:
        raise Mistake(
            f"source {source.source!r}: `ca` names no file of certificates that the hub can read", remedy="write the path of a PEM file"
        ) from None


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that the server asks to wait (RFC 9110, 10.2.3: a number, or a date)."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _link(response: httpx.Response) -> str | None:
    link = response.links.get("next", {}).get("url")
    return str(link) if link else None


def _no_such_number(_: str) -> NoReturn:
    raise ValueError("JSON has neither NaN nor infinity")
