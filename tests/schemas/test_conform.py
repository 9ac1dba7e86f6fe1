"""Source columns become the contract's types; what cannot be read is marked and never raises."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import Rejected
from schemas.conform import arrow_type, conform
from schemas.contract import Field
from schemas.declared import FieldType, Title


def field(type_: str, **more: object) -> Field:
    """Return a field called f."""
    return Field(name="f", title=Title(zh="字段", en="field"), type=type_, level="L1", **more)


def read(values: object, type_: str, of: pa.DataType | None = None, **more: object) -> tuple[list[object], list[bool]]:
    """Return the conformed values and the marks on the unreadable ones."""
    column = values if isinstance(values, pa.Array) else pa.array(values, of)
    done = conform(pa.record_batch({"f": column}), [field(type_, **more)], timezone="Asia/Shanghai")
    assert done.batch.schema.field("f").type == arrow_type(field(type_, **more))
    return done.batch.column(0).to_pylist(), done.failures["f"].to_pylist()


class TestText:
    def test_outer_white_space_goes_and_nothing_is_null(self) -> None:
        assert read([" a ", "\u3000王\u3000", "", " ", "王 五", None, "a\n", "\u00a0b"], "string") == (
            ["a", "王", None, None, "王 五", None, "a", "b"],
            [False] * 8,
        )

    def test_identifiers_lose_full_width_forms_and_lower_case(self) -> None:
        assert read(["１１０１０５４９１２３１００２ｘ", "11010519491231002x"], "string", kind="citizen_id")[0] == [
            "110105491231002X",
            "11010519491231002X",
        ]

    def test_names_keep_their_characters_and_get_one_separator(self) -> None:
        names = ["阿卜杜拉•买买提", "买买提・艾力", "a．b", "a‧b", "a·b", "𬭎﨑"]

        assert read(names, "string", kind="person_name")[0] == ["阿卜杜拉·买买提", "买买提·艾力", "a·b", "a·b", "a·b", "𬭎﨑"]

    def test_text_without_a_kind_is_left_alone(self) -> None:
        assert read(["１２ｘ", "a•b"], "string")[0] == ["１２ｘ", "a•b"]

    def test_a_character_that_postgresql_cannot_hold_makes_its_value_unreadable(self) -> None:
        assert read(["a\0b", "\0", "ab", None, ""], "string") == ([None, None, "ab", None, None], [True, True, False, False, False])

    def test_a_spreadsheet_number_loses_its_decimal_point(self) -> None:
        assert read([110101.0, 2.5, None], "string")[0] == ["110101", "2.5", None]

    def test_an_identifier_whose_digits_a_spreadsheet_has_lost_is_unreadable(self) -> None:
        assert read([1.1010519491231e17, 11010.0], "string", kind="citizen_id") == ([None, "11010"], [True, False])

    def test_other_types_are_written_as_people_write_them(self) -> None:
        assert read([1, None], "string")[0] == ["1", None]
        assert read([Decimal("12.500"), Decimal("12.000")], "string")[0] == ["12.5", "12"]
        assert read([date(2020, 1, 2)], "string")[0] == ["2020-01-02"]
        assert read([datetime(2020, 1, 2), datetime(2020, 1, 2, 3)], "string")[0] == ["2020-01-02", "2020-01-02 03:00:00"]
        assert read(["王".encode(), b"\xff"], "string")[0] == ["王", "\ufffd"]

    def test_dictionaries_views_and_large_strings_are_text(self) -> None:
        for column in (
            pa.array(["a", "a"]).dictionary_encode(),
            pa.array(["a", "a"], pa.large_string()),
            pa.array(["a", "a"], pa.string_view()),
        ):
            assert read(column, "string")[0] == ["a", "a"]

    def test_a_slice_is_read_like_a_whole(self) -> None:
        assert read(pa.array(["x ", "a ", "b", ""]).slice(1), "string")[0] == ["a", "b", None]


class TestNumbers:
    def test_integers(self) -> None:
        given_, wanted = (
            ["1", "+5", "-7", "1.0", "1,234", "１２", "1.5", "x", "9" * 19, "0x1F", "", None],
            [1, 5, -7, 1, 1234, 12, None, None, None, None, None, None],
        )

        assert read(given_, "integer") == (wanted, [False] * 6 + [True] * 4 + [False] * 2)
        assert read([1.0, 1.5], "integer") == ([1, None], [False, True])
        assert read([1, None], "integer", pa.int16()) == ([1, None], [False, False])
        assert read([2**64 - 1], "integer", pa.uint64()) == ([None], [True])

    def test_decimals_keep_every_digit_or_are_unreadable(self) -> None:
        given_ = ["1", "-7.25", "1.12345600", "0012.", ".5", "1,234.5", "1.1234567", "1" * 15, "1e3", ".", ""]
        read_, marks = read(given_, "decimal")

        assert read_[:6] == [Decimal(1), Decimal("-7.25"), Decimal("1.123456"), Decimal(12), Decimal("0.5"), Decimal("1234.5")]
        assert marks == [False] * 6 + [True] * 4 + [False]

    def test_floating_point_is_rounded_to_the_scale(self) -> None:
        assert read([0.1 + 0.2, float("nan"), 1e30, None], "decimal") == ([Decimal("0.3"), None, None, None], [False, True, True, False])

    def test_numbers_are_finite(self) -> None:
        assert read(["1e3", ".5", "nan", "inf", "1e400", "x", ""], "number") == (
            [1000.0, 0.5, None, None, None, None, None],
            [False, False, True, True, True, True, False],
        )
        assert read([1.5, float("inf")], "number") == ([1.5, None], [False, True])

    def test_truth_is_told_in_many_ways(self) -> None:
        assert read(["是", "否", "y", "N", "true", "0", "2", ""], "boolean") == (
            [True, False, True, False, True, False, None, None],
            [False] * 6 + [True, False],
        )
        assert read([1, 0, 2], "boolean") == ([True, False, None], [False, False, True])
        assert read([True, None], "boolean") == ([True, None], [False, False])


class TestDates:
    @pytest.mark.parametrize(
        "text",
        [
            "19900102",
            "1990-01-02",
            "1990/01/02",
            "1990/1/2",
            "1990.1.2",
            "1990年1月2日",
            "１９９０年１月２日",
            "1990-01-02 00:00:00",
            "1990-01-02T23:59:59",
        ],
    )
    def test_a_date_is_written_in_many_ways(self, text: str) -> None:
        assert read([text], "date") == ([date(1990, 1, 2)], [False])

    @pytest.mark.parametrize("text", ["19900229", "1990-13-01", "0000-00-00", "1990", "x"])
    def test_a_day_that_does_not_exist_is_unreadable(self, text: str) -> None:
        assert read([text], "date") == ([None], [True])

    @pytest.mark.parametrize("text", ["长期", "永久", "9999-12-31", "99991231", "", None])
    def test_an_open_end_is_null_and_not_unreadable(self, text: str | None) -> None:
        assert read([text], "date", pa.string()) == ([None], [False])

    def test_the_last_day_of_the_calendar_is_an_open_end_in_every_type(self) -> None:
        assert read([date(9999, 12, 31)], "date") == ([None], [False])

    def test_numbers_and_spreadsheet_times_are_dates(self) -> None:
        assert read([19900102, 5], "date") == ([date(1990, 1, 2), None], [False, True])
        assert read([datetime(1990, 1, 2, 23)], "date") == ([date(1990, 1, 2)], [False])

    def test_an_instant_is_the_day_it_has_here(self) -> None:
        assert read([datetime(1990, 1, 1, 23, tzinfo=UTC)], "date") == ([date(1990, 1, 2)], [False])
        assert read(["1990-01-01T23:00:00Z"], "date") == ([date(1990, 1, 2)], [False])

    @given(day=st.dates())
    @settings(deadline=None)
    def test_every_day_comes_back(self, day: date) -> None:
        wanted = None if day == date(9999, 12, 31) else day

        assert read([day.isoformat(), f"{day:%Y}".zfill(4) + f"{day:%m%d}"], "date")[0] == [wanted, wanted]


class TestTimestamps:
    def test_a_time_without_an_offset_is_local(self) -> None:
        wanted = datetime(2020, 1, 1, 19, 4, 5, tzinfo=UTC)

        assert read(["2020-01-02 03:04:05", "2020-01-02T03:04:05", "2020/1/2 3:04:05"], "timestamp")[0] == [wanted] * 3
        assert read([datetime(2020, 1, 2, 3, 4, 5)], "timestamp")[0] == [wanted]

    def test_an_offset_is_honoured(self) -> None:
        wanted = datetime(2020, 1, 1, 19, 4, 5, 250_000, tzinfo=UTC)
        texts = ["2020-01-01T19:04:05.25Z", "2020-01-02 03:04:05.25+08:00", "2020-01-02 03:04:05.250000+08", "2020-01-01 11:34:05.25-0730"]

        assert read(texts, "timestamp")[0] == [wanted] * 4

    def test_a_date_is_its_midnight_here(self) -> None:
        assert read(["20200102", "2020-01-02"], "timestamp")[0] == [datetime(2020, 1, 1, 16, tzinfo=UTC)] * 2
        assert read([date(2020, 1, 2)], "timestamp")[0] == [datetime(2020, 1, 1, 16, tzinfo=UTC)]

    def test_what_is_not_on_a_clock_is_unreadable(self) -> None:
        assert read(["2020-01-02 25:00:00", "2020-01-02 23:60:00", "x", ""], "timestamp") == ([None] * 4, [True, True, True, False])

    def test_summer_time_of_the_past_is_known(self) -> None:
        assert read(["1988-07-01 12:00:00"], "timestamp")[0] == [datetime(1988, 7, 1, 3, tzinfo=UTC)]


class TestGeometries:
    def test_every_written_form_gives_one_wkb(self) -> None:
        point = shapely.Point(120.5, 30.25)
        forms = [point.wkt, point.wkb_hex, shapely.to_wkb(point, hex=True, byte_order=0), shapely.to_geojson(point)]

        read_, marks = read(forms, "geometry")

        assert read_ == [shapely.to_wkb(point, byte_order=1, flavor="iso")] * 4
        assert marks == [False] * 4

    def test_bytes_lose_their_srid_and_broken_ones_are_unreadable(self) -> None:
        point = shapely.set_srid(shapely.Point(1, 2), 4490)

        assert read([shapely.to_wkb(point, include_srid=True), b"x", None], "geometry") == (
            [shapely.to_wkb(shapely.Point(1, 2), byte_order=1), None, None],
            [False, True, False],
        )

    def test_broken_text_is_unreadable(self) -> None:
        assert read(["POINT (1", "{}", "00", "x", ""], "geometry") == ([None] * 5, [True] * 4 + [False])


def test_columns_come_in_the_contract_s_order_and_names() -> None:
    fields = [
        Field(name="name", title=Title(zh="", en=""), type="string", level="L1", column="姓名"),
        Field(name="id", title=Title(zh="", en=""), type="integer", level="L1"),
    ]
    batch = pa.record_batch({"id": [1], "other": [2], "姓名": ["王"]})

    done = conform(batch, fields, timezone="Asia/Shanghai")

    assert done.batch.to_pydict() == {"name": ["王"], "id": [1]}
    assert set(done.failures) == {"name", "id"}


def test_a_missing_column_is_named_with_its_remedy() -> None:
    with pytest.raises(Rejected, match="no column 'f'"):
        conform(pa.record_batch({"g": ["secret"]}), [field("string")], timezone="Asia/Shanghai")


anything = st.one_of(st.none(), st.text(max_size=20), st.from_regex(r"[0-9０-９.,+\-/年月日: TZ]{0,22}", fullmatch=True))


@pytest.mark.parametrize("type_", list(FieldType))
class TestEveryType:
    @given(values=st.lists(anything, max_size=6))
    @settings(max_examples=60, deadline=None)
    def test_no_text_raises_and_parts_agree_with_the_whole(self, type_: FieldType, values: list[str | None]) -> None:
        column = pa.array(values, pa.string())
        whole = read(column, type_)

        parts = [read(column.slice(place, 1), type_) for place in range(len(values))]

        assert [value for part, _ in parts for value in part] == whole[0]
        assert [mark for _, marks in parts for mark in marks] == whole[1]

    def test_nothing_stays_nothing(self, type_: FieldType) -> None:
        assert read(pa.nulls(2), type_) == ([None, None], [False, False])
        assert read(pa.array([], pa.string()), type_) == ([], [])
