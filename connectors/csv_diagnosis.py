"""What is wrong with a CSV file, by line. A second, slower look at a file that could not be read."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from connectors import failures
from connectors.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.files import SourceFile
    from hub.errors import Rejected

# Of one record; Arrow reads up to 32 blocks of this size ahead, so it bounds memory too.
LONGEST = 1 << 20
# Python's default of 128 KiB would report a long field of a sound file as broken.
csv.field_size_limit(max(csv.field_size_limit(), LONGEST))


class _TooLongError(Exception):
    """A line that no reader takes in whole."""


def diagnosis(file: SourceFile, encoding: str, expected: int | None) -> Rejected | None:
    """Return why *file* cannot be read as CSV, with line numbers and never a value; None if nothing is found.

    *expected* is the number of columns in the header, None if the header is what could not be read.
    """
    undecodable, ragged, counts = Lines(), Lines(), set[int]()
    rows = csv.reader(_lines(file, encoding, undecodable), delimiter=file.source.delimiter, strict=True)
    begins, quoting = 1, None
    try:
        for row in rows:
            if row and expected is not None and len(row) != expected:
                ragged.add(begins)
                counts.add(len(row))
            begins = rows.line_num + 1
    except _TooLongError:
        quoting = f"the record that begins in line {begins} is longer than {LONGEST >> 20} MiB"
    except csv.Error:
        quoting = f"a quoted field in the record that begins in line {begins} is not closed, or goes on after its closing quote"
    if undecodable.total:
        return _undecodable(file, encoding, undecodable)
    if quoting:
        remedy = "have the department supply it anew: a field with a quote is put in quotes and the quote doubled (RFC 4180)"
        return failures.broken(file.source, file.place, quoting, remedy)
    if ragged.total:
        counted = f"{expected} columns in the header, {_range(counts)} in the record"
        what = f"{ragged.total} records have another number of columns than the header ({counted}): {ragged}"
        return failures.broken(
            file.source, file.place, what, "have the department mend those lines: a field that holds the delimiter is put in quotes"
        )
    return None


def _undecodable(file: SourceFile, encoding: str, lines: Lines) -> Rejected:
    other = "gb18030" if encoding == "utf-8" else "utf-8"
    remedy = f"if the file is in another encoding, declare it (`encoding: {other}`); else have the department save it as UTF-8"
    return failures.broken(file.source, file.place, f"{lines} cannot be read as {encoding}", remedy)


def _range(counts: set[int]) -> str:
    if not counts:
        return "none"
    return str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def _lines(file: SourceFile, encoding: str, undecodable: Lines) -> Iterator[str]:
    raw = file.bytes_from_start()
    number = 0
    for number, line in enumerate(iter(lambda: raw.readline(LONGEST), b""), 1):
        if len(line) == LONGEST:
            raise _TooLongError
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError:
            undecodable.add(number)
            text = line.decode(encoding, "replace")
        # A bare carriage return ends a line too, as for Arrow.
        yield from re.split(r"(?<=\r)(?!\n|$)", text)
