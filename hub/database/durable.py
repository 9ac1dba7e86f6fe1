"""Files that are there for good or not at all: written beside, made durable, renamed into place."""

import os
import tempfile
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Replace *path* at once, readable by the owner alone: a crash leaves the old file or the new one."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # of mode 600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    sync(path.parent)


def rename(old: Path, new: Path) -> None:
    """Give *old* the name *new* in the same folder; it stays renamed after a power cut."""
    old.rename(new)
    sync(new.parent)


def sync_all(folder: Path) -> None:
    """Make every file and folder below *folder* durable."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            sync(path)
    for path in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
        sync(path)


def sync(path: Path) -> None:
    """Make one file or the list of names in one folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
