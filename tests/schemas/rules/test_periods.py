"""Statistical periods, and codes that hold for a time."""

from datetime import date

import pyarrow as pa
import pytest

from schemas.declared import Title
from schemas.rules.periods import code_in_force, period
from schemas.vocabulary import Code, CodeList

TITLE = Title(zh="项", en="entry")
CODES = CodeList(
    codes="c",
    title=TITLE,
    standard="local",
    entries=(
        Code(code="always", title=TITLE),
        Code(code="new", title=TITLE, since="2017-10"),
        Code(code="old", title=TITLE, until="2017-10-01"),
        Code(code="again", title=TITLE, until="2010"),
        Code(code="again", title=TITLE, since="2020"),
    ),
)


@pytest.mark.parametrize("value", ["2025", "2025-S1", "2025-S2", "2025-Q1", "2025-Q4", "2025-01", "2025-12"])
def test_a_period_is_a_year_half_quarter_or_month(value):
    assert period(pa.array([value])).to_pylist() == [True]


@pytest.mark.parametrize(
    "value", ["25", "2025-S3", "2025-Q0", "2025-Q5", "2025-00", "2025-13", "2025-1", "2025Q1", "2025-01-01", " 2025", ""]
)
def test_anything_else_is_none(value):
    assert period(pa.array([value])).to_pylist() == [False]


@pytest.mark.parametrize(
    ("code", "on", "holds"),
    [
        ("always", "1949", True),
        ("new", "2017", True),  # it came into force in that year
        ("new", "2016", False),
        ("new", "2017-Q3", False),
        ("new", "2017-Q4", True),
        ("new", "2017-S1", False),
        ("new", "2017-09", False),
        ("new", "2017-10", True),
        ("new", "2017-09-30", False),
        ("new", "2017-10-01", True),
        ("old", "2017", True),
        ("old", "2017-10-01", False),
        ("old", "2017-09-30", True),
        ("old", "2018", False),
        ("again", "2009", True),
        ("again", "2010", False),
        ("again", "2015", False),
        ("again", "2020-01", True),
        ("unknown", "2020", None),  # in_codes says so
        ("new", "long ago", None),
        ("new", None, None),
        (None, "2020", None),
    ],
)
def test_a_code_holds_from_its_start_to_the_day_before_its_end(code, on, holds):
    assert code_in_force(pa.array([code], pa.string()), pa.array([on], pa.string()), codes=CODES).to_pylist() == [holds]


@pytest.mark.parametrize(
    ("on", "holds"),
    [(pa.array([date(2017, 9, 30)]), False), (pa.array([date(2017, 10, 1)]), True), (pa.array([2018]), True), (pa.array([2016]), False)],
)
def test_a_date_and_the_number_of_a_year_are_times_too(on, holds):
    assert code_in_force(pa.array(["new"]), on, codes=CODES).to_pylist() == [holds]
