"""Numbers of organisations: credit code, organisation code, business registration number."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Severity
from schemas.fixed_width import Booleans, Bytes, Fixed, fixed, flags, padded, spread, verdict
from schemas.rules.registry import rule

_ALPHABET = b"0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_INNER_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_INNER_CHECKS = np.frombuffer(b"0X987654321", dtype=np.uint8)
_UNKNOWN = 255

# Registering authority and class (GB 32100-2015 with amendment No. 1, table 1 and table 2).
_CLASSES = b"11 12 13 19 21 29 31 32 33 34 35 39 41 49 51 52 53 59 61 62 69 71 72 79 81 89 91 92 93 A1 A9 N1 N2 N3 N9 Y1"


def _values(alphabet: bytes) -> Bytes:
    table = np.full(256, _UNKNOWN, dtype=np.uint8)
    table[np.frombuffer(alphabet, dtype=np.uint8)] = np.arange(len(alphabet), dtype=np.uint8)
    return table


_CREDIT_VALUES = _values(_ALPHABET)
_ALPHANUMERIC_VALUES = _values(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@rule("credit_code", zh="统一社会信用代码有效", en="The unified social credit code is valid")
def credit_code(values: pa.Array) -> pa.BooleanArray:
    """Hold for a unified social credit code with both checks right (GB 32100-2015 clauses 4 and 5, annex A).

    Both moduli are 31, so that a sum of zero gives check value 0.
    Characters 9 to 17 are an organisation code with its own check (GB 11714-1997).
    """
    rows = fixed(values, 18)
    return verdict(values, spread(rows, _credit(rows)))


def _credit(rows: Fixed) -> Booleans:
    numbers = _CREDIT_VALUES[rows.at]
    _, placed = rows.digits(2, 8)
    total = _weighted(numbers[:17], _WEIGHTS)
    checked = numbers[17] == (31 - total % 31) % 31
    return (numbers.max(axis=0) != _UNKNOWN) & placed & checked & _inner(rows.at[8:17])


def _inner(code: Bytes) -> Booleans:
    """Check nine characters as an organisation code: eight values and a check (GB 11714-1997 clause 3)."""
    numbers = _ALPHANUMERIC_VALUES[code[:8]]
    checks = _INNER_CHECKS[_weighted(numbers, _INNER_WEIGHTS) % 11]
    return (numbers.max(axis=0) != _UNKNOWN) & (code[8] == checks)


def _weighted(numbers: Bytes, weights: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    total = np.zeros(numbers.shape[1], dtype=np.uint32)
    for values, weight in zip(numbers, weights, strict=True):
        total += values.astype(np.uint32) * np.uint32(weight)
    return total


@rule("credit_code_class", zh="登记管理部门与机构类别已知", en="Registering authority and class are known", severity=Severity.WARNING)
def credit_code_class(values: pa.Array) -> pa.BooleanArray:
    """Hold if the first two characters are a pair of GB 32100-2015 (tables 1 and 2, amended).

    A warning by default, because the table grows. Text that is not 18 characters long is not judged.
    """
    rows = fixed(values, 18)
    pairs = rows.at[0].astype(np.uint16) * 256 + rows.at[1]
    known = np.array([pair[0] * 256 + pair[1] for pair in _CLASSES.split()], dtype=np.uint16)
    return verdict(values, spread(rows, np.isin(pairs, known)), judged=rows.fits)


@rule("organisation_code", zh="组织机构代码有效", en="The organisation code is valid")
def organisation_code(values: pa.Array) -> pa.BooleanArray:
    """Hold for nine characters, with or without the hyphen, whose check is right (GB 11714-1997 clause 3)."""
    plain, written = fixed(values, 9), fixed(values, 10)
    hyphenated = written.at[8] == ord("-")
    bare = np.concatenate([written.at[:8], written.at[9:]])
    return verdict(values, spread(plain, _inner(plain.at)) | spread(written, hyphenated & _inner(bare)))


@rule("business_registration_number", zh="工商注册号有效", en="The business registration number is valid")
def business_registration_number(values: pa.Array) -> pa.BooleanArray:
    """Hold for 15 digits with the right check (GS 15-2006, ISO 7064 MOD 11,10); superseded on 2015-10-01."""
    rows = fixed(values, 15)
    digits, numeric = rows.digits(0, 15)
    product = np.full(digits.shape[1], 10, dtype=np.uint16)
    for values_at in digits[:14]:
        total = (product + values_at) % 10
        product = np.where(total == 0, 10, total) * 2 % 11
    return verdict(values, spread(rows, numeric & ((product + digits[14]) % 10 == 1)))


@rule("license_type_code", zh="证照类型代码格式正确", en="The license type code has the right form", severity=Severity.WARNING)
def license_type_code(values: pa.Array) -> pa.BooleanArray:
    """Hold for a credit code and three digits (GB/T 36904-2018: the body that defines the type, its sequence)."""
    return pc.match_substring_regex(values, r"^[0-9A-HJ-NPQRTUWXY]{18}\d{3}$")


_ROOT = "1.2.156.3005.2."
_IDENTIFIER = r"^1\.2\.156\.3005\.2\.[0-9A-Z]{21}\.[0-9A-Z]{1,32}\.[0-9A-Z]{1,64}\.\d{3}\.[0-9A-Z]$"
_PADDING = 36


def _steps() -> Bytes:
    """Return the next product for each product and character value of MOD 37,36; padding leaves it as it is."""
    table = np.zeros((38, 256), dtype=np.uint8)
    for product in range(38):
        table[product, :] = product
        for value in range(36):
            total = (product + value) % 36
            table[product, value] = 2 * (total or 36) % 37
    return table


_STEPS = _steps().ravel()


@rule("license_identifier", zh="电子证照标识有效", en="The license identifier is valid")
def license_identifier(values: pa.Array) -> pa.BooleanArray:
    """Hold for an identifier of GB/T 36904-2018 whose check is right (GB/T 17710, ISO 7064 MOD 37,36).

    Root, type (21 characters), issuer, serial, version (three digits), check, joined by dots.
    The check runs over the parts between root and check without their dots.
    The issuer may be a division's code instead of a credit code, as it is in practice.
    """
    holds = flags(pc.match_substring_regex(values, _IDENTIFIER))
    if holds.any():
        holds = holds.copy()
        holds[holds] = _checked(values.filter(pa.array(holds)))
    return verdict(values, holds)


def _checked(identifiers: pa.Array) -> Booleans:
    bare = pc.replace_substring(pc.utf8_slice_codeunits(identifiers, len(_ROOT)), ".", "")
    text = padded(bare, int(pc.max(pc.binary_length(bare)).as_py()), right=True)
    numbers = _ALPHANUMERIC_VALUES[text]
    product = np.full(text.shape[1], 36, dtype=np.uint16)
    for position in numbers[:-1]:
        product = _STEPS[product.astype(np.uint16) * 256 + position].astype(np.uint16)
    return np.asarray(numbers[-1] == (37 - product.astype(np.int32)) % 36)
