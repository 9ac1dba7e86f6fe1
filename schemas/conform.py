"""Source columns as the contract declares them: its names, its types, its way of writing.

A value that cannot be read becomes null and is marked; it never raises, and nothing here quotes a value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from hub.errors import Rejected
from schemas.contract import Field
from schemas.conversions import dates, numbers, shapes, texts
from schemas.declared import FieldType

Reading = Callable[[pa.Array, Field, str], texts.Read]

_READINGS: dict[FieldType, Reading] = {
    FieldType.STRING: texts.strings,
    FieldType.INTEGER: numbers.integers,
    FieldType.DECIMAL: numbers.decimals,
    FieldType.NUMBER: numbers.floats,
    FieldType.BOOLEAN: texts.booleans,
    FieldType.DATE: dates.dates,
    FieldType.TIMESTAMP: dates.timestamps,
    FieldType.GEOMETRY: shapes.geometries,
}

_TYPES: dict[FieldType, pa.DataType] = {
    FieldType.STRING: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.NUMBER: pa.float64(),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.DATE: pa.date32(),
    FieldType.TIMESTAMP: dates.INSTANT,
    FieldType.GEOMETRY: pa.binary(),
}


def arrow_type(field: Field) -> pa.DataType:
    """Return the Arrow type that a conformed column of *field* has."""
    if field.type is FieldType.DECIMAL:
        return pa.decimal128(field.precision, field.scale)
    return _TYPES[field.type]


@dataclass(frozen=True, slots=True)
class Conformed:
    """One batch in the contract's names and types.

    ``failures`` has one column for every field: true where the source gave a value that could not be read.
    """

    batch: pa.RecordBatch
    failures: dict[str, pa.BooleanArray]


def conform(batch: pa.RecordBatch, fields: Sequence[Field], *, timezone: str) -> Conformed:
    """Return *batch* (columns of the source) as *fields* declare it, in their order; other columns go.

    Text is trimmed, and empty text is null. Times without an offset are in *timezone*.
    Names get one separator (U+00B7) and identifiers lose full-width forms and lower case.
    Raises `Rejected` only if a column is missing.
    """
    read = {field.name: _read(batch, field, timezone) for field in fields}
    columns = [read[field.name].values for field in fields]
    return Conformed(
        batch=pa.RecordBatch.from_arrays(columns, names=[field.name for field in fields]),
        failures={name: one.unreadable for name, one in read.items()},
    )


def _read(batch: pa.RecordBatch, field: Field, timezone: str) -> texts.Read:
    place = batch.schema.get_field_index(field.source_column)
    if place < 0:
        raise Rejected(
            f"the source delivered no column {field.source_column!r} (field {field.name})",
            remedy="correct `column` of this field in the contract, or ask the department whether its table has changed",
        )
    return _READINGS[field.type](batch.column(place), field, timezone)
