"""Rules between two fields of one row."""

import pyarrow as pa
import pyarrow.compute as pc

from schemas.calendar import days_since_1970
from schemas.fixed_width import flags, verdict
from schemas.rules.citizen import births, sequences_odd
from schemas.rules.registry import rule


@rule("birth_agrees", zh="出生日期与身份号码一致", en="The birth date agrees with the citizen number")
def birth_agrees(birth: pa.Array, number: pa.Array) -> pa.BooleanArray:
    """Hold if *birth* is the date in the citizen number (GB 11643-1999 clause 4.2.2).

    Not judged where either is missing or the number holds no date.
    """
    years, mmdd, known = births(number)
    days = pc.fill_null(birth.cast(pa.date32()).cast(pa.int32()), 0).to_numpy(zero_copy_only=False)
    return verdict(birth, days == days_since_1970(years, mmdd), judged=known & flags(number.is_valid()))


@rule("sex_agrees", zh="性别与身份号码一致", en="The sex agrees with the citizen number")
def sex_agrees(sex: pa.Array, number: pa.Array) -> pa.BooleanArray:
    """Hold if *sex* (GB/T 2261.1) agrees with the sequence in the number: odd is male (GB 11643-1999 clause 4.2.3).

    Unknown and unstated sex (0, 9), a missing number and one without a sequence are not judged.
    """
    odd, known = sequences_odd(number)
    male, female = flags(pc.equal(sex, "1")), flags(pc.equal(sex, "2"))
    return verdict(sex, male == odd, judged=known & (male | female))


@rule("not_before", zh="后一日期不早于前一日期", en="The later date is not before the earlier")
def not_before(later: pa.Array, earlier: pa.Array) -> pa.BooleanArray:
    """Hold if *later* is at or after *earlier*; a missing one (open-ended validity) is not judged."""
    return pc.greater_equal(later, earlier)


@rule("equal_fields", zh="两项取值相同", en="The two fields are equal")
def equal_fields(one: pa.Array, other: pa.Array) -> pa.BooleanArray:
    """Hold if both fields have the same value; not judged where one is missing."""
    return pc.equal(one, other)


@rule("present_when", zh="满足条件时必填", en="The value is present when the condition holds")
def present_when(values: pa.Array, condition: pa.Array, *, equals: tuple[str | int, ...]) -> pa.BooleanArray:
    """Hold if *values* is present wherever *condition* is one of *equals*; other rows are not judged."""
    asked = pc.is_in(condition, value_set=pa.array(equals).cast(condition.type))
    return pc.if_else(asked, values.is_valid(), pa.scalar(None, pa.bool_()))


@rule("kind_known", zh="取值种类可识别", en="The kind of the value is known")
def kind_known(values: pa.Array, selector: pa.Array, *, among: tuple[str, ...]) -> pa.BooleanArray:
    """Hold if *selector* names one of the kinds declared for *values*: else nobody could say how to protect it."""
    known = pc.fill_null(pc.is_in(selector, value_set=pa.array(among, pa.string())), fill_value=False)
    return pc.if_else(values.is_valid(), known, pa.scalar(None, pa.bool_()))
