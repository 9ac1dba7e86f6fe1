"""Rules about one value: present, readable, in a list, in a range, of a form."""

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from schemas.rules.registry import rule
from schemas.vocabulary import CodeList


@rule("readable", zh="取值可按声明的类型读取", en="The value can be read as its declared type")
def readable(values: pa.Array, *, unreadable: pa.BooleanArray) -> pa.BooleanArray:
    """Hold unless the source gave a value that is not of the declared type. A missing value is not judged."""
    return pc.if_else(pc.or_(values.is_valid(), unreadable), pc.invert(unreadable), pa.scalar(None, pa.bool_()))


@rule("required", zh="必填项不为空", en="A required value is present")
def required(values: pa.Array, *, unreadable: pa.BooleanArray) -> pa.BooleanArray:
    """Hold where a value is present; a value that could not be read is not judged again."""
    return pc.if_else(unreadable, pa.scalar(None, pa.bool_()), values.is_valid())


@rule("in_codes", zh="取值在代码表内", en="The code is in its list")
def in_codes(values: pa.Array, *, codes: CodeList) -> pa.BooleanArray:
    """Hold for a code of the list, abolished ones included."""
    return _within(values, pa.array([entry.code for entry in codes.entries], pa.string()))


@rule("one_of", zh="取值为所列之一", en="The value is one of those listed")
def one_of(values: pa.Array, *, among: tuple[str | int, ...]) -> pa.BooleanArray:
    """Hold for one of the values in *among*."""
    return _within(values, pa.array(among).cast(values.type))


def _within(values: pa.Array, allowed: pa.Array) -> pa.BooleanArray:
    return pc.if_else(values.is_valid(), pc.is_in(values, value_set=allowed), pa.scalar(None, pa.bool_()))


@rule("length", zh="长度在规定范围内", en="The length is within its limits")
def length(values: pa.Array, *, max: int | None = None, min: int = 0) -> pa.BooleanArray:  # noqa: A002 (words of the contract)
    """Hold for text of *min* to *max* characters, counted as code points (GB 18030-2022 rare characters count one)."""
    characters = pc.utf8_length(values)
    holds = pc.greater_equal(characters, min)
    return holds if max is None else pc.and_(holds, pc.less_equal(characters, max))


@rule("matches", zh="取值符合规定格式", en="The value has the declared form")
def matches(values: pa.Array, *, pattern: str) -> pa.BooleanArray:
    """Hold for text that *pattern* (RE2) matches from its first to its last character."""
    return pc.match_substring_regex(values, rf"\A(?:{pattern})\z")


Bound = int | float | str


@rule("range", zh="取值在规定范围内", en="The value is within its limits")
def within_range(values: pa.Array, *, min: Bound | None = None, max: Bound | None = None) -> pa.BooleanArray:  # noqa: A002
    """Hold for numbers and dates from *min* to *max*, both included. Dates are written YYYY-MM-DD."""
    holds = pc.if_else(values.is_valid(), pa.scalar(True), pa.scalar(None, pa.bool_()))
    if min is not None:
        holds = pc.and_(holds, pc.greater_equal(values, _bound(min, values.type)))
    if max is not None:
        holds = pc.and_(holds, pc.less_equal(values, _bound(max, values.type)))
    return holds


def _bound(bound: Bound, of: pa.DataType) -> pa.Scalar:
    """Return *bound* as a value that a column of type *of* can be compared with."""
    if isinstance(bound, str) and pa.types.is_temporal(of):
        return pa.scalar(bound).cast(of)
    if pa.types.is_decimal(of):
        return pa.scalar(str(bound)).cast(of)
    return pa.scalar(bound)


@rule("not_in_future", zh="日期不晚于今天", en="The date is not in the future")
def not_in_future(values: pa.Array, *, today: date) -> pa.BooleanArray:
    """Hold for a date up to *today*, and for an instant before the end of *today* anywhere on earth."""
    if pa.types.is_timestamp(values.type):
        latest = pa.scalar(today + timedelta(days=2), pa.date32()).cast(pa.timestamp("us")).cast(values.type)
        return pc.less(values, latest)
    return pc.less_equal(values, pa.scalar(today, pa.date32()))
