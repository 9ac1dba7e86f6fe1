"""Text files of any declared encoding, as a stream of UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING

import numpy as np

from connectors.gb18030 import as_of_2022
from hub.errors import Mistake

if TYPE_CHECKING:
    from schemas.source import Source

_BOM = "\ufeff".encode()
_GB = ("gb", "cp936", "936", "ms936", "hz", "chinese", "euccn", "iso-ir-58")


def encoding_of(source: Source) -> str:
    """Return Python's name of the declared encoding; GB 2312 and GBK are read as GB 18030, which contains them."""
    try:
        name = codecs.lookup(source.encoding).name
    except LookupError:
        raise Mistake(
            f"source {source.source!r}: there is no encoding {source.encoding!r}", remedy="write `encoding: utf-8` or `encoding: gb18030`"
        ) from None
    return "gb18030" if name.startswith(_GB) else name


def decoder_of(encoding: str) -> codecs.IncrementalDecoder:
    """Return a strict decoder that may be fed piece by piece."""
    return codecs.getincrementaldecoder(encoding)("strict")


class QuoteWatch:
    """Watches a CSV stream for quotes that do not open or close a whole field (RFC 4180, 2.5-2.7).

    Arrow's reader accepts them silently, and an unclosed quote swallows the rows after it.
    Counting quotes in order, even ones open and odd ones close; a doubled quote closes and opens again.
    """

    def __init__(self, delimiter: str) -> None:
        """Watch a stream whose fields are separated by *delimiter*."""
        self._neighbours = np.frombuffer(f'{delimiter}\r\n"'.encode(), dtype=np.uint8)
        self._tail, self._seen, self._misplaced = b"\n", 0, False

    @property
    def suspicious(self) -> bool:
        """Whether a quote stood in the wrong place or was never closed; ask at the end of the stream."""
        return self._misplaced or self._seen % 2 == 1

    def see(self, piece: bytes) -> None:
        """Take in the next *piece* of the stream, whose last byte is a line break."""
        if b'"' not in piece and b'"' not in self._tail:
            self._tail = (self._tail + piece)[-2:]
            return
        data = np.frombuffer(self._tail + piece, dtype=np.uint8)
        at = np.flatnonzero(data[1:-1] == ord('"')) + 1
        closing = (np.arange(len(at)) + self._seen) % 2
        beside = data[at - 1 + 2 * closing]
        self._misplaced |= not bool(np.isin(beside, self._neighbours).all())
        self._seen += len(at)
        self._tail = data[-2:].tobytes()


class Decoded(io.RawIOBase):
    """A byte stream in *encoding*, read as UTF-8 without its byte order mark; under a *watch*, with a line break at its end.

    Raises ``UnicodeDecodeError``, which holds the bytes: callers turn it into their own words.
    UTF-8 passes through unchecked: whoever makes strings of it checks them.
    """

    def __init__(self, stream: io.BufferedIOBase, encoding: str, watch: QuoteWatch | None = None) -> None:
        """Read *stream* from where it stands."""
        super().__init__()
        self._stream, self._watch = stream, watch
        self._decoder = None if encoding == "utf-8" else decoder_of(encoding)
        self._gb = encoding == "gb18030"
        self._ready, self._at, self._first, self._ended = b"", 0, True, False

    def readable(self) -> bool:
        """Return True: there is nothing else to do with it."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill *buffer* as far as one piece goes; 0 at the end."""
        while self._at >= len(self._ready) and not self._ended:
            self._ready, self._at = self._piece(len(buffer)), 0
        taken = self._ready[self._at : self._at + len(buffer)]
        buffer[: len(taken)] = taken
        self._at += len(taken)
        return len(taken)

    def _piece(self, size: int) -> bytes:
        size = max(size, 1 << 16)
        raw = self._stream.read(size)
        self._ended = len(raw) < size  # a buffered reader gives less only at the end
        piece = raw if self._decoder is None else self._text(self._decoder.decode(raw, final=self._ended)).encode()
        if self._first and piece:
            piece, self._first = piece.removeprefix(_BOM), False
        if self._watch is not None:
            # A last line without its line break is a line all the same, even if it is the header.
            piece += b"\n" if self._ended else b""
            self._watch.see(piece)
        return piece

    def _text(self, decoded: str) -> str:
        return as_of_2022(decoded) if self._gb else decoded
