"""Text, and the truth values written as text."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Field
from schemas.fixed_width import offsets


class Read(NamedTuple):
    """A converted column, and which of its values were given but could not be read (never null)."""

    values: pa.Array
    unreadable: pa.BooleanArray


# Kinds whose text is a number or code: full-width forms are folded (NFKC) and letters are upper-cased.
# Names and addresses are not among them: NFKC would exchange characters of which names are made.
IDENTIFIERS = frozenset({
    "citizen_id", "kinship_citizen_id", "passport", "foreign_passport", "hk_macao_permit", "taiwan_permit",
    "permanent_residence", "person_document", "driver_license_no", "social_security_no", "personal_tax_no",
    "student_no", "disability_cert_no", "marriage_cert_no", "birth_cert_no", "residence_permit_no",
    "household_no", "bank_card", "mobile", "landline", "phone", "public_phone", "vehicle_plate",
    "credit_code", "organisation_code", "business_registration_number", "license_identifier",
    "license_type_code", "division_code", "hukou_division_code", "postal_code",
    "period", "indicator_code", "power_code", "service_item_code", "service_implementation_code",
})  # fmt: skip

NAMES = frozenset({"person_name", "public_person_name"})

# The separator in names is U+00B7; these four are written for it (GB 18030 sources, domain rule on names).
_SEPARATORS = "[\u2022\u30fb\uff0e\u2027]"
_SEPARATOR = "\u00b7"

_EXACT = 2**53
_TRUE = ("TRUE", "T", "1", "是", "Y", "YES")
_FALSE = ("FALSE", "F", "0", "否", "N", "NO")


def strings(values: pa.Array, field: Field, timezone: str) -> Read:  # noqa: ARG001 (one shape for all conversions)
    """Read text: outer white space goes, what is then empty is null.

    A number kept as floating point that is too large to be exact has lost digits:
    as an identifier it is unreadable. So is text with a NUL inside, which PostgreSQL cannot hold.
    """
    kinds = _kinds(field)
    stored = stored_form(values)
    text = as_text(stored)
    if kinds & IDENTIFIERS:
        text = _folded(text if not pa.types.is_floating(stored.type) else _exact(stored, text))
    text = tidy(text)
    if kinds & NAMES and _may_have_separator(text):
        text = pc.replace_substring_regex(text, _SEPARATORS, _SEPARATOR)
    lost = _lost(stored, text)
    if (_characters(text) == 0).any():
        holds = pc.fill_null(pc.match_substring(text, "\0"), fill_value=False)
        text, lost = pc.if_else(holds, pa.scalar(None, pa.string()), text), pc.or_(lost, holds)
    return Read(text, lost)


def _may_have_separator(text: pa.Array) -> bool:
    """Look for the first bytes of the separators: matching costs 0.1 s per million names."""
    data = _characters(text)
    return any(bool((data == lead).any()) for lead in (0xE2, 0xE3, 0xEF))


def _characters(text: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the characters of *text*, nulls' leftovers included."""
    bounds = offsets(text)
    return np.frombuffer(text.buffers()[2] or b"", dtype=np.uint8)[bounds[0] : bounds[-1]]


def _kinds(field: Field) -> set[str]:
    return {field.kind or "", *(field.kind_by.kinds.values() if field.kind_by else ())}


def _folded(text: pa.Array) -> pa.Array:
    if not pc.all(pc.string_is_ascii(text)).as_py():
        text = pc.utf8_normalize(text, "NFKC")
        return pc.utf8_upper(text)
    return pc.ascii_upper(text)


def _exact(floats: pa.Array, text: pa.Array) -> pa.Array:
    exact = pc.less(pc.abs(floats), pa.scalar(float(_EXACT), floats.type))
    return pc.if_else(exact, text, pa.scalar(None, pa.string()))


def _lost(stored: pa.Array, text: pa.Array) -> pa.BooleanArray:
    """Say which values were there and are not now. In a text column only empty ones go, and nothing is lost."""
    if pa.types.is_string(stored.type):
        return none_of(text)
    return pc.and_(stored.is_valid(), text.is_null())


def none_of(values: pa.Array) -> pa.BooleanArray:
    """Return a column as long as *values* that marks nothing."""
    return pa.array(np.zeros(len(values), dtype=np.bool_))


