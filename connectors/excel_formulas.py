"""Formulas without a value: a workbook written by a program that never calculated them.

openpyxl reads them as empty cells, which would lose them silently.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zipfile import ZipFile

from connectors.lines import Lines

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

    from connectors.files import SourceFile

PIECE_BYTES = 1 << 20
# In a cell `c` the formula `f` comes before the value `v` (ECMA-376 part 1, 18.3.1.4); here the cell ends without one,
# or with an empty one that is not the empty text of a formula for text (`t="str"`).
_NO_VALUE = re.compile(
    rb'<c\b(?![^>]*\bt="str")[^>]*?\br="([A-Z]+)(\d+)"[^>]*>\s*<f\b[^>]*?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>'
)


def _part(sheet: ReadOnlyWorksheet) -> str:
    path: str = sheet._worksheet_path  # type: ignore[attr-defined]  # noqa: SLF001  no public name tells the sheet's part
    return path.lstrip("/")


def uncalculated(file: SourceFile, sheet: ReadOnlyWorksheet) -> dict[str, Lines]:
    """Return the cells of *sheet* with a formula and no value, by column letter."""
    found: dict[str, Lines] = {}
    with ZipFile(file.bytes_from_start()) as parts, parts.open(_part(sheet)) as xml:
        text = b""
        while piece := xml.read(PIECE_BYTES):
            text += piece
            for match in _NO_VALUE.finditer(text):
                column = match[1].decode()
                found.setdefault(column, Lines("cell")).add(column + match[2].decode())
            # What may be the beginning of a cell waits for the rest of it.
            text = text[max(text.rfind(b"<c "), text.rfind(b"</c>"), 0) :] if b"<c " in text else text[-8:]
    return found
