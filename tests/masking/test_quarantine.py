"""A quarantined row rests sealed, and opens at its own batch and position only."""

from collections.abc import Callable
from datetime import date

import pyarrow as pa
import pytest

from hub.errors import Mistake, Refused
from masking.keys import Key
from masking.quarantine import seal_rows, unseal_rows

KeyMaker = Callable[..., Key]
ROWS = pa.RecordBatch.from_pydict(
    {
        "citizen_no": ["110105194912310021", None],
        "name": pa.array(["张三", ""], pa.large_string()),
        "born": [date(1949, 12, 31), None],
        "shape": [b"\x01\xff", None],
    }
)
POSITIONS = pa.array([3, 70_000])


def test_a_row_comes_back_as_text_by_field(make_key: KeyMaker) -> None:
    key = make_key("quarantine")

    opened = unseal_rows(seal_rows(ROWS, POSITIONS, key, "b7"), POSITIONS, key, "b7")

    assert opened == [
        {"citizen_no": "110105194912310021", "name": "张三", "born": "1949-12-31", "shape": "Af8="},
        {"citizen_no": None, "name": "", "born": None, "shape": None},
    ]


def test_nothing_of_a_row_is_readable(make_key: KeyMaker) -> None:
    sealed = b"".join(seal_rows(ROWS, POSITIONS, make_key("quarantine"), "b7").to_pylist())

    assert not [word for word in ("110105194912310021", "张三", "citizen_no", "1949") if word.encode() in sealed]


@pytest.mark.parametrize(("positions", "batch"), [([4, 70_000], "b7"), ([3, 70_000], "b8"), ([70_000, 3], "b7")])
def test_a_row_opens_nowhere_else(make_key: KeyMaker, positions: list[int], batch: str) -> None:
    key = make_key("quarantine")
    sealed = seal_rows(ROWS, POSITIONS, key, "b7")

    with pytest.raises(Refused, match="cannot be unsealed"):
        unseal_rows(sealed, pa.array(positions), key, batch)


def test_no_failing_row_is_no_seal(make_key: KeyMaker) -> None:
    assert seal_rows(ROWS.slice(0, 0), POSITIONS.slice(0, 0), make_key("quarantine"), "b7").to_pylist() == []


@pytest.mark.parametrize("positions", [pa.array([1, None]), pa.array(["1", "2"])])
def test_positions_are_whole_numbers(make_key: KeyMaker, positions: pa.Array) -> None:
    with pytest.raises(Mistake, match="whole numbers"):
        seal_rows(ROWS, positions, make_key("quarantine"), "b7")
