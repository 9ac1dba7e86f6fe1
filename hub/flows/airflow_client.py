"""Airflow's REST API (v2), spoken to on loopback with the generated login."""

import json
import time
from http import HTTPStatus
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from hub.database.passwords import password
from hub.errors import HubError, Mistake, Refused, Unavailable
from hub.flows.airflow_environment import ADMINISTRATOR, address

_TIMEOUT = 30
_BUILDING = 120
_OPENER = build_opener(ProxyHandler({}))  # never by way of a proxy
_MINUTES_OF_A_TOKEN = 60


_token: tuple[str, float] | None = None


def get(path: str) -> dict[str, object]:
    """Return the answer to GET *path* below /api/v2."""
    return _call("GET", path, None)


def post(path: str, body: dict[str, object]) -> dict[str, object]:
    """Return the answer to POST *path* with *body*."""
    return _call("POST", path, body)


def patch(path: str, body: dict[str, object]) -> dict[str, object]:
    """Return the answer to PATCH *path* with *body*."""
    return _call("PATCH", path, body)


def health() -> dict[str, dict[str, str | None]]:
    """Return the state of each component; no login needed."""
    return cast("dict[str, dict[str, str | None]]", _send(Request(f"{address()}/api/v2/monitor/health")))  # noqa: S310 (http, loopback)


def warm_tasks_api() -> None:
    """Let the API that tasks use build itself, as it does at its first request: seconds that no task should wait."""
    _send(Request(f"{address()}/execution/health"), seconds=_BUILDING)  # noqa: S310 (http, loopback)


def _call(method: str, path: str, body: dict[str, object] | None) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {_login()}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    return _send(Request(f"{address()}/api/v2{path}", data=content, headers=headers, method=method))  # noqa: S310 (http, loopback)


def _login() -> str:
    global _token  # noqa: PLW0603 (one login per process)
    if _token is None or time.monotonic() - _token[1] > _MINUTES_OF_A_TOKEN * 60:
        body = json.dumps({"username": ADMINISTRATOR, "password": password("airflow_admin")}).encode()
        request = Request(f"{address()}/auth/token", data=body, headers={"Content-Type": "application/json"}, method="POST")  # noqa: S310
        _token = (str(_send(request)["access_token"]), time.monotonic())
    return _token[0]


def _send(request: Request, *, seconds: float = _TIMEOUT) -> dict[str, object]:
    try:
        with _OPENER.open(request, timeout=seconds) as answer:
            return cast("dict[str, object]", json.loads(answer.read() or b"{}"))
    except HTTPError as error:
        raise _in_our_words(error.code) from None
    except (URLError, OSError, ValueError):
        raise Unavailable("Airflow does not answer", remedy="run `make up`, then try again") from None


def _in_our_words(status: int) -> HubError:
    match status:
        case HTTPStatus.CONFLICT:
            return Refused("Airflow has that run already", remedy="`hub batch list` shows the runs of the job")
        case HTTPStatus.NOT_FOUND:
            return Mistake(
                "Airflow knows no such job or run", remedy="`hub job list` shows the jobs; a new one is there after five minutes"
            )
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Mistake("Airflow refused the generated login", remedy="run `make down` and `make up`")
        case _:
            return Unavailable(f"Airflow answered with status {status}", remedy="read the logs in state/logs/airflow, then try again")
