"""Tokens join exactly what means the same, and nothing else."""

from collections.abc import Callable

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Mistake
from masking.columns import CHUNK
from masking.keys import Key
from masking.suites import GM
from masking.tokens import CITIZEN, canonical, token

KeyMaker = Callable[..., Key]
# GB 11643-1999: the standard's own example, and its 15-digit form.
CITIZEN_NUMBER, OLD_CITIZEN_NUMBER = "11010519491231002X", "110105491231002"


def test_a_token_is_cmac_over_document_type_and_value(make_key: KeyMaker) -> None:
    # The encoding, written out: length of the type in 16 bits, the type, zeros to a whole block, the value.
    key = make_key("token")
    mac = CMAC(AES(key.material.reveal()))
    mac.update(b"\x00\x03111" + bytes(11) + CITIZEN_NUMBER.encode())

    assert token(pa.array([CITIZEN_NUMBER]), key, document_type="111")[0].as_py() == mac.finalize()


def test_a_stored_token_stays_what_it_is(make_key: KeyMaker) -> None:
    # Custom vectors: made once by this code, checked by cryptography's CMAC; a change would orphan every library.
    international = token(pa.array([CITIZEN_NUMBER]), make_key("token", material=bytes(range(32))), document_type="111")
    national = token(pa.array([CITIZEN_NUMBER]), make_key("token", GM, bytes(range(16))), document_type="111")

    assert international[0].as_py().hex() == "c8f3f8e565e5b31ec5732e205ad9aa7c"
    assert national[0].as_py().hex() == "82ca04914d3aecd55e859b4e6c2eab63"


@given(values=st.lists(st.none() | st.text(max_size=40), max_size=30))
def test_equal_values_and_only_they_have_equal_tokens(make_key: KeyMaker, values: list[str | None]) -> None:
    tokens = token(pa.array(values, pa.string()), make_key("token"), document_type="414").to_pylist()

    assert [made is None for made in tokens] == [value is None for value in values]
    assert len(set(tokens)) == len(set(values))


@given(one=st.tuples(st.text(max_size=20), st.text(max_size=20)), two=st.tuples(st.text(max_size=20), st.text(max_size=20)))
def test_type_and_value_never_run_together(make_key: KeyMaker, one: tuple[str, str], two: tuple[str, str]) -> None:
    key = make_key("token")
    made = [token(pa.array([value]), key, document_type=kind)[0] for kind, value in (one, two)]

    assert (made[0] == made[1]) == (one == two)


def test_a_type_for_each_row_gives_what_the_type_gives_alone(make_key: KeyMaker) -> None:
    key, values = make_key("token"), pa.array(["1", "1", "1", None, "", "1"])

    made = token(values, key, document_type=pa.array(["111", "414", None, "111", "414", "111"])).to_pylist()

    first, second = (token(values, key, document_type=kind).to_pylist() for kind in ("111", "414"))
    assert made == [first[0], second[1], None, None, second[4], first[5]]


def test_a_column_of_null_types_gives_null_tokens(make_key: KeyMaker) -> None:
    types = pa.array([None, None], pa.string())

    assert token(pa.array(["1", "2"]), make_key("token"), document_type=types).null_count == 2


def test_every_layout_gives_the_same_tokens(make_key: KeyMaker, layout: Callable[..., pa.Array]) -> None:
    key, values = make_key("token"), ["110", None, "", "a value of more than one block", "x"]

    assert token(layout(values), key, document_type="111").equals(token(pa.array(values), key, document_type="111"))


def test_chunks_and_slices_give_the_same_tokens(make_key: KeyMaker) -> None:
    key, values = make_key("token"), pa.array([str(n) * (n % 5) for n in range(CHUNK + 9)])
    whole = token(values, key, document_type="111")

    assert token(values.slice(CHUNK - 4, 8), key, document_type="111").equals(whole.slice(CHUNK - 4, 8))


def test_null_rows_hold_nothing(make_key: KeyMaker) -> None:
    made = token(pa.array([None, "1"]), make_key("token"), document_type="111")

    assert made.buffers()[1].to_pybytes()[:16] == bytes(16)


@pytest.mark.parametrize(
    "written",
    [
        "11010519491231002X",
        "11010519491231002x",
        " 110105 19491231 002x ",
        "110105-19491231-002X",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105.19491231.002X",
        "\ufeff110105\u200b19491231\u2013002X",
        OLD_CITIZEN_NUMBER,
        "110105 491231 002",
    ],
)
def test_a_citizen_number_has_one_form(written: str) -> None:
    assert canonical(pa.array([written]), CITIZEN).to_pylist() == [CITIZEN_NUMBER]


@pytest.mark.parametrize("sequence", ["996", "997", "998", "999"])
def test_the_century_of_the_very_old_is_not_guessed(sequence: str) -> None:
    assert canonical(pa.array(["110105491231" + sequence]), CITIZEN).to_pylist() == [None]


def test_sequence_995_is_an_ordinary_one() -> None:
    assert canonical(pa.array(["110105491231995"]), CITIZEN)[0].as_py().startswith("11010519491231995")


def test_only_citizen_numbers_are_lengthened() -> None:
    values = pa.array([OLD_CITIZEN_NUMBER, OLD_CITIZEN_NUMBER, "ABC123456789012"])

    assert canonical(values, "414").to_pylist() == values.to_pylist()
    assert canonical(values, pa.array(["111", "414", "111"])).to_pylist() == [
        CITIZEN_NUMBER,
        OLD_CITIZEN_NUMBER,
        "ABC123456789012",
    ]
    assert canonical(values, pa.array([None, "414", None])).to_pylist() == values.to_pylist()


@pytest.mark.parametrize("nothing", ["", " ", "-", ". -", "\u3000"])
def test_a_value_of_which_nothing_is_left_becomes_null(nothing: str) -> None:
    assert canonical(pa.array([nothing])).to_pylist() == [None]


@given(values=st.lists(st.none() | st.text(max_size=20), max_size=20))
def test_the_canonical_form_is_its_own(values: list[str | None]) -> None:
    once = canonical(pa.array(values, pa.string()), CITIZEN)

    assert canonical(once, CITIZEN).equals(once)


@given(values=st.lists(st.none() | st.text(max_size=20), max_size=20))
def test_the_canonical_form_does_not_depend_on_the_neighbours(values: list[str | None]) -> None:
    together = canonical(pa.array(values, pa.string()), CITIZEN).to_pylist()

    assert together == [canonical(pa.array([value], pa.string()), CITIZEN)[0].as_py() for value in values]


def test_every_layout_has_the_same_canonical_form(layout: Callable[..., pa.Array]) -> None:
    column = layout(["110", None, "ａ-1", OLD_CITIZEN_NUMBER])
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        with pytest.raises(Mistake, match="no canonical text"):
            canonical(column, CITIZEN)
        return

    assert canonical(column, CITIZEN).to_pylist() == ["110", None, "A1", CITIZEN_NUMBER]
