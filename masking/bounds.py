"""Bounds between parts of a table at rest: values of its key column, so sealed to their batch (privacy rule 9)."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from masking.framing import framed_text
from masking.keys import Key
from masking.seals import seal, unseal

_PLACE: Final = pa.array([b"bounds"], pa.binary())


def seal_bounds(bounds: Sequence[object], key: Key, batch_id: str) -> bytes:
    """Return one seal of *bounds*, values of one type (text, numbers, times, bytes), opened in *batch_id* only.

    It leaks about how long they are together. Raises ``ValueError`` for values that Arrow has no type for.
    """
    sink = pa.BufferOutputStream()
    column = pa.RecordBatch.from_pydict({"bound": _column(bounds)})
    with pa.ipc.new_stream(sink, column.schema) as stream:
        stream.write_batch(column)
    plain = pa.array([sink.getvalue().to_pybytes()], pa.binary())
    return bytes(seal(plain, _PLACE, key, _header(key, batch_id))[0].as_py())


def unseal_bounds(sealed: bytes, key: Key, batch_id: str) -> list[object]:
    """Return the bounds in order, as they were given; ``Refused`` as ``seals.unseal`` if they were altered or moved."""
    opened = unseal(pa.array([sealed], pa.binary()), _PLACE, key, _header(key, batch_id))
    return list(pa.ipc.open_stream(opened[0].as_py()).read_all().column("bound").to_pylist())


def _column(bounds: Sequence[object]) -> pa.Array:
    try:
        return pa.array(bounds)
    except OverflowError:
        return pa.array(bounds, pa.uint64())
    except pa.ArrowTypeError as error:
        raise ValueError(f"no type holds {type(bounds[0]).__name__}") from error


def _header(key: Key, batch_id: str) -> bytes:
    return framed_text("bounds", key.suite.name, str(key.version), batch_id)
