"""Going back in time in the source's own form."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.cursors import earlier
from hub.errors import Mistake


@pytest.mark.parametrize(
    ("value", "seconds", "before"),
    [
        ("2026-01-01 00:00:30", 60, "2025-12-31 23:59:30"),
        ("2026-01-01T00:00:30Z", 60, "2025-12-31T23:59:30Z"),
        ("2026-03-01 00:00:30.123456+08", 60, "2026-02-28 23:59:30.123456+08"),
        ("2026-01-01 00:00:30.5", 60, "2025-12-31 23:59:30.5"),
        ("2026-01-01 00:00", 60, "2025-12-31 23:59"),
        ("2026/01/01 00:00:30", 60, "2025/12/31 23:59:30"),
        ("20260101000030", 60, "20251231235930"),
        ("20260101", 60, "20251231"),
        ("2026-01-02", 3600, "2026-01-01"),
        ("2026-01-02", 0, "2026-01-02"),
    ],
)
def test_a_time_is_moved_back_and_keeps_its_form(value, seconds, before):
    assert earlier(value, seconds) == before


@pytest.mark.parametrize("value", ["7", "12345678", "99999999999999", "2026-13-01", "abc", "", "2026-01-01 25:00:00", "31.12.2026"])
def test_what_is_no_time_is_a_mistake_that_does_not_quote_it(value):
    with pytest.raises(Mistake) as caught:
        earlier(value, 60)
    assert not value or len(value) == 1 or value not in str(caught.value)


@given(st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1)), st.integers(0, 10**7))
def test_the_result_is_exactly_that_much_earlier(moment, seconds):
    assert datetime.fromisoformat(earlier(moment.isoformat(sep=" ", timespec="microseconds"), seconds)) == moment - timedelta(
        seconds=seconds
    )
