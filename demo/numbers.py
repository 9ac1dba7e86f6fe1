"""Numbers that look right: whole columns of them with their check characters.

Written apart from ``schemas/rules``, so that generator and rules check one another.
Sequences 700 to 989 and subject codes that begin with ``DEM`` keep the invented numbers
away from the published specimens of the standards.
"""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

Texts = NDArray[np.str_]
Flags = NDArray[np.bool_]
Days = NDArray[np.datetime64]
Integers = NDArray[np.int64]

CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FIRST_SEQUENCE, LAST_SEQUENCE = 700, 990
MOBILE_PREFIX = "154"

_CITIZEN_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_ORGANISATION_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2])
_CREDIT_WEIGHTS = np.array([pow(3, place, 31) for place in range(17)])


def joined(*parts: Texts | str) -> Texts:
    """Return the columns and constants *parts* written one after another, row by row."""
    length = max(len(part) for part in parts if not isinstance(part, str))
    columns = (np.full(length, part) if isinstance(part, str) else part for part in parts)
    return reduce(np.strings.add, columns)


def padded(numbers: Integers, width: int) -> Texts:
    """Return *numbers* in decimal, filled with zeros to *width* characters."""
    return np.strings.zfill(numbers.astype(f"<U{width}"), width)


def _values(texts: Texts, alphabet: str) -> Integers:
    """Return a row of places in *alphabet* for each text; all texts must be of one length."""
    width = texts.dtype.itemsize // 4
    codes = np.ascontiguousarray(texts).view(np.uint32).reshape(len(texts), width)
    places = np.zeros(128, dtype=np.int64)
    places[[ord(character) for character in alphabet]] = np.arange(len(alphabet))
    return places[codes]


def compact(days: Days) -> Texts:
    """Return dates as YYYYMMDD."""
    return np.strings.replace(days.astype("<U10"), "-", "")


def citizen_numbers(prefixes: Texts, births: Days, sequences: Integers) -> Texts:
    """Return citizen numbers (GB 11643-1999; ISO 7064 MOD 11-2): the sequence's parity is the sex."""
    bodies = joined(prefixes, compact(births), padded(sequences, 3)).astype("<U17")
    checks = np.array(list("10X98765432"))[_values(bodies, "0123456789") @ _CITIZEN_WEIGHTS % 11]
    return joined(bodies, checks)


def with_another_check(numbers: Texts) -> Texts:
    """Return *numbers* with a last digit that cannot be right: 1 for 2, 2 for 3, … and 0 for X."""
    after = dict(zip("0123456789X", "1234567890" + "0", strict=True))
    return np.array([number[:-1] + after.get(number[-1], "0") for number in numbers])


def fifteen_digits(numbers: Texts) -> Texts:
    """Return the old form of *numbers* of people born in the twentieth century: no century, no check."""
    return np.array([number[:6] + number[8:17] for number in numbers])


def organisation_codes(subjects: Texts) -> Texts:
    """Return organisation codes of 9 characters (GB 11714-1997) for *subjects* of 8."""
    sums = _values(subjects.astype("<U8"), ALPHANUMERIC) @ _ORGANISATION_WEIGHTS % 11
    return joined(subjects, np.array(list("0X987654321"))[sums])


def credit_codes(classes: Texts, divisions: Texts, serials: Integers) -> Texts:
    """Return unified social credit codes (GB 32100-2015) of invented subjects ``DEM00000`` and up."""
    subjects = joined("DEM", padded(serials, 5))
    bodies = joined(classes, divisions, organisation_codes(subjects)).astype("<U17")
    checks = np.array(list(CREDIT))[-(_values(bodies, CREDIT) @ _CREDIT_WEIGHTS) % 31]
    return joined(bodies, checks)


def license_identifiers(types: Texts, issuers: Texts, serials: Texts, versions: Texts) -> Texts:
    """Return license identifiers (GB/T 36904-2018; check ISO 7064 MOD 37,36 over all but root and dots)."""
    bodies = joined(types, issuers, serials, versions)
    remainder = np.full(len(bodies), 36)
    for value in _values(bodies, ALPHANUMERIC).T:
        remainder = (remainder + value) % 36
        remainder = np.where(remainder == 0, 36, remainder) * 2 % 37
    checks = np.array(list(ALPHANUMERIC))[(37 - remainder) % 36]
    return joined("1.2.156.3005.2.", types, ".", issuers, ".", serials, ".", versions, ".", checks)


def mobile_numbers(draw: np.random.Generator, count: int) -> Texts:
    """Return mobile numbers of a range that no operator has given out: right in form, nobody's telephone."""
    return joined(MOBILE_PREFIX, padded(draw.integers(0, 10**8, count), 8))