def unread(text: pa.Array, read: pa.Array, absent: pa.BooleanArray | None = None) -> Read:
    """Return *read* with a mark on every value of *text* that has become null without being *absent*."""
    lost = pc.and_(text.is_valid(), read.is_null())
    if absent is not None:
        lost = pc.and_not(lost, pc.fill_null(absent, fill_value=False))
    return Read(read, lost)


def stored_form(values: pa.Array) -> pa.Array:
    """Return *values* without wrapping: no extension, no dictionary, plain strings and binaries."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type) or _is_text(values.type):
        return values.cast(pa.string())
    if pa.types.is_large_binary(values.type) or pa.types.is_binary_view(values.type):
        return values.cast(pa.binary())
    return values


def _is_text(of: pa.DataType) -> bool:
    return pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_string_view(of)


def as_text(stored: pa.Array) -> pa.Array:
    """Return a column of any type as text; null where a value has none."""
    of = stored.type
    if pa.types.is_string(of):
        return stored
    if pa.types.is_binary(of) or pa.types.is_fixed_size_binary(of):
        return _decoded(stored)
    if pa.types.is_nested(of):
        return pa.nulls(len(stored), pa.string())
    text = stored.cast(pa.string())
    if pa.types.is_floating(of):
        return _whole(stored, text)
    if pa.types.is_decimal(of) and of.scale > 0:
        return pc.replace_substring_regex(text, r"\.?0+$", "")
    if pa.types.is_timestamp(of):
        return pc.replace_substring_regex(text, r"( 00:00:00)?(\.0+)?$", "")
    return text


def _decoded(stored: pa.Array) -> pa.Array:
    try:
        return stored.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        # Rare: some value is not UTF-8. One by one, so that the others keep theirs.
        return pa.array([_utf8(value) for value in stored.to_pylist()], pa.string())


def _utf8(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _whole(floats: pa.Array, text: pa.Array) -> pa.Array:
    """Write whole numbers without a decimal point: spreadsheets keep codes and identifiers as floating point."""
    whole = pc.and_(pc.equal(pc.floor(floats), floats), pc.less(pc.abs(floats), float(2**62)))
    numbers = pc.if_else(pc.fill_null(whole, fill_value=False), floats, pa.scalar(0.0, floats.type)).cast(pa.int64(), safe=False)
    written = pc.if_else(whole, numbers.cast(pa.string()), text)
    return pc.if_else(pc.is_finite(floats), written, pa.scalar(None, pa.string()))


def tidy(text: pa.Array) -> pa.Array:
    """Return *text* without outer white space (the ideographic space too), null where nothing is left."""
    if _may_have_outer_space(text):
        text = pc.utf8_trim_whitespace(text)
    empty = pc.equal(pc.binary_length(text), 0)
    return pc.if_else(empty, pa.scalar(None, pa.string()), text) if pc.any(empty).as_py() else text


_SPACE = 0x20
_SPACE_LEADS = np.zeros(256, dtype=np.bool_)
_SPACE_LEADS[: _SPACE + 1] = True
# The other white space of Unicode begins with one of these bytes in UTF-8.
_SPACE_LEADS[[0xC2, 0xE1, 0xE2, 0xE3]] = True


def _may_have_outer_space(text: pa.Array) -> bool:
    """Look at the bytes where outer white space would begin: trimming costs 0.1 s per million values."""
    data = _characters(text)
    if not len(data):
        return False
    bounds = offsets(text) - offsets(text)[0]
    starts, ends = bounds[:-1], bounds[1:]
    firsts = data[np.minimum(starts, len(data) - 1)]
    if _SPACE_LEADS[firsts].any() or (data[ends - 1] <= _SPACE).any():
        return True
    twos, threes = data[np.maximum(ends - 2, 0)], data[np.maximum(ends - 3, 0)]
    return bool((twos == 0xC2).any() or _SPACE_LEADS[threes[threes > _SPACE]].any())  # noqa: PLR2004


def booleans(values: pa.Array, field: Field, timezone: str) -> Read:  # noqa: ARG001 (one shape for all conversions)
    """Read true/false, 1/0, 是/否, Y/N in either case."""
    stored = stored_form(values)
    if pa.types.is_boolean(stored.type):
        return Read(stored, none_of(stored))
    text = tidy(as_text(stored))
    upper = pc.utf8_upper(text)
    true = pc.is_in(upper, value_set=pa.array(_TRUE))
    known = pc.is_in(upper, value_set=pa.array(_TRUE + _FALSE))
    return unread(text, pc.if_else(known, true, pa.scalar(None, pa.bool_())))
