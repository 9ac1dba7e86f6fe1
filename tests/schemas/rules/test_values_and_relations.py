"""Rules about one value, and between two fields."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa

from schemas.declared import Title
from schemas.rules import RULES
from schemas.vocabulary import Code, CodeList

TODAY = date(2026, 8, 1)
NAME = Title(zh="性别", en="Sex")
SEX = CodeList(codes="sex", title=NAME, standard="GB/T 2261.1", entries=(Code(code="1", title=NAME), Code(code="2", title=NAME)))


def run(rule: str, *columns: pa.Array, **parameters: object) -> list[bool | None]:
    """Return the verdicts of *rule* on *columns*."""
    return RULES[rule].function(*columns, **parameters).to_pylist()


def test_a_value_that_could_not_be_read_is_unreadable_and_not_also_missing() -> None:
    values, unreadable = pa.array([1, None, None]), pa.array([False, True, False])

    assert run("readable", values, unreadable=unreadable) == [True, False, None]
    assert run("required", values, unreadable=unreadable) == [True, None, False]


def test_a_code_outside_its_list_fails() -> None:
    assert run("in_codes", pa.array(["1", "3", None]), codes=SEX) == [True, False, None]


def test_one_of_compares_numbers_with_numbers() -> None:
    assert run("one_of", pa.array([1, 3, None]), among=(1, 2)) == [True, False, None]


def test_length_counts_a_rare_character_as_one() -> None:
    assert run("length", pa.array(["𬭎㛃", "abc", "", None]), max=2, min=1) == [True, False, False, None]


def test_a_pattern_matches_from_first_to_last_character() -> None:
    assert run("matches", pa.array(["ab", "xab", "ab\n", None]), pattern="a|ab") == [True, False, False, None]


def test_bounds_belong_to_the_range() -> None:
    assert run("range", pa.array([0, 1, 3, 4, None]), min=1, max=3) == [False, True, True, False, None]


def test_a_range_of_decimals_and_of_dates() -> None:
    assert run("range", pa.array([Decimal("0.5"), Decimal("1.5")]), min=1, max=1.5) == [False, True]
    assert run("range", pa.array([date(1999, 12, 31), date(2000, 1, 1)]), min="2000-01-01") == [False, True]


def test_not_a_number_is_outside_every_range() -> None:
    assert run("range", pa.array([float("nan")]), min=0) == [False]


def test_today_is_not_in_the_future() -> None:
    assert run("not_in_future", pa.array([TODAY, date(2026, 8, 2), None]), today=TODAY) == [True, False, None]


def test_an_instant_is_in_the_future_only_where_it_is_so_everywhere() -> None:
    instants = pa.array([datetime(2026, 8, 1, 23, tzinfo=UTC), datetime(2026, 8, 3, tzinfo=UTC)], pa.timestamp("us", "UTC"))

    assert run("not_in_future", instants, today=TODAY) == [True, False]


def test_an_open_end_is_not_before_its_beginning() -> None:
    ends, begins = pa.array([date(2020, 1, 2), date(2020, 1, 1), None]), pa.array([date(2020, 1, 1), date(2020, 1, 2), TODAY])

    assert run("not_before", ends, begins) == [True, False, None]


def test_unknown_sex_and_broken_numbers_are_not_judged() -> None:
    sexes, numbers = pa.array(["0", "1", "2", None, "1"]), pa.array(["110101199003077475"] * 4 + ["x"])

    assert run("sex_agrees", sexes, numbers) == [None, True, False, None, None]


def test_a_birth_before_1970_agrees_and_a_short_number_is_of_the_last_century() -> None:
    days, numbers = pa.array([date(1949, 12, 31)] * 3), pa.array(["11010519491231002X", "110105491231002", None])

    assert run("birth_agrees", days, numbers) == [True, True, None]


def test_a_value_is_asked_for_only_where_the_condition_holds() -> None:
    values, condition = pa.array(["x", None, None, None]), pa.array(["20", "20", "10", None])

    assert run("present_when", values, condition, equals=("20", "21")) == [True, False, None, None]


def test_equal_fields_are_judged_where_both_are_present() -> None:
    assert run("equal_fields", pa.array(["a", "a", None]), pa.array(["a", "b", "b"])) == [True, False, None]


def test_a_value_of_an_unknown_kind_fails() -> None:
    assert run("kind_known", pa.array(["x", "x", "x", None]), pa.array(["001", "7", None, "7"]), among=("001",)) == [
        True,
        False,
        False,
        None,
    ]
