"""CMAC (SP 800-38B, RFC 4493; with SM4: GB/T 15852.1-2020) over many messages at once."""

from dataclasses import dataclass

import numpy as np

from masking.blocks import (
    BLOCK,
    MASKS,
    PADDED,
    WORD,
    BlockCipher,
    Blocks,
    Bytes,
    Numbers,
    Rows,
    as_runs,
    as_words,
    block,
    doubled,
    windows,
    zeros,
)


@dataclass(frozen=True, slots=True)
class Prefix:
    """What a message starts with, already worked in: whole blocks, the same for all rows or one for each.

    ``state`` is the chain after the prefix, ``alone`` the tag of the prefix with nothing behind it.
    """

    state: Blocks
    alone: Blocks


class Cmac:
    """CMAC under one key. Equal to computing each row's tag by itself, whatever its neighbours are."""

    def __init__(self, cipher: BlockCipher) -> None:
        """Derive the two subkeys (SP 800-38B section 6.1)."""
        self.cipher = cipher
        first = doubled(block(cipher.one(bytes(BLOCK))))
        second = doubled(first)
        self.complete = first
        padded = PADDED.view(np.uint64)
        # Row r: what the last block is xored with when r of its 16 bytes belong to the message.
        self._endings = np.vstack([padded[:BLOCK] ^ second, first]).view(WORD).reshape(-1)
        # The same for RFC 5297's pad(), where the padded block counts as complete.
        self._short_endings = np.vstack([padded[:BLOCK] ^ first, first]).view(WORD).reshape(-1)

    def prefix(self, message: bytes) -> Prefix:
        """Work in *message*, which is one or more whole blocks."""
        state = zeros(1)
        for start in range(0, len(message) - BLOCK, BLOCK):
            state ^= block(message[start : start + BLOCK])
            self.cipher.encrypt(state, 1)
        state ^= block(message[-BLOCK:])
        alone = zeros(1)
        alone[:] = state ^ self.complete
        self.cipher.encrypt(state, 1)
        self.cipher.encrypt(alone, 1)
        return Prefix(state, alone)

    def one(self, message: bytes) -> Blocks:
        """Return the tag of a single message as a matrix of one row."""
        data = np.zeros(len(message) + 2 * BLOCK, np.uint8)
        data[: len(message)] = np.frombuffer(message, np.uint8)
        return self.tags(Rows.at(data, np.zeros(1, np.int64), np.array([len(message)])))

    def tags(self, rows: Rows, prefix: Prefix | None = None) -> Blocks:
        """Return one tag a row, in the order of the rows, of *prefix* followed by the row."""
        endings = as_words(self._endings.take(_last_bytes(rows.lengths)))
        state = zeros(len(rows))
        if prefix is not None:
            state[:] = rows.ordered(prefix.state) if len(prefix.state) == len(rows) else prefix.state
        tags = rows.unordered(self._chain(rows, state, rows.ordered(endings), None))
        empty = rows.lengths == 0
        if empty.any():
            self._finish_empty(tags, empty, prefix)
        return tags

    def _finish_empty(self, tags: Blocks, empty: np.ndarray, prefix: Prefix | None) -> None:
        if prefix is None:
            nothing = zeros(1)
            nothing[:] = as_words(self._endings[:1])
            self.cipher.encrypt(nothing, 1)
            tags[empty] = nothing
        else:
            tags[empty] = prefix.alone[empty] if len(prefix.alone) == len(tags) else prefix.alone

    def absorb(self, state: Blocks, rows: Rows) -> Blocks:
        """Work the rows, each filled up with zeros to whole blocks, into *state*; a row of no bytes changes nothing."""
        if not rows.active:
            return state
        ordered = zeros(len(rows))
        ordered[:] = rows.ordered(state)
        return rows.unordered(self._chain(rows, ordered, None, None))

    def _chain(self, rows: Rows, state: Blocks, endings: Blocks | None, before: Blocks | None) -> Blocks:
        """Run the chain in the order of the cipher steps.

        Each row's last block is cut to the message and xored with *endings*, the block before it with *before*.
        """
        gathered, starts = windows(rows.data), rows.ordered(rows.starts)
        masks = as_words(MASKS.take(rows.ordered(_last_bytes(rows.lengths))))
        steps = (*rows.active, 0, 0)
        for step, (now, later, last) in enumerate(zip(steps, steps[1:], steps[2:], strict=False)):
            blocks = as_words(gathered[starts[:now] + step * BLOCK])
            blocks[later:] &= masks[later:now]
            if endings is not None:
                blocks[later:] ^= endings[later:now]
            if before is not None:
                blocks[last:later] ^= before[last:later]
            state[:now] ^= blocks
            self.cipher.encrypt(state, now)
        return state

    def s2v(self, rows: Rows, bound: Blocks) -> Blocks:
        """Return the synthetic IV of each row: the last step of S2V (RFC 5297 section 2.4).

        *bound* is D after all associated data. Rows of at least one block have it xored onto their end,
        shorter ones are padded and xored with its double.
        """
        short = rows.lengths < BLOCK
        overlay = _Overlay(bound, with_double=bool(short.any()))
        kept = _last_bytes(rows.lengths)
        endings = self._endings.take(kept)
        if overlay.doubles:
            endings[short] = self._short_endings.take(kept[short])
        last = as_words(endings) ^ overlay.last(kept, short)
        tags = rows.unordered(self._chain(rows, zeros(len(rows)), rows.ordered(last), rows.ordered(overlay.before(kept))))
        empty = rows.lengths == 0
        if empty.any():
            finished = zeros(int(empty.sum()))
            finished[:] = last[empty]
            self.cipher.encrypt(finished, len(finished))
            tags[empty] = finished
        return tags


def _last_bytes(lengths: Numbers) -> Numbers:
    """Return how many bytes the last block of each row holds: 1 to 16, and 0 for a row of no bytes."""
    return np.where(lengths == 0, 0, ((lengths - 1) & (BLOCK - 1)) + 1)


class _Overlay:
    """D laid over the last 16 bytes of each row, which mostly lie across two blocks.

    The blocks of D stand between blocks of zeros, so that a run of 16 bytes taken at the right place
    is the part of D that falls into the last block, or the one before it.
    """

    def __init__(self, bound: Blocks, *, with_double: bool) -> None:
        count = len(bound)
        self.doubles = with_double
        laid: Bytes = np.zeros((2 * count + 1 + (count if with_double else 0)) * BLOCK, np.uint8)
        blocks = laid.view(WORD)
        blocks[1 : 2 * count : 2] = as_runs(bound)
        if with_double:
            blocks[2 * count + 1 :] = as_runs(doubled(bound))
        self._runs = windows(laid)
        self._rows = np.arange(count, dtype=np.int64)

    def last(self, kept: Numbers, short: np.ndarray) -> Blocks:
        places = self._rows * (2 * BLOCK) + (2 * BLOCK) - kept
        if self.doubles:
            places = np.where(short, (2 * len(self._rows) + 1 + self._rows) * BLOCK, places)
        return as_words(self._runs[places])

    def before(self, kept: Numbers) -> Blocks:
        return as_words(self._runs[self._rows * (2 * BLOCK) + BLOCK - kept])
