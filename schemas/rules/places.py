"""Codes of places: divisions and postal codes."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Severity
from schemas.fixed_width import Booleans, Integers, fixed, verdict
from schemas.rules.divisions import known_codes, last_years
from schemas.rules.registry import rule

_WIDTHS = (6, 9, 12)
_POSTAL = r"^(0[1-7]|1[0-356]|2[0-7]|3[0-6]|4[0-7]|5[1-7]|6[1-7]|7[0-5]|8[013-6])\d{4}$"


@rule("division_code", zh="行政区划代码存在或曾经存在", en="The division exists or has existed")
def division_code(values: pa.Array) -> pa.BooleanArray:
    """Hold for six digits that are or were a division (GB/T 2260), alone or followed by a town or village.

    Nine digits add a town, twelve a village (GB/T 10114-2003); those parts are judged by their shape only.
    Abolished codes hold: `division_current` marks them.
    """
    places, shaped = _places(values)
    return verdict(values, known_codes()[places] & shaped)


@rule("division_current", zh="行政区划代码现行有效", en="The division is in force", severity=Severity.WARNING)
def division_current(values: pa.Array, *, today: date) -> pa.BooleanArray:
    """Hold if the division has not been abolished before the year of *today*; unknown codes are not judged."""
    places, shaped = _places(values)
    return verdict(values, last_years()[places] >= today.year, judged=shaped & known_codes()[places])


def _places(values: pa.Array) -> tuple[Integers, Booleans]:
    """Return the county-level code of each row, and which rows have the shape of a division code."""
    places = np.zeros(len(values), dtype=np.int32)
    shaped = np.zeros(len(values), dtype=np.bool_)
    for width in _WIDTHS:
        rows = fixed(values, width)
        if rows.at.shape[1]:
            _, numeric = rows.digits(0, width)
            places[rows.fits] = np.where(numeric, rows.number(0, 6), 0)
            shaped[rows.fits] = numeric
    return places, shaped


@rule("postal_code", zh="邮政编码格式正确", en="The postal code has the right form", severity=Severity.WARNING)
def postal_code(values: pa.Array) -> pa.BooleanArray:
    """Hold for six digits that begin with the two of a postal province."""
    return pc.match_substring_regex(values, _POSTAL)
