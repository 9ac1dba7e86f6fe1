"""Tags compare what is said of one subject, and nothing across subjects."""

from collections.abc import Callable

import pyarrow as pa

from masking.keys import Key
from masking.tags import tags

KeyMaker = Callable[..., Key]
SUBJECTS = pa.array([b"a", b"a", b"b", b"a", None], pa.binary())
VALUES = pa.array(["same", "same", "same", None, "same"])


def test_equal_values_of_one_subject_have_equal_tags(make_key: KeyMaker) -> None:
    made = tags(VALUES, SUBJECTS, make_key("row_hash"))

    assert made[0] == made[1]
    assert made[0] != made[2]


def test_no_value_or_no_subject_is_no_tag(make_key: KeyMaker) -> None:
    made = tags(VALUES, SUBJECTS, make_key("row_hash"))

    assert made.is_null().to_pylist() == [False, False, False, True, True]


def test_tags_of_two_keys_share_nothing(make_key: KeyMaker) -> None:
    one, two = (tags(VALUES, SUBJECTS, make_key("row_hash")).drop_null().to_pylist() for _ in range(2))

    assert not set(one) & set(two)
