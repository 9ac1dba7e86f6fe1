"""Periods of time as statistics name them, and codes that hold only for a time."""

import pyarrow as pa
import pyarrow.compute as pc

from schemas.conversions.texts import as_text
from schemas.rules.registry import rule
from schemas.vocabulary import CodeList

_PERIOD = r"^\d{4}(-(S[12]|Q[1-4]|0[1-9]|1[0-2]))?$"
_LAST_MONTHS = {"S1": "06", "S2": "12", "Q1": "03", "Q2": "06", "Q3": "09", "Q4": "12"}
_FIRST_MONTHS = {"S1": "01", "S2": "07", "Q1": "01", "Q2": "04", "Q3": "07", "Q4": "10"}
_YEAR, _MONTH = len("2025"), len("2025-03")
_OPEN_START, _OPEN_END = "0000", "9999"


@rule("period", zh="统计期格式正确", en="The statistical period has the right form")
def period(values: pa.Array) -> pa.BooleanArray:
    """Hold for a year, half-year, quarter or month: ``2025``, ``2025-S1``, ``2025-Q1``, ``2025-03``.

    Year and month as in GB/T 7408.1-2023 (ISO 8601-1); half-year and quarter as in SDMX 2.1 (ISO 17369), section 6, reporting periods.
    """
    return pc.match_substring_regex(values, _PERIOD)


@rule("code_in_force", zh="代码在该时间有效", en="The code was in force at that time")
def code_in_force(values: pa.Array, on: pa.Array, *, codes: CodeList) -> pa.BooleanArray:
    """Hold if the code was in force at any time of *on*: a date, an instant, a year, or a period such as ``2025-Q1``.

    A code holds from ``since`` up to the day before ``until`` of its entry; the same code may have several entries.
    Not judged where the code is not in the list at all (``in_codes`` says so), or *on* is missing or no such time.
    """
    time = as_text(on)
    known = pc.fill_null(pc.match_substring_regex(time, r"^\d{4}(-(S[12]|Q[1-4]|\d{2}([-T ].*)?))?$"), fill_value=False)
    first, last = _edge(time, _FIRST_MONTHS, "-01-01", "-01"), _edge(time, _LAST_MONTHS, "-12-31", "-31")
    listed = pa.array([entry.code for entry in codes.entries], pa.string())
    holds = pc.if_else(pc.is_in(values, value_set=listed), pa.scalar(False), pa.scalar(None, pa.bool_()))
    for entry in codes.entries:
        begun = pc.greater_equal(last, _day(entry.since, _OPEN_START))
        going = pc.less(first, _day(entry.until, _OPEN_END))
        holds = pc.if_else(pc.and_(pc.equal(values, entry.code), pc.and_(begun, going)), pa.scalar(True), holds)
    return pc.if_else(pc.and_(known, values.is_valid()), holds, pa.scalar(None, pa.bool_()))


def _edge(time: pa.Array, months: dict[str, str], of_year: str, of_month: str) -> pa.Array:
    """Return the first or last day of each *time* as text that compares like a date (day 31 stands for any last day)."""
    day = pc.utf8_slice_codeunits(time, 0, 10)
    for name, month in months.items():
        day = pc.replace_substring(day, f"-{name}", f"-{month}")
    length = pc.utf8_length(day)
    whole_year = pc.binary_join_element_wise(day, of_year, "")
    whole_month = pc.binary_join_element_wise(day, of_month, "")
    return pc.case_when(pc.make_struct(pc.equal(length, _YEAR), pc.equal(length, _MONTH)), whole_year, whole_month, day)


def _day(written: str | None, otherwise: str) -> str:
    """Return a ``since`` or ``until`` (a year, a month or a day) as the first day of it, in the same form."""
    given = written or otherwise
    return (given + "-01-01")[:10] if len(given) == _YEAR else (given + "-01")[:10]
