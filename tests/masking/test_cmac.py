"""CMAC over many rows equals CMAC over each row."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from masking.blocks import BlockCipher, Rows, block, counters, doubled
from masking.cmac import Cmac

# The message of RFC 4493 section 4 and SP 800-38B appendix D (both use the four blocks of SP 800-38A).
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
LENGTHS = (0, 16, 40, 64)
RFC_4493 = (
    "2b7e151628aed2a6abf7158809cf4f3c",
    (
        "bb1d6929e95937287fa37d129b756746",
        "070a16b46b4d4144f79bdd9dd04a287c",
        "dfa66747de9ae63030ca32611497c827",
        "51f0bebf7e3b9d92fc49741779363cfe",
    ),
)
# SP 800-38B appendix D.3 (AES-256).
SP_800_38B = (
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
    (
        "028962f61b7bf89efc6b551f4667d983",
        "28a7023f452e8f82bd4bf28d8c37c35c",
        "aaf3d8f1de5640c232f5b169b9c911e6",
        "e1992190549f6ed5696a2c056c315410",
    ),
)


def tags(algorithm: AES | SM4, values: list[bytes], prefix: bytes = b"") -> list[bytes]:
    mac = Cmac(BlockCipher(algorithm))
    found = mac.tags(Rows.of(pa.array(values, pa.binary())), mac.prefix(prefix) if prefix else None)
    return [row.tobytes() for row in found]


def one_by_one(algorithm: AES | SM4, value: bytes) -> bytes:
    mac = CMAC(algorithm)
    mac.update(value)
    return mac.finalize()


@pytest.mark.parametrize(("key", "expected"), [RFC_4493, SP_800_38B], ids=["RFC 4493", "SP 800-38B D.3"])
def test_the_published_vectors_hold_in_one_batch(key: str, expected: tuple[str, ...]) -> None:
    found = tags(AES(bytes.fromhex(key)), [MESSAGE[:length] for length in LENGTHS])

    assert [tag.hex() for tag in found] == list(expected)


def test_the_published_subkeys_come_from_doubling() -> None:
    # RFC 4493 section 4: AES-128(key, 0), K1, K2.
    first = doubled(block(bytes.fromhex("7df76b0c1ab899b33e42f047b91b546f")))

    assert first.tobytes().hex() == "fbeed618357133667c85e08f7236a8de"
    assert doubled(first).tobytes().hex() == "f7ddac306ae266ccf90bc11ee46d513b"


def test_sm4_enciphers_as_its_standard_says() -> None:
    # GB/T 32907-2016 appendix A.1.
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")

    assert BlockCipher(SM4(key)).one(key).hex() == "681edf34d206965e86b3e94f536e4246"


@pytest.mark.parametrize("make", [lambda: AES(bytes(range(32))), lambda: AES(bytes(16)), lambda: SM4(bytes(range(16)))])
@given(values=st.lists(st.binary(max_size=70), max_size=40))
def test_a_batch_equals_its_rows_one_by_one(make: Callable[[], AES | SM4], values: list[bytes]) -> None:
    assert tags(make(), values) == [one_by_one(make(), value) for value in values]


@given(values=st.lists(st.binary(max_size=40), max_size=20), blocks=st.integers(min_value=1, max_value=3))
def test_a_prefix_is_the_start_of_the_message(values: list[bytes], blocks: int) -> None:
    key, prefix = AES(bytes(32)), b"p" * 16 * blocks

    assert tags(key, values, prefix) == [one_by_one(key, prefix + value) for value in values]


def test_a_value_does_not_depend_on_the_longest_of_its_neighbours() -> None:
    key = AES(bytes(32))

    alone = tags(key, [b"value"])[0]

    assert tags(key, [b"value", b"x" * 5_000])[0] == alone
    assert tags(key, [b"", b"value", b"x" * 17])[1] == alone


@given(start=st.binary(min_size=16, max_size=16), step=st.integers(min_value=0, max_value=1 << 40))
def test_the_counter_counts_over_all_128_bits(start: bytes, step: int) -> None:
    expected = (int.from_bytes(start, "big") + step) % (1 << 128)

    assert counters(block(start), step).tobytes() == expected.to_bytes(16, "big")


def test_the_counter_carries_from_the_lower_half_into_the_upper() -> None:
    assert counters(block(bytes(7) + b"\x01" + b"\xff" * 8), 1).tobytes() == bytes(7) + b"\x02" + bytes(8)


def test_rows_are_ordered_by_their_blocks_and_come_back_in_their_order() -> None:
    rows = Rows.of(pa.array([b"", b"x" * 40, b"x", b"x" * 16, b"x" * 17], pa.binary()))

    assert rows.active == (4, 2, 1)
    assert rows.order is not None
    assert np.array_equal(rows.blocks[rows.order], [3, 2, 1, 1, 0])
