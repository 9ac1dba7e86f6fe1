"""Parquet: types as stored, folders, and what is wrong with a file."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.protocol import Place, Window
from connectors.registry import open_connector
from hub.errors import HubError, Mistake, Rejected, Unavailable


@pytest.fixture
def read(tmp_path, source):
    """Return the function that reads a place below the test's folder."""

    def rows(file, columns=None, window=None):
        with open_connector(source("parquet", path=str(tmp_path)), Place(file=file)) as session:
            schema = session.columns()
            return schema, [row for batch in session.read(columns or schema.names, window or Window()) for row in batch.to_pylist()]

    return rows


def test_values_arrive_as_they_are_stored(tmp_path, read):
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901)
    table = pa.table(
        {
            "fixed": pa.array([Decimal("12345678901234567890.12")], pa.decimal128(22, 2)),
            "wide": pa.array([Decimal("1" * 50)], pa.decimal256(60, 0)),
            "naive": pa.array([moment], pa.timestamp("us")),
            "instant": pa.array([moment], pa.timestamp("us", tz="Asia/Shanghai")),
            "nanos": pa.array([1_767_323_045_000_000_001], pa.timestamp("ns")),
            "word": pa.array(["䶮"], pa.string()).dictionary_encode(),
            "long": pa.array(["x"], pa.large_string()),
            "fixed_bytes": pa.array([b"\x00\xff"], pa.binary(2)),
            "nested": pa.array([[{"n": Decimal("0.10")}]], pa.list_(pa.struct([("n", pa.decimal128(5, 2))]))),
            "empty": [""],
            "nothing": pa.nulls(1, pa.string()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")

    schema, rows = read("a.parquet")

    assert rows[0].pop("nanos").value == 1_767_323_045_000_000_001
    assert rows[0].pop("instant") == moment.replace(tzinfo=UTC)
    assert rows == [
        {
            "fixed": Decimal("12345678901234567890.12"), "wide": "1" * 50, "naive": moment, "word": "䶮", "long": "x",
            "fixed_bytes": b"\x00\xff", "nested": '[{"n": 0.10}]', "empty": "", "nothing": None,
        }
    ]  # fmt: skip
    assert schema.field("instant").type == pa.timestamp("us", tz="Asia/Shanghai")


def test_old_timestamps_of_twelve_bytes_are_read_to_the_microsecond(tmp_path, read):
    table = pa.table({"t": pa.array([datetime(1900, 1, 1)], pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    assert read("a.parquet")[1] == [{"t": datetime(1900, 1, 1)}]


def test_a_folder_is_its_files_in_the_order_of_their_paths(tmp_path, read):
    for name, value in (
        ("b/part-1.parquet", 3),
        ("a/part-2.parquet", 2),
        ("a/part-1.parquet", 1),
        ("a/_tmp.parquet", 9),
        ("a/_SUCCESS", 9),
    ):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": [value]}), tmp_path / "out" / name)
    assert read("out")[1] == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_a_file_with_another_type_than_the_first_is_named(tmp_path, read):
    (tmp_path / "out").mkdir()
    pq.write_table(pa.table({"id": [1], "other": [1]}), tmp_path / "out/1.parquet")
    pq.write_table(pa.table({"id": ["x"], "other": [1]}), tmp_path / "out/2.parquet")
    with pytest.raises(Rejected, match=r"out/2.parquet.*column 'id'"):
        read("out")
    assert len(read("out", ["other"])[1]) == 2


def test_an_empty_folder_may_be_filled_later(tmp_path, read):
    (tmp_path / "out").mkdir()
    with pytest.raises(Unavailable):
        read("out")


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"<html>" * 20, lambda whole: whole[:40] + b"\xff" * 40 + whole[80:]]
)
def test_a_damaged_file_is_refused_with_the_remedy(tmp_path, read, damage):
    pq.write_table(pa.table({"id": ["110105194912310021"] * 100}), tmp_path / "a.parquet", use_dictionary=False, compression="none")
    (tmp_path / "a.parquet").write_bytes(damage((tmp_path / "a.parquet").read_bytes()))
    with pytest.raises(Rejected, match="no whole Parquet file") as caught:
        read("a.parquet")
    assert "110105" not in str(caught.value)


def test_a_cursor_with_a_zone_goes_on_where_it_stopped(tmp_path, source):
    moments = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    pq.write_table(pa.table({"t": pa.array(moments, pa.timestamp("ms", tz="UTC"))}), tmp_path / "a.parquet")
    with open_connector(source("parquet", path=str(tmp_path)), Place(file="a.parquet")) as session:
        newest = session.newest("t")
        assert session.count(Window(cursor="t", after=newest)) == 0
        assert session.count(Window(cursor="t", after=session.earlier(newest, 86_401), until=newest)) == 2


def test_a_bound_of_another_type_is_a_mistake_without_the_value(tmp_path, read):
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a.parquet")
    with pytest.raises(Mistake) as caught:
        read("a.parquet", window=Window(cursor="id", after="110105194912310021x"))
    assert "110105" not in str(caught.value)
    assert isinstance(caught.value, HubError)


def test_columns_that_nobody_wants_are_not_read(tmp_path, read):
    """Their pages are overwritten: whoever read them would fail."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1], "other": ["x" * 1000]}), path, compression="none", use_dictionary=False)
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(1)
    whole = bytearray(path.read_bytes())
    whole[chunk.data_page_offset : chunk.data_page_offset + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(whole)
    assert read("a.parquet", ["id"])[1] == [{"id": 1}]
    with pytest.raises(Rejected):
        read("a.parquet", ["other"])
