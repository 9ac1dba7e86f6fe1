"""GB 18030-2022 where Python's codec is an older edition (mandatory from 2023-08-01)."""

from __future__ import annotations

import re

# Where CPython's table gives a private-use character, the standard has had a character of its own since:
# A8BC since GB 18030-2005; A6D9-A6DF, A6EC, A6ED, A6F3, FE59, FE61, FE66, FE67, FE6D, FE7E, FE90, FEA0 since GB 18030-2022.
# FE51, FE52, FE53, FE6C, FE76, FE91 kept their private-use code; the characters drawn there are in CJK Extension B.
# The four-byte codes that older software writes for the same characters already decode to them, so either edition reads alike.
_SINCE = {
    0xE7C7: 0x1E3F,
    0xE78D: 0xFE10, 0xE78E: 0xFE12, 0xE78F: 0xFE11, 0xE790: 0xFE13, 0xE791: 0xFE14, 0xE792: 0xFE15, 0xE793: 0xFE16,
    0xE794: 0xFE17, 0xE795: 0xFE18, 0xE796: 0xFE19,
    0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7, 0xE832: 0x9FB8, 0xE843: 0x9FB9, 0xE854: 0x9FBA, 0xE864: 0x9FBB,
    0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC, 0xE831: 0x215D7, 0xE83B: 0x2298F, 0xE855: 0x241FE,
}  # fmt: skip
_PRIVATE = re.compile("[\ue000-\uf8ff]")


def as_of_2022(text: str) -> str:
    """Return *text*, decoded by Python's ``gb18030``, with the characters of the 2022 edition."""
    return text.translate(_SINCE) if _PRIVATE.search(text) else text
