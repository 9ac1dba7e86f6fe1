"""A file of a department: found safely, opened once, and not to change while it is read."""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors import failures
from hub.errors import Mistake, Unavailable
from hub.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connectors.protocol import Place
    from schemas.source import Source


def source_path(source: Source, file: str | None) -> Path:
    """Return where *file* of *source* is (without *file*: the source's own path).

    A relative path starts at ``HUB_HOME``; what stands for a folder in a declaration (``${HUB_STATE}``) is already replaced.
    *file* must lie inside the source's folder. Nothing is opened.
    """
    if not source.path:
        raise Mistake(f"source {source.source!r}: a file is read, but `path` is missing", remedy="write `path` in the source's declaration")
    path = (settings().home / source.path).resolve()
    if not file:
        return path
    folder = path if path.is_dir() or not path.suffix else path.parent
    inside = (folder / file).resolve()
    if not inside.is_relative_to(folder):
        raise Mistake(f"source {source.source!r}: file {file!r} lies outside the source's folder", remedy="name a file inside `path`")
    return inside


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One open file. Its name may be given to a newer file meanwhile: this session keeps the one it opened."""

    source: Source
    place: Place
    descriptor: int
    size: int
    changed_ns: int

    def bytes_from_start(self) -> io.BufferedReader:
        """Return a fresh reader from the first byte; several may be in use at once."""
        return io.BufferedReader(_Raw(self.descriptor), 1 << 20)

    def unchanged(self) -> None:
        """Raise ``Rejected`` if the file was written to since it was opened."""
        now = os.fstat(self.descriptor)
        if (now.st_size, now.st_mtime_ns) != (self.size, self.changed_ns):
            raise failures.broken(
                self.source,
                self.place,
                "the file changed while it was read",
                "run again when the department has finished writing it; better, have it written under another name and renamed",
            )


class _Raw(io.RawIOBase):
    """Reads a shared descriptor at its own position."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor, self._at = descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._descriptor).st_size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        read = os.preadv(self._descriptor, [buffer], self._at)
        self._at += read
        return read


@contextmanager
def opened(source: Source, place: Place) -> Iterator[SourceFile]:
    """Open the place's file for reading; ``Unavailable`` if it is not there, ``Rejected`` if it is empty."""
    path = source_path(source, place.file)
    descriptor = _descriptor(source, place, path)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise Mistake(
                f"source {source.source!r}: {path} is not a file", remedy="name a file in the contract's `file`, or in the source's `path`"
            )
        if state.st_size == 0:
            raise failures.broken(
                source, place, "the file is empty", "have the department supply it anew; a file without records still has its header"
            )
        file = SourceFile(source, place, descriptor, state.st_size, state.st_mtime_ns)
        yield file
        file.unchanged()
    finally:
        os.close(descriptor)


def not_there(source: Source, path: Path) -> Unavailable:
    """Say that the file is missing: departments deliver late, so trying again can help."""
    return Unavailable(
        f"source {source.source!r} of {source.department}: file {path} is not there",
        remedy="it may arrive later; if not, check `path` in the source's declaration and `file` in the contract",
    )


def _descriptor(source: Source, place: Place, path: Path) -> int:
    try:
        # O_NONBLOCK: a named pipe must not hold the job up.
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise not_there(source, path) from None
    except PermissionError:
        raise Mistake(
            f"source {source.source!r}, {place}: the hub may not read {path}",
            remedy="give the user that runs the hub the right to read the file",
        ) from None
    except OSError as error:
        raise failures.down(source, f"file {path} cannot be opened ({os.strerror(error.errno or 0)})") from None
