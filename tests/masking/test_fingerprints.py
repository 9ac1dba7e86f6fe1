"""A fingerprint changes exactly when the row does; a key checksum when the set of keys does."""

import random
from collections.abc import Callable
from datetime import date

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Mistake
from masking.columns import CHUNK
from masking.fingerprints import KeyChecksum, checksum, row_hash
from masking.framing import framed_text, in_blocks
from masking.keys import Key

KeyMaker = Callable[..., Key]
ROW = st.tuples(st.none() | st.text(max_size=20), st.none() | st.binary(max_size=40), st.none() | st.integers(-9, 9))


def table(rows: list[tuple[str | None, bytes | None, int | None]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    types = (pa.string(), pa.binary(), pa.int64())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, ["name", "sealed", "count"])


def in_whole_blocks(value: bytes) -> bytes:
    return value + bytes(-len(value) % 16)


def one_by_one(key: Key, row: tuple[str | None, bytes | None, int | None]) -> bytes:
    """The fingerprint of one row as the module describes it, written a second time."""
    name, sealed, count = None if row[0] is None else row[0].encode(), *row[1:]
    digest = Hash(SHA256())
    digest.update(framed_text("row", "name", "bytes", "sealed", "bytes", "count", "int64"))
    lengths = b"".join((0 if v is None else len(v) + 1).to_bytes(4, "little") for v in (name, sealed))
    number = bytes(9) if count is None else b"\x01" + count.to_bytes(8, "little", signed=True)
    mac = CMAC(AES(key.material.reveal()))
    mac.update(in_blocks(digest.finalize()) + in_whole_blocks(name or b"") + in_whole_blocks(sealed or b""))
    mac.update(in_whole_blocks(lengths + number))
    return mac.finalize()


@given(rows=st.lists(ROW, max_size=20))
def test_a_fingerprint_is_what_its_description_says(make_key: KeyMaker, rows: list[tuple[str | None, bytes | None, int | None]]) -> None:
    key = make_key("row_hash")

    assert row_hash(table(rows), key).to_pylist() == [one_by_one(key, row) for row in rows]


@given(rows=st.lists(ROW, max_size=20))
def test_different_rows_have_different_fingerprints(make_key: KeyMaker, rows: list[tuple[str | None, bytes | None, int | None]]) -> None:
    made = row_hash(table(rows), make_key("row_hash")).to_pylist()

    assert len(set(made)) == len(set(rows))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("a", b"bc", 1), ("ab", b"c", 1)),
        ((None, b"", 0), ("", b"", 0)),
        (("", b"", 0), ("", b"", None)),
        (("x", b"\0", 0), ("x", b"\0\0", 0)),
        (("x" * 16, b"", 0), ("", b"x" * 16, 0)),
    ],
)
def test_rows_that_look_alike_are_told_apart(make_key: KeyMaker, one: tuple, two: tuple) -> None:
    made = row_hash(table([one, two]), make_key("row_hash"))

    assert made[0] != made[1]


def test_name_and_type_of_a_column_count(make_key: KeyMaker) -> None:
    key, numbers = make_key("row_hash"), pa.array([1], pa.int64())
    made = [
        row_hash(pa.RecordBatch.from_arrays([numbers], ["a"]), key),
        row_hash(pa.RecordBatch.from_arrays([numbers], ["b"]), key),
        row_hash(pa.RecordBatch.from_arrays([numbers.cast(pa.timestamp("us"))], ["a"]), key),
    ]

    assert len({hashed[0].as_py() for hashed in made}) == 3


def test_the_layout_does_not_count(make_key: KeyMaker, layout: Callable[..., pa.Array]) -> None:
    key, values = make_key("row_hash"), ["a", None, "", "more than sixteen bytes", "x"]
    expected = row_hash(pa.table({"a": pa.array(values), "b": range(5)}), key)

    assert row_hash(pa.table({"a": layout(values), "b": range(5)}), key).equals(expected)


def test_what_stands_under_a_null_does_not_count(make_key: KeyMaker) -> None:
    mask = pa.array([True])
    hidden = [pa.array([number]).filter(pa.array([True])) for number in (1, 2)]
    nulls = [pa.Array.from_buffers(pa.int64(), 1, [pa.py_buffer(b"\0"), array.buffers()[1]]) for array in hidden]
    key = make_key("row_hash")

    made = [row_hash(pa.RecordBatch.from_arrays([null, mask], ["a", "b"]), key) for null in nulls]

    assert made[0].equals(made[1])


def test_slices_and_chunks_agree_over_every_type(make_key: KeyMaker) -> None:
    count, key = CHUNK + 7, make_key("row_hash")
    numbers = pa.array([None if n % 5 == 0 else n for n in range(count)])
    columns = {
        "text": numbers.cast(pa.string()),
        "flag": pa.array([None if n % 3 == 0 else n % 2 == 0 for n in range(count)]),
        "day": pa.array([date(2000, 1, 1 + n % 28) for n in range(count)]),
        "moment": numbers.cast(pa.timestamp("us", "UTC")),
        "amount": numbers.cast(pa.decimal128(25, 2)),
        "measure": numbers.cast(pa.float64()),
        "nothing": pa.nulls(count),
        "token": pa.array([n.to_bytes(16, "big") for n in range(count)], pa.binary(16)),
    }
    batch = pa.RecordBatch.from_pydict(columns)

    whole = row_hash(batch, key)

    assert len(set(whole.to_pylist())) == count
    assert row_hash(batch.slice(CHUNK - 5, 11), key).equals(whole.slice(CHUNK - 5, 11))


def test_an_empty_batch_has_no_fingerprints(make_key: KeyMaker) -> None:
    assert row_hash(table([]), make_key("row_hash")).to_pylist() == []


def test_a_type_without_fingerprint_is_a_mistake(make_key: KeyMaker) -> None:
    with pytest.raises(Mistake, match="has no fingerprint"):
        row_hash(pa.RecordBatch.from_pydict({"a": [[1]]}), make_key("row_hash"))


@given(keys=st.lists(st.binary(max_size=20), max_size=30), seed=st.integers())
def test_a_checksum_knows_no_order_and_adds_up(make_key: KeyMaker, keys: list[bytes], seed: int) -> None:
    key, shuffled = make_key("row_hash"), keys.copy()
    random.Random(seed).shuffle(shuffled)
    middle = len(keys) // 2

    whole = checksum(pa.array(keys, pa.binary()), key)
    parts = [checksum(pa.array(part, pa.binary()), key) for part in (shuffled[:middle], shuffled[middle:])]

    assert parts[0] + parts[1] == whole
    assert whole + KeyChecksum() == whole
    assert whole.count == len(keys)


def test_a_checksum_tells_a_missing_and_an_exchanged_key(make_key: KeyMaker) -> None:
    key = make_key("row_hash")
    found = {checksum(pa.array(keys, pa.string()), key).total for keys in (["a", "b"], ["a"], ["a", "c"], ["b", "b"])}

    assert len(found) == 4


def test_a_checksum_survives_many_chunks(make_key: KeyMaker) -> None:
    key, keys = make_key("row_hash"), pa.array([str(n) for n in range(CHUNK * 2 + 1)])

    added = sum((checksum(keys.slice(start, 5_000), key) for start in range(0, len(keys), 5_000)), KeyChecksum())

    assert added == checksum(keys, key)


def test_null_keys_are_not_counted(make_key: KeyMaker) -> None:
    key = make_key("row_hash")

    assert checksum(pa.array(["a", None]), key) == checksum(pa.array(["a"]), key)
