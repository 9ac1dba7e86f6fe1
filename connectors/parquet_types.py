"""How each Parquet type arrives: as itself, or as text that says exactly what is stored."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID

import pyarrow as pa

from connectors.text import as_text

if TYPE_CHECKING:
    from connectors.protocol import Oddity


def arriving(stored: pa.DataType) -> pa.DataType:
    """Return the type in which a column stored as *stored* is handed over.

    Numbers, decimals of up to 38 digits, dates and times keep their type, unit and zone;
    text and bytes have one form each; what is nested, wider decimals and durations are text.
    """
    if isinstance(stored, pa.DictionaryType):
        return arriving(stored.value_type)
    if isinstance(stored, pa.UuidType):
        return pa.string()
    if isinstance(stored, pa.BaseExtensionType):
        return arriving(stored.storage_type)
    if _is_bytes(stored):
        return pa.binary()
    kept = pa.types.is_integer(stored) or pa.types.is_floating(stored) or pa.types.is_boolean(stored)
    timed = pa.types.is_date32(stored) or pa.types.is_timestamp(stored)
    return stored if kept or timed or isinstance(stored, pa.Decimal128Type) else pa.string()


def taken(name: str, column: pa.Array) -> tuple[pa.Array, Counter[Oddity]]:
    """Return *column* in its :func:`arriving` type, and what had to be read as null."""
    wanted = arriving(column.type)
    if isinstance(column.type, pa.DictionaryType):
        return taken(name, column.dictionary_decode())
    if isinstance(column.type, pa.UuidType):
        return pa.array([None if value is None else str(UUID(bytes=value)) for value in column.storage.to_pylist()], wanted), Counter()
    if isinstance(column, pa.ExtensionArray):
        return taken(name, column.storage)
    if column.type == wanted or _is_bytes(column.type):
        return column.cast(wanted), Counter()
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        return column.cast(wanted), Counter()
    return as_text(column.to_pylist(), name)


def _is_bytes(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind)
    )
