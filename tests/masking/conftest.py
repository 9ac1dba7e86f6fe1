"""Keys made for these tests, and one column in every layout that Arrow has."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from masking.keys import PURPOSES, Key, Keyring, Secret, create_keys, open_keyring
from masking.suites import INTERNATIONAL, Suite


def _make_key(purpose: str, suite: Suite = INTERNATIONAL, material: bytes | None = None) -> Key:
    length = PURPOSES[purpose] * suite.key_bytes
    secret = Secret(material or os.urandom(length))
    return Key(purpose=purpose, context=(), version=1, suite=suite, material=secret)


@pytest.fixture(scope="session")
def make_key() -> Callable[..., Key]:
    return _make_key


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home and a state folder that hold no keys."""
    return tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory, elsewhere: tuple[Path, Path]) -> Keyring:
    folder = tmp_path_factory.mktemp("keys")
    create_keys(folder)
    return open_keyring(folder, home=elsewhere[0], state=elsewhere[1])


def _chunked(values: list[str | None]) -> pa.ChunkedArray:
    middle = len(values) // 2
    return pa.chunked_array([values[:middle], [], values[middle:]], pa.string())


LAYOUTS: dict[str, Callable[[list[str | None]], pa.Array | pa.ChunkedArray]] = {
    "string": lambda values: pa.array(values, pa.string()),
    "large_string": lambda values: pa.array(values, pa.large_string()),
    "string_view": lambda values: pa.array(values, pa.string_view()),
    "dictionary": lambda values: pa.array(values, pa.string()).dictionary_encode(),
    "binary": lambda values: pa.array([v if v is None else v.encode() for v in values], pa.binary()),
    "large_binary": lambda values: pa.array([v if v is None else v.encode() for v in values], pa.large_binary()),
    "chunked": _chunked,
    "sliced": lambda values: pa.array(["before", None, *values, "after"], pa.string()).slice(2, len(values)),
}


@pytest.fixture(params=sorted(LAYOUTS))
def layout(request: pytest.FixtureRequest) -> Callable[[list[str | None]], pa.Array | pa.ChunkedArray]:
    return LAYOUTS[request.param]
