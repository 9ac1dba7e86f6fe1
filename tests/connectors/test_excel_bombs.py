"""Workbooks made to unpack to more than a machine can hold."""

import struct
import zipfile
from time import monotonic

import openpyxl
import pytest

from connectors.protocol import Place, Window
from connectors.registry import open_connector
from hub.errors import Rejected

SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def book(tmp_path):
    """Return the function that writes a small workbook with parts changed or added, and its path."""
    plain = tmp_path / "plain.xlsx"
    made = openpyxl.Workbook()
    made.active.append(["id", "name"])
    made.active.append([1, "x"])
    made.save(plain)

    def changed(**parts):
        path = tmp_path / "a.xlsx"
        with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, parts.get("parts", {}).pop(name, None) or old.read(name))
            for name, content in parts.get("parts", {}).items():
                new.writestr(name, content)
        return path

    return changed


@pytest.fixture
def refused(tmp_path, source):
    """Return the function that must be refused, and quickly, and gives the words."""

    def problem():
        began = monotonic()
        with pytest.raises(Rejected) as caught, open_connector(source("excel", path=str(tmp_path)), Place(file="a.xlsx")) as session:
            for _ in session.read(["id"], Window()):
                pass
        assert monotonic() - began < 5
        assert caught.value.remedy
        return caught.value.problem

    return problem


def test_a_sheet_of_blanks_is_not_unpacked(book, refused):
    book(parts={SHEET: b" " * (70 << 20)})
    assert "times its size" in refused()


def test_shared_text_beyond_what_is_held_is_not_unpacked(book, refused):
    book(parts={"xl/media/a.bin": b"x" * (140 << 20)})
    assert "140 MiB of text shared" in refused()


def test_very_many_parts_are_not_listed_twice(book, refused):
    book(parts={f"xl/p{n}.xml": b"" for n in range(10_001)})
    assert "parts, more than" in refused()


def test_a_part_that_lies_about_its_size_is_unpacked_no_further_than_it_says(book, refused):
    path = book(parts={SHEET: b"<worksheet>" + b" " * (200 << 20)})
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as parts:
        local = parts.getinfo(SHEET).header_offset
        central = raw.index(SHEET.encode(), parts.start_dir) - 46
    raw[local + 22 : local + 26] = raw[central + 24 : central + 28] = struct.pack("<I", 1000)
    path.write_bytes(raw)
    assert "not a whole .xlsx workbook" in refused()
    assert zipfile.ZipFile(path).getinfo(SHEET).file_size == 1000


def test_entities_within_entities_are_not_multiplied(book, refused):
    entities = '<!ENTITY a "xxxxxxxxxx">' + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    row = '<row r="1"><c r="A1" t="str"><v>id</v></c></row><row r="2"><c r="A2" t="str"><v>&j;</v></c></row>'
    book(parts={SHEET: f"<!DOCTYPE w [{entities}]><worksheet><sheetData>{row}</sheetData></worksheet>".encode()})
    assert "not a whole .xlsx workbook" in refused()
