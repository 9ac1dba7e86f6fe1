"""Seals: deterministic encryption of a column, each value bound to its place (privacy rules 9 and 10).

AES-SIV (RFC 5297) with two parts of associated data, in order: the header
(suite, key version, library, entity, field) and the row key. Equal to ``cryptography``'s ``AESSIV``
with ``[header, row_key]``. A seal is 16 bytes longer than its value.

What it leaks: the length of the value (unless padded), and whether one field of one row changed.
It does not leak that two rows hold the same value.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.errors import Refused
from masking.blocks import (
    BLOCK,
    BlockCipher,
    Blocks,
    Numbers,
    Rows,
    as_runs,
    as_words,
    counters,
    doubled,
    room,
    windows,
)
from masking.cmac import Cmac
from masking.columns import Column, as_bytes, chunks, from_bytes, joined, part, validity, whole
from masking.framing import framed_text
from masking.keys import Key
from masking.suites import Suite

# RFC 5297 section 2.5: bits 31 and 63 of the counter's start are cleared.
_CLEARED: Final = np.frombuffer(b"\xff" * 8 + b"\x7f\xff\xff\xff" * 2, np.uint64)
_NOTHING: Final = pa.scalar(bytes(BLOCK), pa.binary())


def header(suite: Suite, version: int, library: str, entity: str, field: str) -> bytes:
    """Return the first part of a seal's associated data; different arguments give different bytes."""
    return framed_text("seal", suite.name, str(version), library, entity, field)


@dataclass(frozen=True, slots=True, eq=False)
class BoundRows:
    """Row keys already worked in, so that several columns of one batch share the work."""

    tags: Blocks
    key: Key


def bind(row_keys: Column, key: Key) -> BoundRows:
    """Work in the row keys of a batch. A row without key is ``Refused``: its seals could be moved to another row."""
    keys = as_bytes(row_keys)
    if keys.null_count:
        raise Refused(f"{keys.null_count} rows have no row key", remedy="rows without key go to quarantine first")
    mac = Siv(key).mac
    tags = room(len(keys))
    for where in chunks(len(keys)):
        tags[where] = mac.tags(Rows.of(part(keys, where)))
    return BoundRows(tags, key)


def seal(
    values: Column,
    row_keys: Column | BoundRows,
    key: Key,
    head: bytes,
    *,
    seal_nulls: bool = False,
    pad: bool = False,
) -> pa.Array:
    """Return ``binary`` seals of text or bytes *values*, in order; deterministic.

    Nulls stay null. With *pad* every value is filled up to whole blocks, so that short codes look alike;
    with *seal_nulls* it is padded too and a null becomes a block of its own, opened as null again.
    """
    data = as_bytes(values)
    if pad or seal_nulls:
        data = padded(data, seal_nulls=seal_nulls)
    bound = _bound(row_keys, key)
    siv = Siv(key)
    start = siv.start(head)
    parts = [siv.seal(part(data, where), bound.tags[where] ^ start) for where in chunks(len(data))]
    return joined(parts, pa.binary())


def unseal(seals: Column, row_keys: Column | BoundRows, key: Key, head: bytes, *, pad: bool = False) -> pa.Array:
    """Return the ``binary`` values of *seals*; *pad* says that they were padded (or nulls sealed).

    A seal that was altered, cut, moved to another row or field, or made with another key is ``Refused``;
    the error says how many there are, never which, why or what they hold. No value is returned then.
    """
    data = as_bytes(seals)
    bound = _bound(row_keys, key)
    siv = Siv(key)
    start = siv.start(head)
    parts, failed = [], 0
    for where in chunks(len(data)):
        opened, wrong = siv.unseal(part(data, where), bound.tags[where] ^ start)
        parts.append(opened)
        failed += wrong
    if failed:
        raise _refused(failed, len(data))
    values = joined(parts, pa.binary())
    return unpadded(values) if pad else values


def _refused(failed: int, total: int) -> Refused:
    return Refused(
        f"{failed} of {total} values cannot be unsealed",
        remedy="check key version, library, entity, field and row key; else they were altered since they were sealed",
    )


def _bound(row_keys: Column | BoundRows, key: Key) -> BoundRows:
    if not isinstance(row_keys, BoundRows):
        return bind(row_keys, key)
    if row_keys.key is not key:
        raise ValueError("these row keys were bound under another key")
    return row_keys


