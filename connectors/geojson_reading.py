"""A feature collection read piece by piece, so that its size does not matter."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn

from connectors import failures
from connectors.decoding import Decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.files import SourceFile

PIECE = 1 << 16
LONGEST = 64 << 20  # characters of one feature
_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: its properties (with ``id``, if it has one and no property of that name) and its whole text."""

    properties: dict[str, object]
    has_geometry: bool
    text: str


class _BrokenError(Exception):
    """The text is not the JSON it should be; says what was expected, never what was found."""


class Collection:
    """The features of one file, in its order; one pass."""

    def __init__(self, file: SourceFile, encoding: str) -> None:
        """Prepare to read *file* from its start."""
        self._file = file
        self._text = _Text(io.TextIOWrapper(io.BufferedReader(Decoded(file.bytes_from_start(), encoding)), encoding="utf-8", newline=""))
        self._done = 0
        self.crs: str | None = None  # the name in the member `crs`, known when the pass is over

    def features(self) -> Iterator[Feature]:
        """Yield the features; ``Rejected`` where the file is cut short, badly encoded or no feature collection."""
        try:
            yield from self._members()
        except UnicodeError:
            self._reject(
                "text in another encoding than declared",
                "declare the file's encoding (`encoding: gb18030`), or have the department save it as UTF-8",
            )
        except (_BrokenError, RecursionError) as error:
            what = str(error) if isinstance(error, _BrokenError) else "a value nested too deep"
            self._reject(what, "have the department supply the file anew: it is cut short, or no GeoJSON feature collection")

    def _reject(self, what: str, remedy: str) -> NoReturn:
        raise failures.broken(self._file.source, self._file.place, f"{what}, after {self._done} whole features", remedy) from None

    def _members(self) -> Iterator[Feature]:
        text, found = self._text, False
        text.expect("{")
        while not text.passed("}"):
            name, _ = text.value()
            text.expect(":")
            if name == "features":
                found = True
                yield from self._elements()
            else:
                value, _ = text.value()
                if name == "crs":
                    self.crs = _crs_name(value)
            if not text.passed(","):
                text.expect("}")
                break
        if not found:
            raise _BrokenError("no list of `features`")
        text.expect("")

    def _elements(self) -> Iterator[Feature]:
        self._text.expect("[")
        if self._text.passed("]"):
            return
        while True:
            value, text = self._text.value()
            yield _feature(value, text)
            self._done += 1
            if not self._text.passed(","):
                self._text.expect("]")
                return


class _Text:
    """Decoded text read ahead only as far as the value at hand needs."""

    def __init__(self, stream: io.TextIOBase) -> None:
        self._stream, self._text, self._at, self._ended = stream, "", 0, False
        self._decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_such_number)

    def passed(self, mark: str) -> bool:
        """Go past *mark* if it comes next; an empty mark is the end of the text."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._text) or self._ended:
                break
            self._more()
        if self._text[self._at : self._at + 1] != mark:
            return False
        self._at += len(mark)
        return True

    def expect(self, mark: str) -> None:
        """Go past *mark*, which must come next."""
        if not self.passed(mark):
            raise _BrokenError(f"expected {mark!r}" if mark else "text after the end")

    def value(self) -> tuple[object, str]:
        """Return the JSON value that comes next, and its text."""
        self.passed("\0")  # go past blanks, reading on if need be
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError:
                value = end = None
            # A number at the end of what was read may go on.
            if end is not None and (end < len(self._text) or self._ended or isinstance(value, dict | list | str)):
                text, self._at = self._text[self._at : end], end
                return value, text
            if self._ended or len(self._text) - self._at > LONGEST:
                raise _BrokenError("a value that is not whole or no JSON")
            self._more()

    def _more(self) -> None:
        self._text = self._text[self._at :]
        self._at = 0
        piece = self._stream.read(max(PIECE, len(self._text)))  # doubling keeps a large feature from being tried too often
        self._text += piece
        self._ended = not piece


def _feature(value: object, text: str) -> Feature:
    if not isinstance(value, dict) or value.get("type") != "Feature" or not isinstance(value.get("properties") or {}, dict):
        raise _BrokenError("an element of `features` that is no feature")
    properties = dict(value.get("properties") or {})
    if value.get("id") is not None:
        properties.setdefault("id", value["id"])
    return Feature(properties, value.get("geometry") is not None, text)


def _crs_name(value: object) -> str | None:
    properties = value.get("properties") if isinstance(value, dict) else None
    return str(properties.get("name")) if isinstance(properties, dict) else None


def _no_such_number(_: str) -> NoReturn:
    raise ValueError("JSON has neither NaN nor infinity")
