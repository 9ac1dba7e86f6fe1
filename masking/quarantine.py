"""Quarantined rows at rest: whole rows, sealed to their batch and position (privacy rule 9).

A row is kept as JSON, field to canonical text, so that what the department sent is there to be looked at
even where a value could not be read as its type.
"""

import base64
import json
from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from hub.errors import Mistake
from masking.columns import is_bytes
from masking.encodings import text
from masking.framing import framed_text
from masking.keys import Key
from masking.seals import seal, unseal

PURPOSE: Final = "quarantine"


def seal_rows(batch: pa.RecordBatch, positions: pa.Array, key: Key, batch_id: str) -> pa.Array:
    """Return one ``binary`` seal for each row of *batch*, in order.

    *positions* are the rows' numbers in the batch *batch_id*: a seal opens at its own place only.
    """
    rows = [json.dumps(row, ensure_ascii=False, sort_keys=True).encode() for row in _texts(batch)]
    return seal(pa.array(rows, pa.binary()), _places(positions), key, _header(key, batch_id))


def as_sent(
    read: pa.RecordBatch, raw: Mapping[str, pa.Array], unreadable: Mapping[str, pa.BooleanArray], places: pa.Array
) -> pa.RecordBatch:
    """Return the rows at *places* as they were read, but with the source's own text where a value could not be read.

    *raw* and *unreadable* have one column for each field of *read*.
    """
    columns = {
        name: _as_sent(column, raw[name], unreadable[name], places) for name, column in zip(read.schema.names, read.columns, strict=True)
    }
    return pa.RecordBatch.from_pydict(columns) if columns else read.take(places)


def _as_sent(column: pa.Array, raw: pa.Array, unreadable: pa.BooleanArray, places: pa.Array) -> pa.Array:
    here, failed = column.take(places), unreadable.take(places)
    if not pc.any(failed).as_py():
        return here
    return pc.if_else(failed, _written(raw.take(places)), _written(here))


def _written(column: pa.Array) -> pa.Array:
    return pa.array(_text(column), pa.string())


def unseal_rows(sealed: pa.Array, positions: pa.Array, key: Key, batch_id: str) -> list[dict[str, str | None]]:
    """Return the rows as field to text, in order; ``Refused`` as ``seals.unseal`` if one was altered or moved."""
    opened = unseal(sealed, _places(positions), key, _header(key, batch_id))
    return [json.loads(row) for row in opened.to_pylist()]


def _header(key: Key, batch_id: str) -> bytes:
    return framed_text(PURPOSE, key.suite.name, str(key.version), batch_id)


def _places(positions: pa.Array) -> pa.Array:
    if positions.null_count or not pa.types.is_integer(positions.type):
        raise Mistake("positions of quarantined rows are whole numbers", remedy="pass the row numbers")
    return pc.cast(positions, pa.string())


def _texts(batch: pa.RecordBatch) -> list[dict[str, str | None]]:
    columns = {name: _text(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    if not columns:
        return [{}] * batch.num_rows
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _text(column: pa.Array) -> list[str | None]:
    if not is_bytes(column.type):
        texts: list[str | None] = text(column).to_pylist()
        return texts
    return [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
