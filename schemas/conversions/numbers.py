"""Whole, decimal and floating-point numbers."""

import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Field
from schemas.conversions.texts import Read, as_text, none_of, stored_form, tidy, unread

_WHOLE = r"^[+-]?\d{1,18}(\.0*)?$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_GROUPED = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
_NOTHING = pa.scalar(None, pa.string())


def integers(values: pa.Array, field: Field, timezone: str) -> Read:  # noqa: ARG001 (one shape for all conversions)
    """Read whole numbers of up to 18 digits; a fraction other than zero is unreadable."""
    stored = stored_form(values)
    if pa.types.is_integer(stored.type) and stored.type != pa.uint64():
        return Read(stored.cast(pa.int64()), none_of(stored))
    if pa.types.is_boolean(stored.type):
        return Read(stored.cast(pa.int64()), none_of(stored))
    text = _number_text(stored)
    shaped = pc.if_else(pc.match_substring_regex(text, _WHOLE), text, _NOTHING)
    bare = pc.replace_substring_regex(shaped, r"^\+|\.0*$", "")
    return unread(text, bare.cast(pa.int64()))


def decimals(values: pa.Array, field: Field, timezone: str) -> Read:  # noqa: ARG001 (one shape for all conversions)
    """Read decimals that fit the field's precision and scale without loss.

    Floating point is rounded to the scale, because its last digits are not the source's words.
    """
    wanted = pa.decimal128(field.precision, field.scale)
    stored = stored_form(values)
    if stored.type == wanted:
        return Read(stored, none_of(stored))
    if pa.types.is_floating(stored.type):
        return _from_floats(stored.cast(pa.float64()), wanted)
    text = _number_text(stored)
    whole, scale = field.precision - field.scale, field.scale
    form = rf"^[+-]?0*\d{{0,{whole}}}(\.\d{{0,{scale}}}0*)?$"
    fits = pc.and_(pc.match_substring_regex(text, form), pc.match_substring_regex(text, r"\d"))
    shaped = pc.if_else(fits, text, _NOTHING)
    cut = pc.replace_substring_regex(shaped, rf"(\.\d{{{scale}}})0+$", r"\1")
    bare = pc.replace_substring_regex(pc.replace_substring_regex(cut, r"\.$", ""), r"^([+-]?)0*(\d)", r"\1\2")
    return unread(text, bare.cast(wanted))


def _from_floats(floats: pa.Array, wanted: pa.Decimal128Type) -> Read:
    limit = float(10 ** (wanted.precision - wanted.scale)) - 1
    fits = pc.and_(pc.is_finite(floats), pc.less(pc.abs(floats), limit))
    kept = pc.if_else(fits, pc.round(floats, wanted.scale), pa.scalar(None, pa.float64()))
    return unread(floats, kept.cast(wanted))


def floats(values: pa.Array, field: Field, timezone: str) -> Read:  # noqa: ARG001 (one shape for all conversions)
    """Read finite floating-point numbers; infinities and NaN are unreadable."""
    stored = stored_form(values)
    if pa.types.is_floating(stored.type) or pa.types.is_integer(stored.type):
        return _finite(stored, stored.cast(pa.float64(), safe=False))
    text = _number_text(stored)
    shaped = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, _NOTHING)
    return _finite(text, shaped.cast(pa.float64()))


def _finite(given: pa.Array, read: pa.Array) -> Read:
    return unread(given, pc.if_else(pc.is_finite(read), read, pa.scalar(None, pa.float64())))


def _number_text(stored: pa.Array) -> pa.Array:
    """Return numbers as text: full-width forms folded, groups of thousands joined."""
    text = as_text(stored)
    if not pc.all(pc.string_is_ascii(text)).as_py():
        text = pc.utf8_normalize(text, "NFKC")
    text = tidy(text)
    grouped = pc.match_substring_regex(text, _GROUPED)
    return pc.if_else(grouped, pc.replace_substring(text, ",", ""), text) if pc.any(grouped).as_py() else text
