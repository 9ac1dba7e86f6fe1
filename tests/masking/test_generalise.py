"""Generalisation makes values coarser, and never lets one through that it cannot read."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Mistake
from masking.generalise import KNOWN, generalise

BORN = pa.array([date(1949, 12, 31), date(2000, 2, 29), None])
ON = date(2026, 2, 28)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("year", [1949, 2000, None]),
        ("decade", [1940, 2000, None]),
        ("quarter", ["1949-Q4", "2000-Q1", None]),
        ("month", ["1949-12", "2000-02", None]),
        ("age_band", ["75-79", "25-29", None]),
    ],
)
def test_a_date_becomes_its_group(how: str, expected: list[object]) -> None:
    as_text = pa.array(["1949-12-31", "20000229", None])

    assert generalise(BORN, how, on=ON).to_pylist() == expected
    assert generalise(as_text, how, on=ON).to_pylist() == expected
    assert generalise(as_text.dictionary_encode(), how, on=ON).to_pylist() == expected


def test_a_birthday_counts_on_the_day_itself() -> None:
    born = pa.array([date(1996, 2, 28), date(1996, 3, 1)])

    assert generalise(born, "age_band", on=ON).to_pylist() == ["30-34", "25-29"]


def test_an_age_that_cannot_be_is_null() -> None:
    assert generalise(pa.array([date(2030, 1, 1), date(1800, 1, 1)]), "age_band", on=ON).to_pylist() == [None, None]


def test_an_instant_belongs_to_the_day_of_its_own_zone() -> None:
    midnight = pa.array([datetime(1999, 12, 31, 16, tzinfo=UTC)], pa.timestamp("us", "Asia/Shanghai"))

    assert generalise(midnight, "year").to_pylist() == [2000]


@pytest.mark.parametrize("how", ["year", "decade", "month", "quarter", "age_band"])
@given(written=st.text(max_size=12) | st.sampled_from(["2001-02-29", "2000-13-01", "2000-1-1", "200002291", "0"]))
def test_text_that_is_no_date_never_passes(how: str, written: str) -> None:
    try:
        date.fromisoformat(written)
    except ValueError:
        assert generalise(pa.array([written]), how, on=ON).to_pylist() == [None]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([0, 9, 10, -1, None]), [0, 0, 10, -10, None]),
        (pa.array([9.99, float("nan"), float("inf"), 1e300]), [0, None, None, None]),
        (pa.array([Decimal("19.50"), None], pa.decimal128(20, 2)), [10, None]),
        (pa.array(["15", "-3.5", "x", "", "1e3", None]), [10, -10, None, None, None, None]),
    ],
)
def test_a_number_becomes_the_lower_end_of_its_band(values: pa.Array, expected: list[int | None]) -> None:
    assert generalise(values, "band_10").to_pylist() == expected


def test_a_code_becomes_its_first_characters() -> None:
    codes = pa.array(["110105", "11", "1", "", "北京市东城区", None])

    assert generalise(codes, "prefix_2").to_pylist() == ["11", "11", None, None, "北京", None]


def test_a_code_too_short_for_its_prefix_is_not_left_under_the_null() -> None:
    made = generalise(pa.array(["secret", "123456789"]), "prefix_9")

    assert made.to_pylist() == [None, "123456789"]
    assert b"secret" not in b"".join(part.to_pybytes() for part in made.buffers() if part)


@pytest.mark.parametrize("how", ["", "yearly", "year_2", "prefix", "prefix_0", "band", "band_x", "prefix_-1", "age_band_3"])
def test_an_unknown_generalisation_is_a_mistake_that_names_the_known_ones(how: str) -> None:
    with pytest.raises(Mistake) as mistake:
        generalise(BORN, how, on=ON)

    assert all(known in str(mistake.value) for known in KNOWN)


def test_an_age_needs_a_reference_date() -> None:
    with pytest.raises(Mistake, match="reference date"):
        generalise(BORN, "age_band")


@pytest.mark.parametrize(("values", "how"), [(pa.array([1]), "year"), (BORN, "band_10"), (pa.array([b"a"]), "prefix_2")])
def test_a_column_of_the_wrong_type_is_a_mistake(values: pa.Array, how: str) -> None:
    with pytest.raises(Mistake):
        generalise(values, how)


@pytest.mark.parametrize("how", ["year", "decade", "month", "quarter", "age_band", "band_10", "prefix_2"])
def test_an_empty_column_has_the_type_of_a_full_one(how: str) -> None:
    full = pa.array(["20000101"])

    assert generalise(full.slice(0, 0), how, on=ON).type == generalise(full, how, on=ON).type
