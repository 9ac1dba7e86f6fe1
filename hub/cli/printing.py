"""Tables for people, JSON for programs, progress on a terminal and plain lines elsewhere."""

import getpass
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hub.settings import settings

AsJson = Annotated[bool, typer.Option("--json", help="给程序读的 JSON · JSON for programs")]
console = Console(highlight=False)
STEPS = {"keys": "核对主键 keys", "rows": "读取校验脱敏 rows"}


def actor() -> str:
    """Return who runs the command line, for the records."""
    return f"cli:{getpass.getuser()}"


def local(moment: datetime | None) -> str:
    """Return *moment* in business time, to the second; a dash for none."""
    return moment.astimezone(ZoneInfo(settings().timezone)).strftime("%Y-%m-%d %H:%M:%S") if moment else "—"


def as_json(value: object) -> None:
    """Print *value* (records, lists, plain values) as JSON."""
    print(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))  # noqa: T201 (what --json is for)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()) -> None:
    """Print a table; the columns numbered in *right* are aligned right. On a narrow terminal cells wrap."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    console.print(made)
    console.print()


class Shown:
    """Progress of one job, as the flow reports it."""

    def __init__(self, bar: Progress | None) -> None:
        """Report to *bar*, or in plain lines every few seconds."""
        self._bar = bar
        self._task = bar.add_task("", total=None) if bar else None
        self._last = time.monotonic()

    def __call__(self, step: str, rows: int) -> None:
        """Report that *step* has reached *rows*."""
        text = f"{STEPS.get(step, step)} {rows:,}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=text)
        elif time.monotonic() - self._last > 5:  # noqa: PLR2004 (seconds between plain lines)
            self._last = time.monotonic()
            sys.stderr.write(text + "\n")


@contextmanager
def progress() -> Iterator[Shown]:
    """Show progress while a job runs."""
    if not console.is_terminal:
        yield Shown(None)
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True) as bar:
        yield Shown(bar)
