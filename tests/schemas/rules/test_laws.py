"""Laws that every rule keeps, and those of check characters."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric

from schemas.rules import RULES

TODAY = date(2026, 8, 1)

TEXT_RULES = sorted(
    name
    for name, rule in RULES.items()
    if rule.function is not None and rule.columns == 1 and not any(one.required for one in rule.parameters.values())
    and name not in {"range", "not_in_future", "geometry_valid", "in_country"}
)  # fmt: skip

written = st.one_of(
    st.none(),
    st.text(max_size=24),
    st.text(alphabet="0123456789X", min_size=5, max_size=19),
    st.sampled_from(["11010519491231002X", "110105491231002", "91350100M000100Y43", "13800138000", "110105", "D2143569-X"]),
)


def judged(rule: str, values: pa.Array) -> pa.Array:
    """Run *rule* with everything it asks for."""
    surroundings = {"today": TODAY, "unreadable": pa.array([False] * len(values), pa.bool_())}
    return RULES[rule].function(values, **{name: surroundings[name] for name in RULES[rule].supplied})


@pytest.mark.parametrize("rule", TEXT_RULES)
class TestEveryTextRule:
    @given(values=st.lists(written, max_size=12))
    @settings(max_examples=25, deadline=None)
    def test_a_verdict_for_every_row_and_slices_agree(self, rule: str, values: list[str | None]) -> None:
        column = pa.array(values, pa.string())
        whole = judged(rule, column).to_pylist()

        parts = [verdict for start in range(len(values)) for verdict in judged(rule, column.slice(start, 1)).to_pylist()]

        assert len(whole) == len(values)
        assert parts == whole

    def test_a_missing_value_is_not_judged_except_for_presence(self, rule: str) -> None:
        assert judged(rule, pa.array([None], pa.string())).to_pylist() == [False if rule == "required" else None]

    def test_an_empty_column_has_no_verdicts(self, rule: str) -> None:
        assert judged(rule, pa.array([], pa.string())).to_pylist() == []


births = st.dates(min_value=date(1900, 1, 1), max_value=date(2026, 7, 31))


@st.composite
def citizen_numbers(draw: st.DrawFn) -> str:
    """A valid citizen number of an existing division."""
    place = draw(st.sampled_from(["110105", "310104", "440524", "650102"]))
    body = f"{place}{draw(births):%Y%m%d}{draw(st.integers(0, 999)):03d}"
    return body + ric.calc_check_digit(body + "0")


@given(number=citizen_numbers(), place=st.integers(0, 17), other=st.sampled_from("0123456789X"))
@settings(max_examples=300, deadline=None)
def test_every_single_substitution_in_a_citizen_number_is_found(number: str, place: int, other: str) -> None:
    """MOD 11-2 finds all single substitutions (ISO 7064 clause 4)."""
    changed = number[:place] + other + number[place + 1 :]

    assert judged("citizen_number", pa.array([number, changed])).to_pylist() == [True, changed == number]


@given(number=citizen_numbers())
@settings(max_examples=100, deadline=None)
def test_birth_and_sex_agree_with_the_number_they_are_taken_from(number: str) -> None:
    born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    sex = "1" if int(number[16]) % 2 else "2"

    assert RULES["birth_agrees"].function(pa.array([born]), pa.array([number])).to_pylist() == [True]
    assert RULES["sex_agrees"].function(pa.array([sex]), pa.array([number])).to_pylist() == [True]


@given(number=citizen_numbers(), other=births)
@settings(max_examples=100, deadline=None)
def test_another_birth_date_disagrees(number: str, other: date) -> None:
    told = f"{other:%Y%m%d}"

    assert RULES["birth_agrees"].function(pa.array([other]), pa.array([number])).to_pylist() == [told == number[6:14]]
