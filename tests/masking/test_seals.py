"""Seals are AES-SIV, bound to their place, and open there only."""

import os
from collections.abc import Callable

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Refused
from masking.blocks import doubled
from masking.columns import CHUNK
from masking.keys import Key
from masking.seals import Siv, bind, header, seal, unseal
from masking.suites import GM, INTERNATIONAL, Suite

AES_128 = Suite("aes-128, for the vectors of RFC 5297", AES, 16, SHA256)
HEAD = header(INTERNATIONAL, 1, "population", "person", "name")
LENGTHS = (0, 1, 15, 16, 17, 31, 32, 33, 48, 100)
KeyMaker = Callable[..., Key]


def test_the_vector_of_rfc_5297_appendix_a_1_holds(make_key: KeyMaker) -> None:
    material = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    siv = Siv(make_key("seal", AES_128, material))
    associated = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    plain = bytes.fromhex("112233445566778899aabbccddee")

    bound = doubled(siv.mac.one(bytes(16))) ^ siv.mac.one(associated)

    sealed = siv.seal(pa.array([plain]), bound)[0].as_py()
    assert sealed.hex() == "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"


def test_the_vector_of_rfc_5297_appendix_a_2_holds(make_key: KeyMaker) -> None:
    material = bytes.fromhex("7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f")
    siv = Siv(make_key("seal", AES_128, material))
    first = bytes.fromhex("00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100")
    second = bytes.fromhex("102030405060708090a0")
    nonce = bytes.fromhex("09f911029d74e35bd84156c5635688c0")
    plain = b"this is some plaintext to encrypt using SIV-AES"

    bound = doubled(siv.start(first) ^ siv.mac.one(second)) ^ siv.mac.one(nonce)

    sealed = siv.seal(pa.array([plain]), bound)[0].as_py()
    assert sealed.hex() == (
        "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d"
    )


@given(rows=st.lists(st.tuples(st.binary(max_size=70), st.binary(max_size=40)), min_size=1, max_size=40))
def test_a_seal_equals_cryptographys_own(make_key: KeyMaker, rows: list[tuple[bytes, bytes]]) -> None:
    key = make_key("seal")
    reference = AESSIV(key.material.reveal())
    values, row_keys = zip(*rows, strict=True)

    sealed = seal(pa.array(values, pa.binary()), pa.array(row_keys, pa.binary()), key, HEAD)

    assert sealed.to_pylist() == [reference.encrypt(value, [HEAD, row_key]) for value, row_key in rows]


def test_long_values_whose_counter_carries_equal_cryptographys_own(make_key: KeyMaker) -> None:
    # A counter's last byte overflows in the course of 600 blocks whatever it starts from.
    key = make_key("seal")
    values, row_keys = [os.urandom(9_600) for _ in range(20)], [os.urandom(16) for _ in range(20)]

    sealed = seal(pa.array(values), pa.array(row_keys), key, HEAD)

    reference = AESSIV(key.material.reveal())
    assert sealed.to_pylist() == [reference.encrypt(v, [HEAD, k]) for v, k in zip(values, row_keys, strict=True)]


@pytest.mark.parametrize("suite", [INTERNATIONAL, GM], ids=lambda suite: suite.name)
@given(values=st.lists(st.none() | st.binary(max_size=70), max_size=40))
def test_what_was_sealed_comes_back(make_key: KeyMaker, suite: Suite, values: list[bytes | None]) -> None:
    key, given_values = make_key("seal", suite), pa.array(values, pa.binary())
    row_keys = pa.array([str(number) for number in range(len(values))], pa.string())

    sealed = seal(given_values, row_keys, key, HEAD)

    assert unseal(sealed, row_keys, key, HEAD).equals(given_values)


@given(values=st.lists(st.none() | st.binary(max_size=40), max_size=30), nulls=st.booleans())
def test_padded_values_come_back(make_key: KeyMaker, values: list[bytes | None], nulls: bool) -> None:
    key, given_values = make_key("seal"), pa.array(values, pa.binary())
    row_keys = pa.array([b"row"] * len(values), pa.binary())

    sealed = seal(given_values, row_keys, key, HEAD, pad=True, seal_nulls=nulls)

    assert sealed.null_count == (0 if nulls else given_values.null_count)
    assert unseal(sealed, row_keys, key, HEAD, pad=True).equals(given_values)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_value_is_sealed_alike_whatever_the_longest_of_its_batch(make_key: KeyMaker, length: int) -> None:
    key, value = make_key("seal"), os.urandom(length)
    alone = seal(pa.array([value]), pa.array([b"row"]), key, HEAD)[0]

    for longest in LENGTHS:
        batch = pa.array([b"x", value, os.urandom(longest), None], pa.binary())
        assert seal(batch, pa.array([b"a", b"row", b"b", b"c"]), key, HEAD)[1] == alone


def test_every_layout_is_sealed_alike(make_key: KeyMaker, layout: Callable[..., pa.Array]) -> None:
    key, values = make_key("seal"), ["张三", None, "", "a value of more than one block", "x"]
    row_keys = ["1", "2", "3", "4", "5"]
    expected = seal(pa.array(values), pa.array(row_keys), key, HEAD)

    assert seal(layout(values), layout(row_keys), key, HEAD).equals(expected)
    assert unseal(expected, layout(row_keys), key, HEAD).cast(pa.string()).to_pylist() == values


