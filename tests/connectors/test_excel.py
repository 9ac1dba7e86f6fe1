"""Excel: cells as text, formulas by their value, workbooks that are none."""

from datetime import date, datetime, time

import openpyxl
import pytest

from connectors.protocol import Oddity, Place, Window
from connectors.registry import open_connector
from hub.errors import Mistake, Rejected


@pytest.fixture
def book(tmp_path, source):
    """Return a function that writes rows to sheets and opens one."""

    def opened(sheet=None, cells=None, **sheets):
        workbook = openpyxl.Workbook()
        workbook.remove(workbook.active)
        for title, lines in sheets.items():
            added = workbook.create_sheet(title)
            for line in lines:
                added.append(line)
        for at, value in (cells or {}).items():
            workbook.worksheets[0][at] = value
        workbook.save(tmp_path / "a.xlsx")
        return open_connector(source("excel", path=str(tmp_path)), Place(file="a.xlsx", sheet=sheet))

    return opened


def rows(session):
    names = session.columns().names
    return [tuple(row.values()) for batch in session.read(names, Window()) for row in batch.to_pylist()]


def test_cells_arrive_as_text_that_says_what_they_hold(book):
    line = [7, 0.1, 3.0, True, date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5), time(3, 4), "007", "𠮷"]
    with book(S=[list("abcdefghi"), line]) as session:
        assert rows(session) == [("7", "0.1", "3", "true", "2026-01-02", "2026-01-02 03:04:05", "03:04:00", "007", "𠮷")]


def test_blank_rows_are_skipped_wherever_they_are(book):
    with book(S=[[None], ["a", "b"], [None, None], [1, 2], [None]]) as session:
        assert rows(session) == [("1", "2")]


def test_an_error_value_is_null_and_counted(book):
    with book(S=[["a", "b"], [1, "x"]], cells={"B2": "#N/A"}) as session:
        assert rows(session) == [("1", None)]
        assert session.oddities == {Oddity("b", "error value"): 1}


def test_a_formula_never_calculated_rejects_its_column_and_no_other(book):
    with book(S=[["a", "b"], [1, None]], cells={"B2": "=1+1"}) as session:
        assert [batch.to_pydict() for batch in session.read(["a"], Window())] == [{"a": ["1"]}]
        with pytest.raises(Rejected, match="B2"):
            list(session.read(["b"], Window()))


def test_a_calculated_formula_gives_its_value(book, tmp_path):
    with book(S=[["a"], [1]], cells={"A2": "=40+2"}):
        pass
    _edit(tmp_path / "a.xlsx", b"<v />", b"<v>42</v>", b"<v></v>")
    with open_connector(_source(tmp_path), Place(file="a.xlsx")) as session:
        assert rows(session) == [("42",)]


def _source(folder):
    from schemas.source import Source

    return Source(source="tested", department="tested", title={"zh": "试验", "en": "test"}, connector="excel", path=str(folder))


def _edit(path, *change):
    """Put *change*'s second text where its first or third stands in the sheet, as a spreadsheet program's recalculation would."""
    import zipfile

    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(change[0], change[1]).replace(change[2], change[1])
    assert parts["xl/worksheets/sheet1.xml"] != sheet
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)


def test_values_without_a_header_are_told_by_row(book):
    with book(S=[["a", "b"], [1, 2, 3], [4, 5]]) as session, pytest.raises(Rejected, match=r"2 columns, values up to column 3.*row 2"):
        rows(session)


def test_one_sheet_of_several_must_be_named(book):
    with pytest.raises(Mistake) as caught, book(S=[["a"]], T=[["b"]]):
        pass
    assert "S, T" in caught.value.remedy


def test_a_named_sheet_is_read(book):
    with book("T", S=[["a"]], T=[["b"], [1]]) as session:
        assert rows(session) == [("1",)]


def test_a_missing_sheet_is_a_mistake(book):
    with pytest.raises(Mistake), book("U", S=[["a"]]):
        pass


def test_an_empty_sheet_is_rejected(book):
    with pytest.raises(Rejected), book(S=[]):
        pass


def test_a_date_out_of_bounds_is_an_error_value_and_warns_of_nothing(book):
    with book(S=[["a"], [date(2026, 1, 2)]]) as session:
        assert rows(session) == [("2026-01-02",)]


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-100], lambda data: data[:200], lambda _: b"a,b\n1,2\n", lambda _: bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 600],
)
def test_a_workbook_cut_short_or_of_another_kind_is_rejected(book, tmp_path, source, damage):
    with book(S=[["a"], *([f"secret{n}"] for n in range(50))]):
        pass
    whole = (tmp_path / "a.xlsx").read_bytes()
    (tmp_path / "a.xlsx").write_bytes(damage(whole))
    with pytest.raises(Rejected) as caught, open_connector(source("excel", path=str(tmp_path)), Place(file="a.xlsx")) as session:
        rows(session)
    assert "secret" not in str(caught.value)
