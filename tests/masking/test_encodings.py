"""Each value has one encoding, and comes back from it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from hub.errors import Mistake, Rejected
from masking.encodings import decode, encode

COLUMNS = [
    pa.array(["张三", "", None]),
    pa.array(["a", None], pa.large_string()),
    pa.array([True, False, None]),
    pa.array([-5, 0, 1 << 62, None], pa.int64()),
    pa.array([3, None], pa.int16()),
    pa.array([Decimal("1.50"), Decimal("-0.000001"), None], pa.decimal128(20, 6)),
    pa.array([0.1, -0.0, 1e300, 5e-324, float("inf"), None], pa.float64()),
    pa.array([date(1949, 12, 31), date(1, 1, 1), date(9999, 12, 31), None]),
    pa.array([datetime(2020, 1, 2, 3, 4, 5, 678), None], pa.timestamp("us")),
    pa.array([datetime(2020, 1, 2, 3, 4, 5), None], pa.timestamp("s")),
    pa.array([datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC), None], pa.timestamp("us", "Asia/Shanghai")),
    pa.array([datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
    pa.array([time(1, 2, 3, 4), None], pa.time64("us")),
    pa.array([b"\x00\xff", b"", None], pa.binary()),
    pa.array([b"ab", None], pa.binary(2)),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.type))
def test_a_value_comes_back_from_its_encoding(column: pa.Array) -> None:
    encoded = encode(column)

    assert decode(encoded, column.type).equals(column)
    assert decode(encoded.slice(1), column.type).equals(column.slice(1))


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.type))
def test_different_values_have_different_encodings(column: pa.Array) -> None:
    encoded = encode(column).to_pylist()

    assert len(set(encoded)) == len(column)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([True]), b"true"),
        (pa.array([date(2020, 1, 2)]), b"2020-01-02"),
        (pa.array([42], pa.int8()), b"42"),
        (pa.array([datetime(2020, 1, 1, 16, tzinfo=UTC)], pa.timestamp("s", "Asia/Shanghai")), b"2020-01-01 16:00:00Z"),
    ],
)
def test_an_encoding_is_written_down(column: pa.Array, expected: bytes) -> None:
    assert encode(column)[0].as_py() == expected


def test_one_instant_has_one_encoding_in_every_zone() -> None:
    instants = [pa.array([datetime(2020, 1, 1, tzinfo=UTC)], pa.timestamp("us", zone)) for zone in ("UTC", "Asia/Tokyo")]

    assert encode(instants[0]).equals(encode(instants[1]))


def test_every_layout_has_the_same_encoding(layout: Callable[..., pa.Array]) -> None:
    values = ["a", None, "张三", ""]

    assert encode(layout(values)).to_pylist() == [b"a", None, "张三".encode(), b""]


@pytest.mark.parametrize("kind", [pa.int64(), pa.date32(), pa.string(), pa.bool_(), pa.timestamp("us", "UTC")])
def test_bytes_that_do_not_read_are_rejected_without_being_quoted(kind: pa.DataType) -> None:
    with pytest.raises(Rejected) as rejection:
        decode(pa.array([b"\xffsecret"]), kind)

    assert "secret" not in str(rejection.value)
    assert rejection.value.__cause__ is None
    assert rejection.value.__context__ is None


def test_a_list_has_no_encoding() -> None:
    with pytest.raises(Mistake, match="no canonical text"):
        encode(pa.array([["a"]]))