def test_an_empty_column_stays_empty(make_key: KeyMaker) -> None:
    nothing = pa.array([], pa.string())

    assert seal(nothing, nothing, make_key("seal"), HEAD).to_pylist() == []


def test_chunks_and_slices_agree_with_the_whole(make_key: KeyMaker) -> None:
    key = make_key("seal")
    values = pa.array([None if n % 7 == 0 else str(n) * (n % 11) for n in range(2 * CHUNK + 5)])
    row_keys = pa.array([str(n) for n in range(len(values))])

    sealed = seal(values, row_keys, key, HEAD)

    assert seal(values.slice(CHUNK - 3, 9), row_keys.slice(CHUNK - 3, 9), key, HEAD).equals(sealed.slice(CHUNK - 3, 9))
    assert unseal(sealed.slice(CHUNK - 3, 9), row_keys.slice(CHUNK - 3, 9), key, HEAD).cast(pa.string()).equals(values.slice(CHUNK - 3, 9))
    assert unseal(sealed, row_keys, key, HEAD).cast(pa.string()).equals(values)


def test_row_keys_worked_in_once_give_the_same_seals(make_key: KeyMaker) -> None:
    key, values, row_keys = make_key("seal"), pa.array(["a", "b"]), pa.array(["1", "2"])

    assert seal(values, bind(row_keys, key), key, HEAD).equals(seal(values, row_keys, key, HEAD))


def test_row_keys_of_another_key_are_not_taken(make_key: KeyMaker) -> None:
    with pytest.raises(ValueError, match="another key"):
        seal(pa.array(["a"]), bind(pa.array(["1"]), make_key("seal")), make_key("seal"), HEAD)


def test_equal_values_in_two_rows_look_unlike(make_key: KeyMaker) -> None:
    sealed = seal(pa.array(["same", "same"]), pa.array(["1", "2"]), make_key("seal"), HEAD)

    assert sealed[0] != sealed[1]
    assert sealed[0].as_py()[16:] != sealed[1].as_py()[16:]


def test_true_and_false_have_one_length_when_padded(make_key: KeyMaker) -> None:
    sealed = seal(pa.array(["true", "false", None]), pa.array(["1", "2", "3"]), make_key("seal"), HEAD, seal_nulls=True)

    assert {len(value) for value in sealed.to_pylist()} == {32}


def _wrong_openings(key: Key, other: Key) -> dict[str, tuple[bytes, bytes, Key, bytes]]:
    good = seal(pa.array(["value"]), pa.array(["row"]), key, HEAD)[0].as_py()
    moved = header(INTERNATIONAL, 1, "population", "person", "address")
    return {
        "altered ciphertext": (good[:-1] + bytes([good[-1] ^ 1]), b"row", key, HEAD),
        "altered iv": (bytes([good[0] ^ 1]) + good[1:], b"row", key, HEAD),
        "cut": (good[:-1], b"row", key, HEAD),
        "cut to the iv": (good[:16], b"row", key, HEAD),
        "shorter than an iv": (good[:5], b"row", key, HEAD),
        "empty": (b"", b"row", key, HEAD),
        "lengthened": (good + b"\0", b"row", key, HEAD),
        "moved to another row": (good, b"other", key, HEAD),
        "moved to another field": (good, b"row", key, moved),
        "another version": (good, b"row", key, header(INTERNATIONAL, 2, "population", "person", "name")),
        "another key": (good, b"row", other, HEAD),
    }


def test_every_wrong_seal_gives_one_and_the_same_error(make_key: KeyMaker) -> None:
    said = set()
    for name, (sealed, row_key, key, head) in _wrong_openings(make_key("seal"), make_key("seal")).items():
        with pytest.raises(Refused) as refusal:
            unseal(pa.array([sealed]), pa.array([row_key]), key, head)
        said.add(str(refusal.value))
        assert refusal.value.__cause__ is None, name

    assert len(said) == 1
    assert "1 of 1 values cannot be unsealed" in said.pop()


def test_one_wrong_seal_keeps_the_whole_column_shut(make_key: KeyMaker) -> None:
    key, row_keys = make_key("seal"), pa.array(["1", "2", "3"])
    good = seal(pa.array(["a", None, "c"]), row_keys, key, HEAD).to_pylist()

    with pytest.raises(Refused, match="1 of 3 values"):
        unseal(pa.array([good[0], None, good[0]]), row_keys, key, HEAD)


def test_a_row_without_key_is_refused(make_key: KeyMaker) -> None:
    with pytest.raises(Refused, match="1 rows have no row key"):
        seal(pa.array(["a"]), pa.array([None], pa.string()), make_key("seal"), HEAD)


@given(one=st.lists(st.text(), min_size=3, max_size=3), two=st.lists(st.text(), min_size=3, max_size=3))
def test_headers_of_different_fields_differ(one: list[str], two: list[str]) -> None:
    same = header(INTERNATIONAL, 1, *one) == header(INTERNATIONAL, 1, *two)

    assert same == (one == two)
