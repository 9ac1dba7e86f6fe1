"""The one text of a value: what is sealed, tokenised or used as a key, whatever Arrow type it came in.

Text is itself; a date is ISO 8601; an instant is ISO 8601 in UTC; numbers are decimal text; truth is ``true``
or ``false``; bytes (geometry) stay bytes. Encoding is injective within a type, and ``decode`` gives it back.
"""

import pyarrow as pa
import pyarrow.compute as pc

from hub.errors import Mistake, Rejected
from masking.columns import Column, as_bytes, is_bytes, is_text, whole


def text(values: Column) -> pa.Array:
    """Return the canonical text of each value as ``string`` or ``large_string``; nulls stay null.

    Bytes have no text (``Mistake``).
    """
    array = whole(values)
    kind = array.type
    if is_text(kind):
        return array.cast(pa.large_string()) if pa.types.is_string_view(kind) else array
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(kind.unit, "UTC"))
    if not is_bytes(kind):
        try:
            return pc.cast(array, pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    # Outside the handler: Arrow's message may quote a value.
    raise Mistake(f"a column of type {kind} has no canonical text", remedy="declare a type of schemas FieldType")


def encode(values: Column) -> pa.Array:
    """Return the canonical bytes of each value: ``binary``, ``large_binary`` or fixed-size binary; nulls stay null."""
    array = whole(values)
    return as_bytes(array) if is_bytes(array.type) else as_bytes(text(array))


def decode(values: Column, kind: pa.DataType) -> pa.Array:
    """Return the values of type *kind* that ``encode`` made *values* from; what it did not make is ``Rejected``."""
    array = as_bytes(values)
    try:
        if is_bytes(kind):
            return array.cast(kind)
        return _from_text(array.cast(pa.string()), kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    # Outside the handler: Arrow's message quotes the value.
    raise Rejected(f"unsealed bytes do not read as {kind}", remedy="compare the field's type with that of its sealing")


def _from_text(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return array.cast(pa.timestamp(kind.unit, "UTC")).cast(kind)
    if pa.types.is_time(kind):
        return _time_from_text(array, kind)
    return array.cast(kind)


def _time_from_text(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Read a time of day by way of an instant, because Arrow has no cast of its own."""
    instants = pc.binary_join_element_wise("1970-01-01 ", array, "").cast(pa.timestamp(kind.unit))
    return instants.cast(kind)
