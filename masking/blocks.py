"""Many messages through one block cipher at once: packing into blocks, CMAC and counter mode.

A cipher call per value costs microseconds, the cipher itself nanoseconds.
So step *j* of every row is done in one call over one matrix.
Rows are ordered by their number of blocks, longest first:
the rows that still have a block *j* are then a prefix of the matrix,
and a row costs what its own length costs, never what the longest of its neighbours costs.
"""

from dataclasses import dataclass
from typing import Final, Self, TypeVar

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from numpy.typing import NDArray

from masking.columns import validity

BLOCK: Final = 16
WORD: Final = np.dtype("V16")

# A matrix of blocks: one row a block, as two machine words whose byte order is that of memory.
Blocks = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]
_Item = TypeVar("_Item", bound=np.generic)


class BlockCipher:
    """One block cipher under one key. Not to be shared between threads: make one where it is used."""

    def __init__(self, algorithm: BlockCipherAlgorithm) -> None:
        """Take the key from *algorithm* (AES or SM4: blocks of 128 bits)."""
        # Each block is masked by chaining or is a counter, so the mode's known weakness does not arise.
        self._encrypt = Cipher(algorithm, modes.ECB()).encryptor()  # noqa: S305

    def encrypt(self, blocks: Blocks, count: int) -> None:
        """Encrypt the first *count* rows of *blocks* in place; *blocks* comes from ``zeros`` or ``room``."""
        flat = _with_slack(blocks).data
        self._encrypt.update_into(flat[: count * BLOCK], flat)

    def one(self, block: bytes) -> bytes:
        """Encrypt a single block."""
        return self._encrypt.update(block)


def room(count: int) -> Blocks:
    """Return a matrix of *count* blocks with undefined content, with the slack the cipher call asks for."""
    return np.empty((count + 1, 2), np.uint64)[:count]


def zeros(count: int) -> Blocks:
    """Return a matrix of *count* zero blocks, with the slack the cipher call asks for."""
    return np.zeros((count + 1, 2), np.uint64)[:count]


def _with_slack(blocks: Blocks) -> Bytes:
    """Return the memory of *blocks* and the one spare block behind it."""
    if blocks.base is None:
        raise ValueError("these blocks have no slack: they come from neither zeros() nor room()")
    return np.ndarray(blocks.size * 8 + BLOCK, np.uint8, blocks.base)


def block(data: bytes) -> Blocks:
    """Return 16 bytes as a matrix of one row."""
    return np.frombuffer(data, np.uint64).reshape(1, 2)


def doubled(blocks: Blocks) -> Blocks:
    """Multiply each block by x in GF(2^128): the ``dbl`` of RFC 5297 section 2.3."""
    high, low = blocks[:, 0].byteswap(), blocks[:, 1].byteswap()
    result = np.empty_like(blocks)
    result[:, 0] = ((high << np.uint64(1)) | (low >> np.uint64(63))).byteswap()
    result[:, 1] = ((low << np.uint64(1)) ^ ((high >> np.uint64(63)) * np.uint64(0x87))).byteswap()
    return result


def counters(first: Blocks, step: int) -> Blocks:
    """Return the counter blocks *step* after *first*, adding over all 128 bits."""
    result = room(len(first))
    low = first[:, 1].byteswap()
    raised = low + np.uint64(step)
    result[:, 0] = first[:, 0]
    result[:, 1] = raised.byteswap()
    carried = raised < low
    if carried.any():
        result[carried, 0] = (first[carried, 0].byteswap() + np.uint64(1)).byteswap()
    return result


def windows(data: Bytes) -> NDArray[np.void]:
    """Return every run of 16 bytes of *data*, by the place where it starts."""
    count = max(data.size - BLOCK + 1, 0)
    return np.ndarray(count, WORD, data, strides=(1,)) if count else np.empty(0, WORD)


def as_words(blocks: NDArray[np.void]) -> Blocks:
    """View gathered runs of 16 bytes as a matrix of blocks."""
    return blocks.view(np.uint64).reshape(-1, 2)


