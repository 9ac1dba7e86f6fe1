"""Fingerprints, which tell whether a row has changed and whether source and target hold the same keys.

Both are keyed (AES-CMAC), because a plain hash of few possible values is read by trying them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.hashes import Hash
from numpy.typing import NDArray

from hub.errors import Mistake
from masking.blocks import BLOCK, WORD, BlockCipher, Blocks, Bytes, Rows, as_words, zeros
from masking.cmac import Cmac, Prefix
from masking.columns import Column, as_bytes, chunks, is_bytes, is_text, joined, part, validity, whole
from masking.framing import framed_text, in_blocks
from masking.keys import Key
from masking.tokens import TOKEN, fixed

_LENGTH: Final = np.dtype("<u4")
_HALF: Final = (1 << 64) - 1


def row_hash(batch: pa.RecordBatch | pa.Table, key: Key, *, context: str | None = None) -> pa.Array:
    """Return one ``binary(16)`` fingerprint a row over all columns of *batch*, their names, types and order.

    Null differs from empty, and no two different rows share an encoding. How Arrow lays text or bytes out
    (offsets, views, dictionaries, chunks) does not matter. Another *context* gives another fingerprint.
    """
    columns = [_of(whole(column)) for column in batch.columns]
    mac = Cmac(BlockCipher(key.suite.block_cipher(key.material.reveal())))
    described = [word for name, column in zip(batch.schema.names, columns, strict=True) for word in (name, column.kind)]
    context_first = [] if context is None else [context]  # an even number of words with it, an odd one without
    start = mac.prefix(in_blocks(_digest(key, framed_text("row", *context_first, *described))))
    parts = [_hashes(mac, start, columns, where) for where in chunks(batch.num_rows)]
    return joined(parts, TOKEN)


def _digest(key: Key, message: bytes) -> bytes:
    digest = Hash(key.suite.digest())
    digest.update(message)
    return digest.finalize()


def _of(values: pa.Array) -> "_Variable | _Fixed":
    kind = values.type
    return _Variable(values) if is_text(kind) or is_bytes(kind) or pa.types.is_null(kind) else _Fixed(values)


def _hashes(mac: Cmac, start: Prefix, columns: Sequence["_Variable | _Fixed"], where: slice) -> pa.Array:
    """Hash one chunk: variable values first, each in whole blocks, then one record of all lengths and fixed values.

    The record has one size for the schema and ends the message, so a reader could take the message apart again.
    """
    count = where.stop - where.start
    width = sum(column.width for column in columns)
    record = np.zeros((count, max(width + (-width % BLOCK), BLOCK)), np.uint8)
    state = zeros(count)
    state[:] = start.state
    place = 0
    for column in columns:
        state = column.put(mac, state, record, place, where)
        place += column.width
    return fixed(_finished(mac, state, record), None)


def _finished(mac: Cmac, state: Blocks, record: Bytes) -> Blocks:
    steps = record.shape[1] // BLOCK
    for step in range(steps):
        column = np.ndarray(len(record), WORD, record, step * BLOCK, (record.shape[1],))
        state ^= as_words(np.ascontiguousarray(column))
        if step == steps - 1:
            state ^= mac.complete
        mac.cipher.encrypt(state, len(state))
    return state


class _Variable:
    """Text or bytes: the value is worked in as whole blocks, its length + 1 stands in the record (0 for null)."""

    width = _LENGTH.itemsize
    kind = "bytes"

    def __init__(self, values: pa.Array) -> None:
        self._values = as_bytes(values.cast(pa.binary()) if pa.types.is_null(values.type) else values)

    def put(self, mac: Cmac, state: Blocks, record: Bytes, place: int, where: slice) -> Blocks:
        values = part(self._values, where)
        rows, valid = Rows.of(values), validity(values)
        lengths = rows.lengths + 1 if valid is None else (rows.lengths + 1) * valid
        np.ndarray(len(rows), _LENGTH, record, place, (record.shape[1],))[:] = lengths
        return mac.absorb(state, rows)


class _Fixed:
    """A number, date, instant or truth value: one byte that says that it is there, and its bytes."""

    def __init__(self, values: pa.Array) -> None:
        self.kind = str(values.type)
        if pa.types.is_boolean(values.type):
            values = pc.cast(values, pa.uint8())
        try:
            self._size = values.type.bit_width // 8
        except ValueError:
            raise Mistake(f"a column of type {values.type} has no fingerprint", remedy="declare another type") from None
        self._values = values
        self.width = 1 + self._size

    def put(self, mac: Cmac, state: Blocks, record: Bytes, place: int, where: slice) -> Blocks:  # noqa: ARG002
        values = part(self._values, where)
        valid, word = validity(values), np.dtype(f"V{self._size}")
        data = np.frombuffer(values.buffers()[1], word, len(values), values.offset * self._size)
        target = np.ndarray(len(values), word, record, place + 1, (record.shape[1],))
        target[:] = data
        record[:, place] = 1 if valid is None else valid
        if valid is not None:
            record[~valid, place + 1 : place + 1 + self._size] = 0
        return state


Tags: TypeAlias = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class KeyChecksum:
    """How many keys there are, and a sum (modulo 2⁶⁴) over their tags that does not depend on their order.

    Sums of parts of a set add up (``+``), and what is taken away can be taken away (``-``).
    Different sets have the same sum by chance once in 2⁶⁴, or where someone who holds the key made them so.
    """

    count: int = 0
    total: int = 0

    @classmethod
    def of(cls, tags: Tags) -> "KeyChecksum":
        """Return the checksum of keys by their :func:`key_tags`."""
        return cls(len(tags), int(tags.sum(dtype=np.uint64)))

    def __add__(self, other: "KeyChecksum") -> "KeyChecksum":
        """Return the checksum of both sets of keys together."""
        return KeyChecksum(self.count + other.count, (self.total + other.total) & _HALF)

    def __sub__(self, other: "KeyChecksum") -> "KeyChecksum":
        """Return the checksum of these keys without the *other* ones, which must be among them."""
        return KeyChecksum(self.count - other.count, (self.total - other.total) & _HALF)

    def __str__(self) -> str:
        """Write it as it is recorded: the number of keys, then the sum."""
        return f"{self.count}:{self.total:016x}"

    @classmethod
    def read(cls, text: str) -> "KeyChecksum":
        """Return the checksum that was written as *text*."""
        count, total = text.split(":")
        return cls(int(count), int(total, 16))


def key_tags(row_keys: Column, key: Key) -> Tags:
    """Return the first 64 bits of the CMAC of each text or binary key, in order; null keys are left out.

    Of a million keys, two share a tag by chance once in 37 million runs.
    """
    keys = as_bytes(row_keys).drop_null()
    mac = Cmac(BlockCipher(key.suite.block_cipher(key.material.reveal())))
    start = mac.prefix(in_blocks(framed_text("row key")))
    made = np.empty(len(keys), np.uint64)
    for where in chunks(len(keys)):
        made[where] = mac.tags(Rows.of(part(keys, where)), start)[:, 0].byteswap()
    return made


def checksum(row_keys: Column, key: Key) -> KeyChecksum:
    """Return the checksum of text or binary row keys. Null keys are not counted."""
    return KeyChecksum.of(key_tags(row_keys, key))