class Siv:
    """SIV under one key: the first half for S2V, the second for the counter mode (RFC 5297 section 2.2)."""

    def __init__(self, key: Key) -> None:
        """Split *key*."""
        half = key.suite.key_bytes
        self.mac = Cmac(BlockCipher(key.suite.block_cipher(key.material.reveal()[:half])))
        self.stream = BlockCipher(key.suite.block_cipher(key.material.reveal()[half:]))

    def start(self, head: bytes) -> Blocks:
        """Return D after the header, doubled: what the row key's tag is xored onto (RFC 5297 section 2.4)."""
        return doubled(doubled(self.mac.one(bytes(BLOCK))) ^ self.mac.one(head))

    def seal(self, values: pa.Array, bound: Blocks) -> pa.Array:
        """Return the seals of one chunk; *bound* is D after all associated data, for each row."""
        rows, valid = Rows.of(values), validity(values)
        ivs = self.mac.s2v(rows, bound)
        sizes = rows.lengths + BLOCK
        if valid is not None:
            sizes = np.where(valid, sizes, 0)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        sealed = np.zeros(int(offsets[-1]) + 2 * BLOCK, np.uint8)
        target = windows(sealed)
        for now, rows_now, blocks in self._crypted(rows, ivs):
            target[offsets[:-1][rows_now] + BLOCK * (now + 1)] = as_runs(blocks)
        # A last block reaches up to 15 bytes into the IV behind it, so the IVs are written last.
        present = slice(None) if valid is None else valid
        target[offsets[:-1][present]] = as_runs(np.ascontiguousarray(ivs[present]))
        return from_bytes(sealed, offsets, valid)

    def unseal(self, seals: pa.Array, bound: Blocks) -> tuple[pa.Array, int]:
        """Return the values, and how many seals are wrong."""
        rows, valid = Rows.of(seals), validity(seals)
        whole_seal = rows.lengths >= BLOCK
        wrong = ~whole_seal if valid is None else ~whole_seal & valid
        ivs = as_words(windows(rows.data)[rows.starts])
        inner = Rows.at(rows.data, rows.starts + BLOCK, np.maximum(rows.lengths - BLOCK, 0))
        slots = np.concatenate([np.zeros(1, np.int64), np.cumsum(inner.blocks)])
        plain = room(int(slots[-1]) + 2)
        plain[-2:] = 0
        for now, rows_now, blocks in self._crypted(inner, ivs):
            as_runs(plain)[slots[:-1][rows_now] + now] = as_runs(blocks)
        flat = plain.view(np.uint8).reshape(-1)
        opened = Rows.at(flat, slots[:-1] * BLOCK, inner.lengths)
        difference = self.mac.s2v(opened, bound) ^ ivs
        differs = (difference[:, 0] | difference[:, 1]) != 0
        wrong |= differs if valid is None else differs & valid
        return _without_gaps(opened, valid), int(wrong.sum())

    def _crypted(self, rows: Rows, ivs: Blocks) -> Iterator[tuple[int, Numbers, Blocks]]:
        """Yield step, row numbers and their blocks, xored with the key stream."""
        gathered = windows(rows.data)
        starts, first = rows.ordered(rows.starts), rows.ordered(ivs & _CLEARED)
        numbers = np.arange(len(rows)) if rows.order is None else rows.order
        for step, now in enumerate(rows.active):
            stream = counters(first[:now], step)
            self.stream.encrypt(stream, now)
            stream ^= as_words(gathered[starts[:now] + step * BLOCK])
            yield step, numbers[:now], stream


def _without_gaps(rows: Rows, valid: np.ndarray | None) -> pa.Array:
    """Return *rows* as an Arrow array: described as value, gap, value, gap …, of which Arrow copies the values."""
    count = len(rows)
    offsets = np.empty(2 * count + 1, np.int64)
    offsets[:-1:2] = rows.starts
    offsets[1::2] = rows.starts + rows.lengths
    offsets[-1] = offsets[-2] if count else 0
    mask = None
    if valid is not None:
        mask = np.ones(2 * count, np.bool_)
        mask[::2] = valid
    return from_bytes(rows.data, offsets, mask).take(pa.array(np.arange(0, 2 * count, 2)))


def padded(values: Column, *, seal_nulls: bool) -> pa.Array:
    """Return bytes filled up to whole blocks: a bit, then zeros (ISO/IEC 7816-4); a null may become a zero block."""
    data = as_bytes(values)
    data = data.cast(pa.large_binary() if pa.types.is_large_binary(data.type) else pa.binary())
    fillings = pa.array([b"\x80" + bytes(BLOCK - 1 - used) for used in range(BLOCK)], data.type)
    used = pc.bit_wise_and(pc.binary_length(data), BLOCK - 1)
    filled = pc.binary_join_element_wise(data, fillings.take(used), pa.scalar(b"", data.type))
    return pc.fill_null(filled, _NOTHING.cast(data.type)) if seal_nulls else filled


def unpadded(values: pa.Array) -> pa.Array:
    """Undo ``padded``: cut the filling off, and turn a zero block into null."""
    data = whole(values)
    nothing = pc.equal(data, _NOTHING)
    data = pc.if_else(nothing, pa.scalar(None, data.type), data)
    rows = Rows.of(data)
    return _without_gaps(Rows.at(rows.data, rows.starts, _unpadded_lengths(rows)), validity(data))


def _unpadded_lengths(rows: Rows) -> Numbers:
    """Find the last bit set in each row: the filling begins with its byte."""
    lengths = rows.lengths.copy()
    present = lengths > 0
    tails = rows.data[(rows.starts[present] + lengths[present])[:, None] - 1 - np.arange(BLOCK)]
    lengths[present] -= (tails != 0).argmax(axis=1) + 1
    return lengths
