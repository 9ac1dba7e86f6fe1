"""How large a workbook becomes when it is unpacked, looked at before any of it is.

What a part declares as its size also bounds what is unpacked of it: the standard library's reader stops there,
and finds a part whose checksum then does not fit broken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zipfile import ZipFile

from connectors import failures

if TYPE_CHECKING:
    from zipfile import ZipInfo

    from connectors.files import SourceFile
    from hub.errors import Rejected

PARTS = 10_000
HELD_BYTES = 128 << 20  # shared texts, styles and all else that is held in memory as a whole
SHEET_BYTES = 4 << 30
RATIO = 200  # sheets of a city's registers shrink 10 to 40 times; DEFLATE can do 1,032
SMALL_BYTES = 64 << 20  # below this the ratio does not matter


def require_harmless(file: SourceFile) -> None:
    """Raise ``Rejected`` for a workbook that would unpack to more than is sound; ``BadZipFile`` where it is none."""
    with ZipFile(file.bytes_from_start()) as book:
        parts = book.infolist()
    if len(parts) > PARTS:
        raise _refused(file, f"{len(parts)} parts, more than {PARTS}")
    held = sum(part.file_size for part in parts if not _is_sheet(part))
    if held > HELD_BYTES:
        raise _refused(file, f"{held >> 20} MiB of text shared between its cells, more than {HELD_BYTES >> 20} MiB")
    for part in parts:
        if part.file_size > SHEET_BYTES:
            raise _refused(file, f"a sheet of {part.file_size >> 20} MiB, more than {SHEET_BYTES >> 20} MiB")
        if part.file_size > max(SMALL_BYTES, RATIO * part.compress_size):
            raise _refused(file, f"a part that unpacks to {part.file_size // max(1, part.compress_size)} times its size, as no table does")


def _is_sheet(part: ZipInfo) -> bool:
    return part.filename.lower().startswith("xl/worksheets/") and part.filename.lower().endswith(".xml")


def _refused(file: SourceFile, what: str) -> Rejected:
    return failures.broken(
        file.source,
        file.place,
        f"the workbook holds {what}; it was not unpacked",
        "have the department supply it as CSV, or in several workbooks; if nobody made it so large on purpose, ask where it comes from",
    )