def as_runs(blocks: Blocks) -> NDArray[np.void]:
    """View a matrix of blocks as runs of 16 bytes."""
    return blocks.view(WORD).reshape(-1)


# MASKS[r] keeps the first r bytes of a block; PADDED[r] sets the bit behind them (SP 800-38B section 6.2).
_places = np.arange(BLOCK)
MASKS: Final[NDArray[np.void]] = np.where(_places < np.arange(BLOCK + 1)[:, None], 0xFF, 0).astype(np.uint8).view(WORD).reshape(-1)
PADDED: Final[Bytes] = np.where(_places == np.arange(BLOCK + 1)[:, None], 0x80, 0).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Rows:
    """Messages of different lengths in one stretch of memory; null is a message of no bytes.

    ``order`` puts the rows with most blocks first; ``None`` says that all have equally many.
    ``active[j]`` is how many rows, in that order, have more than *j* blocks.
    """

    data: Bytes
    starts: Numbers
    lengths: Numbers
    blocks: Numbers
    order: Numbers | None
    active: tuple[int, ...]

    @classmethod
    def of(cls, values: pa.Array) -> Self:
        """Copy one chunk of binary *values* out of Arrow, with slack behind the last byte."""
        offsets = _offsets(values)
        lengths = np.diff(offsets)
        data = np.empty(int(offsets[-1] - offsets[0]) + 2 * BLOCK, np.uint8)
        _copy_data(values, int(offsets[0]), data)
        valid = validity(values)
        if valid is not None:
            lengths = np.where(valid, lengths, 0)
        return cls.at(data, offsets[:-1] - offsets[0], lengths)

    @classmethod
    def at(cls, data: Bytes, starts: Numbers, lengths: Numbers) -> Self:
        """Describe rows that already lie in *data*, which has at least 16 bytes of slack."""
        blocks = (lengths + (BLOCK - 1)) >> 4
        least, most = (int(blocks.min()), int(blocks.max())) if len(blocks) else (0, 0)
        if least == most:
            return cls(data, starts, lengths, blocks, None, (len(blocks),) * most)
        order = np.argsort((most - blocks).astype(np.min_scalar_type(most)), kind="stable")
        finished = np.cumsum(np.bincount(blocks, minlength=most + 1))
        return cls(data, starts, lengths, blocks, order, tuple((len(blocks) - finished[:most]).tolist()))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.starts)

    def ordered(self, values: NDArray[_Item]) -> NDArray[_Item]:
        """Return *values*, one a row, in the order of the cipher steps."""
        return values if self.order is None else values.take(self.order, axis=0)

    def unordered(self, blocks: Blocks) -> Blocks:
        """Return *blocks*, one a row in the order of the cipher steps, in the order of the rows."""
        if self.order is None:
            return blocks
        result = room(len(self))
        as_runs(result)[self.order] = as_runs(blocks)
        return result


def _offsets(values: pa.Array) -> Numbers:
    """Return where each value starts, and the end of the last, in the values' data buffer."""
    if pa.types.is_fixed_size_binary(values.type):
        numbers: Numbers = np.arange(values.offset, values.offset + len(values) + 1, dtype=np.int64)
        return numbers * np.int64(values.type.byte_width)
    kind = np.int64 if pa.types.is_large_binary(values.type) else np.int32
    places = values.buffers()[1]
    if places is None or places.size == 0:
        return np.zeros(len(values) + 1, np.int64)
    found = np.frombuffer(places, kind, len(values) + 1, values.offset * np.dtype(kind).itemsize)
    offsets: Numbers = found.astype(np.int64)
    return offsets


def _copy_data(values: pa.Array, start: int, target: Bytes) -> None:
    buffer = values.buffers()[-1]
    size = target.size - 2 * BLOCK
    target[size:] = 0
    if size:
        target[:size] = np.frombuffer(buffer, np.uint8, size, start)
