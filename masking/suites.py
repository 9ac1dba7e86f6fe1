"""Suites of algorithms, chosen by one word when keys are made.

| suite | block cipher | MAC | seal | key derivation |
|---|---|---|---|---|
| international | AES-256 (FIPS 197) | AES-CMAC (SP 800-38B) | AES-SIV (RFC 5297) | HKDF-SHA-256 (RFC 5869) |
| gm | SM4 (GB/T 32907) | SM4-CMAC (GB/T 15852.1-2020) | SM4-SIV (local) | HKDF-SM3 (local) |

``local`` means: a sound construction of standard parts that no national standard names.
``gm`` is a choice of algorithms, not a certificate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4

from hub.errors import Mistake


@dataclass(frozen=True, slots=True)
class Suite:
    """Which block cipher and which hash; ``key_bytes`` is the length of one cipher key."""

    name: str
    block_cipher: Callable[[bytes], BlockCipherAlgorithm]
    key_bytes: int
    digest: Callable[[], hashes.HashAlgorithm]


INTERNATIONAL: Final = Suite("international", AES, 32, hashes.SHA256)
GM: Final = Suite("gm", SM4, 16, hashes.SM3)
SUITES: Final = {suite.name: suite for suite in (INTERNATIONAL, GM)}


def suite_named(name: str) -> Suite:
    """Return the suite called *name*; an unknown name is a ``Mistake``."""
    if name not in SUITES:
        raise Mistake(f"there is no suite {name!r}", remedy=f"choose one of {', '.join(SUITES)}")
    return SUITES[name]
