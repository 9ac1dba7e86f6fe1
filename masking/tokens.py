"""Tokens: keyed pseudonyms that join within one identity domain (privacy rules 5 to 7).

A token is AES-CMAC over the document type and the canonical value: 16 bytes, equal exactly where both are equal.

What it leaks: equality, and so frequency. Whoever holds the key recovers citizen numbers by trying them all.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from masking.blocks import BlockCipher, Blocks, Rows, room
from masking.cmac import Cmac, Prefix
from masking.columns import Column, as_bytes, bitmap, chunks, joined, part, validity, whole
from masking.encodings import text
from masking.framing import in_blocks
from masking.keys import Key

CITIZEN: Final = "111"  # GA/T 517: resident identity card
TOKEN: Final = pa.binary(16)

# Spaces, hyphens, dots, and characters that do not show (a byte-order mark, a soft hyphen).
_SEPARATORS: Final = r"[\p{Z}\p{Pd}\p{Cc}\p{Cf}.·•・\x{2212}]"
_PLAIN: Final = np.isin(np.arange(256), np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8))
_WEIGHTS: Final = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHECKS: Final = np.frombuffer(b"10X98765432", np.uint8)
_OLD_LENGTH: Final = 15
_FIRST_AMBIGUOUS_SEQUENCE: Final = 996


def token(values: Column, key: Key, *, document_type: str | Column) -> pa.Array:
    """Return one token for each canonical value of text or bytes, as ``binary(16)``, in order.

    *document_type* (GA/T 517) is one for all or one a row. A null value or a null type gives a null token.
    """
    data = as_bytes(values)
    mac = Cmac(BlockCipher(key.suite.block_cipher(key.material.reveal())))
    if isinstance(document_type, str):
        prefix = mac.prefix(in_blocks(document_type.encode()))
        parts = [_tokens(mac, part(data, where), prefix) for where in chunks(len(data))]
        return joined(parts, TOKEN)
    types = whole(document_type).dictionary_encode()
    known = [mac.prefix(in_blocks(name.encode())) for name in types.dictionary.to_pylist()]
    data = pc.if_else(types.is_valid(), data, pa.scalar(None, data.type))
    codes = pc.fill_null(types.indices, 0).to_numpy()
    parts = [_tokens(mac, part(data, where), _by_row(known, codes[where])) for where in chunks(len(data))]
    return joined(parts, TOKEN)


def _by_row(known: list[Prefix], codes: NDArray[np.int32]) -> Prefix:
    if not known:  # Every type is null, and so is every token.
        return Prefix(room(len(codes)), room(len(codes)))
    states, alone = (np.concatenate(words) for words in zip(*((one.state, one.alone) for one in known), strict=True))
    return Prefix(states[codes], alone[codes])


def _tokens(mac: Cmac, values: pa.Array, prefix: Prefix) -> pa.Array:
    return fixed(mac.tags(Rows.of(values), prefix), validity(values))


def fixed(tags: Blocks, valid: NDArray[np.bool_] | None) -> pa.Array:
    """Return tags as an Arrow array of ``binary(16)``; rows that are not *valid* are null and hold nothing."""
    if valid is not None:
        tags[~valid] = 0
    return pa.Array.from_buffers(TOKEN, len(tags), [bitmap(valid), pa.py_buffer(np.ascontiguousarray(tags))])


def canonical(values: Column, document_type: str | Column | None = None) -> pa.Array:
    """Return each value in the one form that its token is made of (privacy rule 5).

    NFKC, upper case, separators removed; 15-digit citizen numbers become 18-digit ones.
    Nulls stay null, and a value without canonical form becomes null, so that the caller can count it:
    one of which nothing is left, and a 15-digit citizen number whose sequence is 996 to 999
    (given to the very old, whose century cannot be told).
    """
    cleaned = _cleaned(text(values))
    if isinstance(document_type, str):
        return _eighteen(cleaned, None) if document_type == CITIZEN else cleaned
    if document_type is None:
        return cleaned
    return _eighteen(cleaned, pc.fill_null(pc.equal(text(document_type), CITIZEN), fill_value=False))


def _cleaned(values: pa.Array) -> pa.Array:
    if _is_plain(values) and not pc.any(pc.equal(pc.binary_length(values), 0)).as_py():
        return values
    # Upper case can undo a composition (ŉ), so the text is composed again; separators can appear by composing.
    upper = pc.utf8_upper(pc.utf8_normalize(values, "NFKC"))
    bare = pc.replace_substring_regex(pc.utf8_normalize(upper, "NFKC"), pattern=_SEPARATORS, replacement="")
    bare = pc.utf8_normalize(bare, "NFKC")
    return pc.if_else(pc.equal(pc.binary_length(bare), 0), pa.scalar(None, bare.type), bare)


def _is_plain(values: pa.Array) -> bool:
    """Say whether the column holds digits and capital letters only, and so is canonical as it stands."""
    rows = Rows.of(as_bytes(values))
    return bool(_PLAIN[rows.data[: rows.data.size - 32]].all())


def _eighteen(values: pa.Array, concerned: pa.Array | None) -> pa.Array:
    """Bring 15-digit citizen numbers to 18 digits (GB 11643-1999): century 19 inserted, check character computed."""
    if not pc.any(pc.equal(pc.binary_length(values), _OLD_LENGTH)).as_py():
        return values
    old = pc.match_substring_regex(values, r"^[0-9]{15}$")
    old = pc.fill_null(old if concerned is None else pc.and_(old, concerned), fill_value=False)
    if not pc.any(old).as_py():
        return values
    return pc.replace_with_mask(values, old, _extended(values.filter(old)).cast(values.type))


def _extended(numbers: pa.Array) -> pa.Array:
    rows = Rows.of(as_bytes(numbers))
    digits = rows.data[rows.starts[:, None] + np.arange(_OLD_LENGTH)]
    longer = np.empty((len(rows), 18), np.uint8)
    longer[:, :6], longer[:, 6:8], longer[:, 8:17] = digits[:, :6], np.frombuffer(b"19", np.uint8), digits[:, 6:]
    longer[:, 17] = _CHECKS[((longer[:, :17] - ord("0")).astype(np.int64) @ _WEIGHTS) % 11]
    sequence = (digits[:, 12:].astype(np.int64) - ord("0")) @ np.array([100, 10, 1])
    known = bitmap(sequence < _FIRST_AMBIGUOUS_SEQUENCE)
    array = pa.Array.from_buffers(pa.binary(18), len(rows), [known, pa.py_buffer(longer)])
    return array.cast(pa.binary()).cast(pa.string())
