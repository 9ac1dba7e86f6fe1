"""Shapes of other documents, telephones and cards.

A shape says only that a value may be right, so breaking one is a warning by default.
"""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Severity
from schemas.fixed_width import fixed, flags, padded, spread, verdict
from schemas.rules.citizen import citizen_number
from schemas.rules.registry import rule

_WARNING = Severity.WARNING
_FIRST_MOBILE = 3  # second digit of the lowest prefix in use, 13
_CARD_LENGTHS = (12, 19)
_NINE = 9  # the largest digit; what is larger was another character


@rule("mobile", zh="移动电话号码格式正确", en="The mobile number has the right form", severity=_WARNING)
def mobile(values: pa.Array) -> pa.BooleanArray:
    """Hold for eleven digits that begin with 13 to 19 (numbering plan of the mainland)."""
    rows = fixed(values, 11)
    digits, numeric = rows.digits(0, 11)
    return verdict(values, spread(rows, numeric & (digits[0] == 1) & (digits[1] >= _FIRST_MOBILE)))


@rule("landline", zh="固定电话号码格式正确", en="The landline number has the right form", severity=_WARNING)
def landline(values: pa.Array) -> pa.BooleanArray:
    """Hold for an area code of 0 and two or three digits, seven or eight digits, perhaps an extension."""
    return pc.match_substring_regex(values, r"^0\d{2,3}-?\d{7,8}(-\d+)?$")


@rule("phone", zh="电话号码格式正确", en="The telephone number has the right form", severity=_WARNING)
def phone(values: pa.Array) -> pa.BooleanArray:
    """Hold for a mobile or a landline number."""
    return pc.match_substring_regex(values, r"^(1[3-9]\d{9}|0\d{2,3}-?\d{7,8}(-\d+)?)$")


@rule("passport", zh="护照号码格式正确", en="The passport number has the right form", severity=_WARNING)
def passport(values: pa.Array) -> pa.BooleanArray:
    """Hold for the forms of Chinese passports: ordinary, diplomatic, service, Hong Kong and Macao."""
    return pc.match_substring_regex(
        values,
        r"^(E\d{8}|E[A-HJ-NP-Z]\d{7}|G\d{8}|[DSP]\d{8}|(DE|SE|PE)\d{7}|[HK]\d{8}|KJ\d{7}|MA\d{7})$",
    )


@rule("foreign_passport", zh="外国护照号码格式正确", en="The foreign passport number has the right form", severity=_WARNING)
def foreign_passport(values: pa.Array) -> pa.BooleanArray:
    """Hold for 5 to 20 letters and digits."""
    return pc.match_substring_regex(values, r"^[0-9A-Z]{5,20}$")


@rule("hk_macao_permit", zh="港澳居民来往内地通行证号码格式正确", en="The Hong Kong and Macao permit has the right form", severity=_WARNING)
def hk_macao_permit(values: pa.Array) -> pa.BooleanArray:
    """Hold for H or M and eight digits, perhaps two more for the number of renewals."""
    return pc.match_substring_regex(values, r"^[HM]\d{8}(\d{2})?$")


@rule("taiwan_permit", zh="台湾居民来往大陆通行证号码格式正确", en="The Taiwan permit has the right form", severity=_WARNING)
def taiwan_permit(values: pa.Array) -> pa.BooleanArray:
    """Hold for eight digits (five-year card) or the old form of ten digits and a letter."""
    return pc.match_substring_regex(values, r"^(\d{8}|\d{10}[A-Z])$")


@rule("permanent_residence", zh="外国人永久居留证号码有效", en="The permanent residence card number is valid")
def permanent_residence(values: pa.Array, *, today: date) -> pa.BooleanArray:
    """Hold for the form of 2023 (18 digits that begin with 9, checked as a citizen number) or three letters and 12 digits."""
    new = pc.and_(pc.starts_with(values, "9"), citizen_number(values, today=today))
    return pc.or_(new, pc.match_substring_regex(values, r"^[A-Z]{3}\d{12}$"))


@rule("bank_card", zh="银行卡号有效", en="The bank card number is valid", severity=_WARNING)
def bank_card(values: pa.Array) -> pa.BooleanArray:
    """Hold for 12 to 19 digits with the right check digit (ISO/IEC 7812-1 annex B, Luhn).

    Accounts of organisations have no check digit: a warning by default.
    """
    shortest, longest = _CARD_LENGTHS
    fits = flags(pc.less_equal(pc.binary_length(values), longest))
    digits = padded(values, longest, right=True) - np.uint8(ord("0"))
    written = digits != np.uint8(256 - ord("0"))
    numeric = ((digits <= _NINE) | ~written).all(axis=0) & (written.sum(axis=0) >= shortest)
    doubled = digits[-2::-2] * 2
    total = digits[-1::-2] * written[-1::-2]
    luhn = total.sum(axis=0) + ((doubled - 9 * (doubled > _NINE)) * written[-2::-2]).sum(axis=0)
    return verdict(values, numeric & fits & (luhn % 10 == 0))
