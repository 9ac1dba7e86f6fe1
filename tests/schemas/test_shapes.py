"""What counts as a change of a source's columns, and which changes lose nothing."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.contract import Contract
from schemas.shapes import changes, shape_of, told, wider

TEXT = {"zh": "字", "en": "Text"}


def contract(**more: object) -> Contract:
    fields = [
        {"name": "number", "type": "string", "required": True},
        {"name": "born", "column": "出生日期", "type": "date"},
        {"name": "amount", "type": "decimal"},
    ]
    return Contract.model_validate(
        {
            "dataset": "d", "department": "x", "version": 1, "title": TEXT, "abstract": TEXT, "source": "s", "table": "t", "key": ["number"],
            "fields": [{"title": TEXT, "level": "L1", **one} for one in fields],
            "contributes": [{"entity": "a.b", "subject": "number"}],
            "sharing": {"class": "unconditional"}, **more,
        }
    )  # fmt: skip


def columns(**types: str | pa.DataType) -> pa.Schema:
    """Columns with their declared types, or as Arrow has them."""
    return pa.schema(
        [
            pa.field(name, pa.string(), metadata={"declared": given}) if isinstance(given, str) else pa.field(name, given)
            for name, given in types.items()
        ]
    )


FULL = {"number": "varchar(18)", "出生日期": "date", "amount": "numeric(10,2)"}


def found(now: dict[str, object], accepted: dict[str, object] | None = None, **more: object) -> list[tuple[str, str, str, bool]]:
    held = None if accepted is None else shape_of(columns(**accepted), contract(**more))
    return [(one.sort, one.column, one.reaction.value, one.known) for one in changes(contract(**more), columns(**now), held)]


def test_a_source_as_the_contract_wants_it_has_no_changes():
    assert found(FULL) == []
    assert found(FULL, FULL) == []


def test_a_column_nobody_asked_for_is_new_only_once_something_was_published():
    assert found({**FULL, "nation": "text"}) == []
    assert found({**FULL, "nation": "text"}, FULL) == [("added", "nation", "ignore", False)]


def test_a_missing_column_fails_unless_the_contract_says_otherwise_and_always_if_no_run_can_do_without_it():
    without = {name: kind for name, kind in FULL.items() if name != "出生日期"}
    assert found(without, FULL) == [("missing", "出生日期", "fail", False)]
    assert found(without, FULL, drift={"missing": "ignore"}) == [("missing", "出生日期", "ignore", False)]
    assert found({"出生日期": "date", "amount": "text"}, None, drift={"missing": "ignore"}) == [("missing", "number", "fail", False)]


def test_what_was_published_without_a_column_is_known():
    without = {name: kind for name, kind in FULL.items() if name != "出生日期"}
    assert found(without, without, drift={"missing": "hold"}) == [("missing", "出生日期", "hold", True)]


def test_a_column_the_contract_does_not_use_may_go():
    assert found(FULL, {**FULL, "nation": "text"}) == [("missing", "nation", "ignore", False)]


def test_wider_narrower_and_other_types_are_told_apart():
    assert found({**FULL, "number": "varchar(50)"}, FULL) == [("widened", "number", "ignore", False)]
    assert found({**FULL, "number": "varchar(10)"}, FULL) == [("retyped", "number", "hold", False)]
    assert found({**FULL, "amount": "text"}, FULL, drift={"retyped": "fail"}) == [("retyped", "amount", "fail", False)]


def test_a_column_that_cannot_be_read_as_its_field_is_found_at_the_first_run():
    assert found({**FULL, "出生日期": pa.bool_()}) == [("retyped", "出生日期", "hold", False)]
    assert found({**FULL, "出生日期": pa.int32(), "amount": pa.float64()}) == []


@pytest.mark.parametrize(
    ("before", "after", "lossless"),
    [
        ("varchar(20)", "varchar(50)", True),
        ("character varying(20)", "character varying", True),
        ("character varying", "character varying(20)", False),
        ("character(6)", "character varying(18)", True),
        ("varchar(50)", "text", True),
        ("text", "varchar(50)", False),
        ("integer", "bigint", True),
        ("bigint", "integer", False),
        ("int32", "int64", True),
        ("numeric(10,2)", "numeric(12,2)", True),
        ("numeric(10,2)", "numeric(12,4)", True),
        ("numeric(10,2)", "numeric(10,4)", False),
        ("numeric(10,2)", "numeric", True),
        ("decimal128(10, 2)", "decimal128(10, 0)", False),
        ("timestamp(3) without time zone", "timestamp(6) without time zone", True),
        ("timestamp without time zone", "timestamp with time zone", False),
        ("date", "text", False),
    ],
)
def test_a_type_is_wider_if_every_value_still_fits(before: str, after: str, lossless: bool):
    assert wider(before, after) is lossless


@given(st.integers(1, 38), st.integers(0, 18), st.integers(1, 38), st.integers(0, 18))
def test_decimals_widen_exactly_if_both_sides_of_the_point_do(p: int, s: int, q: int, r: int):
    s, r = min(s, p), min(r, q)
    assert wider(f"numeric({p},{s})", f"numeric({q},{r})") is (q - r >= p - s and r >= s)


def test_changes_are_told_in_both_languages_with_a_hint_at_a_new_name():
    now = {"number": "varchar(18)", "出生年月日": "date", "amount": "numeric(10,2)"}
    texts = [told(one.record()) for one in changes(contract(), columns(**now), shape_of(columns(**FULL), contract()))]
    assert texts == [
        "源端新增列 `出生年月日`（`date`） · the source has a new column `出生年月日` (`date`)",
        "源端缺少列 `出生日期`（字段 born） · the source lacks column `出生日期` (field born); 若已改名，请写 `column: 出生年月日` · if it was renamed, write `column: 出生年月日`",
    ]


def test_of_a_file_that_may_have_no_header_only_the_contracts_own_columns_are_repeated():
    of_file = contract(table=None, file="a.csv")
    headless = columns(number=pa.string(), 张三=pa.string())
    assert shape_of(headless, of_file) == {"number": "string"}
    assert all("张三" not in told(one.record()) for one in changes(of_file, headless, {"number": "string"}))
    assert "nation" in shape_of(columns(**FULL, nation="text"), of_file)
