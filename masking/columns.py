"""Bring any Arrow column into one shape, and cut it into chunks that fit the processor's cache.

Arrow stores text and bytes in many ways (small and large offsets, views, dictionaries, chunks, slices).
The rest of this package sees two of them: variable bytes with offsets, and fixed-width bytes.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.errors import Mistake

# Rows worked on at once: the block matrices of one chunk then stay in the second-level cache.
CHUNK: Final = 16_384

Column: TypeAlias = pa.Array | pa.ChunkedArray


def whole(values: Column) -> pa.Array:
    """Return *values* as one array without dictionary; order and nulls are kept, nothing is copied twice."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # Arrow keeps chunks where 32-bit offsets would overflow.
            values = pa.concat_arrays([values.chunk(0).slice(0, 0).cast(wide(values.type)), *_widened(values)])
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values


def wide(kind: pa.DataType) -> pa.DataType:
    """Return the type with 64-bit offsets that holds what *kind* holds."""
    return pa.large_string() if is_text(kind) else pa.large_binary()


def _widened(values: pa.ChunkedArray) -> list[pa.Array]:
    return [chunk.cast(wide(values.type)) for chunk in values.chunks]


def is_text(kind: pa.DataType) -> bool:
    """Say whether *kind* is UTF-8 text in any of Arrow's layouts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Say whether *kind* is bytes in any of Arrow's layouts."""
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind)
    )


def as_bytes(values: Column) -> pa.Array:
    """Return text or bytes as ``binary``, ``large_binary`` or fixed-size binary; text becomes its UTF-8 bytes.

    Any other type is a ``Mistake``: a number or a date must first be given a canonical text.
    """
    array = whole(values)
    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        array = array.cast(wide(array.type))
    if pa.types.is_string(array.type):
        return array.view(pa.binary())
    if pa.types.is_large_string(array.type):
        return array.view(pa.large_binary())
    if is_bytes(array.type):
        return array
    raise Mistake(f"a column of type {array.type} is neither text nor bytes", remedy="encode it before it is protected")


def only(values: pa.Array, wanted: pa.Array) -> pa.Array:
    """Return *values* with null where *wanted* is not true, and nothing left in memory under those nulls.

    Arrow's own ``if_else`` only marks a value as null and leaves its bytes in the buffer.
    """
    places = pa.array(np.arange(len(values)))
    return values.take(pc.if_else(pc.fill_null(wanted, fill_value=False), places, pa.scalar(None, places.type)))


def chunks(length: int) -> Iterator[slice]:
    """Yield slices that cover *length* rows in order, each of at most ``CHUNK`` rows."""
    for start in range(0, length, CHUNK):
        yield slice(start, min(start + CHUNK, length))


def part(values: pa.Array, where: slice) -> pa.Array:
    """Return the rows of *values* in *where*, without a copy."""
    return values.slice(where.start, where.stop - where.start)


def validity(values: pa.Array) -> NDArray[np.bool_] | None:
    """Return which rows hold a value, or ``None`` where all do."""
    if values.null_count == 0:
        return None
    present: NDArray[np.bool_] = pc.is_valid(values).to_numpy(zero_copy_only=False)
    return present


def joined(parts: list[pa.Array], kind: pa.DataType) -> pa.Array:
    """Return *parts* as one array of type *kind*; no part gives an empty array."""
    if not parts:
        return pa.array([], kind)
    return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)


def from_bytes(data: NDArray[np.uint8], offsets: NDArray[np.int64], valid: NDArray[np.bool_] | None) -> pa.Array:
    """Return variable bytes as an Arrow ``binary`` array over the same memory (``large_binary`` above 2 GiB)."""
    large = int(offsets[-1]) > np.iinfo(np.int32).max
    places = offsets if large else offsets.astype(np.int32)
    buffers = [bitmap(valid), pa.py_buffer(places), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary() if large else pa.binary(), len(offsets) - 1, buffers)


def bitmap(valid: NDArray[np.bool_] | None) -> pa.Buffer | None:
    """Return Arrow's validity bitmap for *valid*."""
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
