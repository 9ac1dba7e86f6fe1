"""Which rows of a source one run reads: all of them, what its cursor says is newer, or the window that an officer asked for."""

from dataclasses import dataclass
from typing import Any, Final, cast

import pyarrow as pa
import sqlalchemy as sa

from connectors.protocol import Connector, Window
from hub.errors import Mistake
from hub.flows.reasons import Reason
from schemas.conform import conform
from schemas.contract import Contract, Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an officer asks of one run: everything, or the rows with ``after < cursor <= until`` (the cursor's own form, as text).

    A window that was asked for does not move the watermark: the next run goes on where the last one ended.
    """

    full: bool = False
    after: str | None = None
    until: str | None = None

    @property
    def window(self) -> bool:
        """Whether a window is asked for."""
        return self.after is not None or self.until is not None


AS_DECLARED: Final = Asked()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The window to read, and the source's newest cursor value when it was opened: up to there the library will be in step.

    ``backwards`` is the watermark that the source has fallen behind; the window is then everything.
    """

    window: Window
    until: str | None
    backwards: str | None = None


def require_possible(contract: Contract, asked: Asked, *, timezone: str) -> None:
    """Raise :class:`Mistake` if *asked* cannot be read of *contract*."""
    if not asked.window:
        return
    if asked.full:
        raise Mistake("a run reads everything or a window, not both", remedy="leave out `--full`, or `--after` and `--until`")
    if contract.sync.mode is Mode.FULL or contract.sync.cursor is None:
        raise Mistake(
            f"{contract.dataset} is read whole at each run: it has no cursor to cut a window by",
            remedy="run it without `--after` and `--until`",
        )
    after, until = (_value(contract, bound, timezone) for bound in (asked.after, asked.until))
    for name, bound, value in (("after", asked.after, after), ("until", asked.until, until)):
        if bound is not None and value is None:
            field = contract.field(contract.sync.cursor)
            raise Mistake(
                f"`--{name}` is no value of the cursor `{field.name}` ({field.type.value})",
                remedy="write it as the source does; `hub batch show` tells the window of each run",
            )
    if after is not None and until is not None and after >= until:
        raise Mistake("the window is empty: `--after` is not before `--until`", remedy="exchange them")


def start(connection: sa.Connection, contract: Contract, protection: str, asked: Asked) -> Window:
    """Return where reading begins: after the watermark, or at the beginning if there is none or all rows must be protected anew."""
    if contract.sync.mode is Mode.FULL or contract.sync.cursor is None:
        return Window()
    cursor = contract.field(contract.sync.cursor).source_column
    query = sa.text("SELECT cursor, protection FROM hub.watermark WHERE dataset = :dataset")
    mark = connection.execute(query, {"dataset": contract.dataset}).one_or_none()
    if asked.full or mark is None or mark.protection != protection:
        return Window(cursor=cursor)
    if asked.window:
        return Window(cursor=cursor, after=asked.after, until=asked.until)
    return Window(cursor=cursor, after=mark.cursor)


def opened(contract: Contract, planned: Window, source: Connector, *, asked: Asked, timezone: str) -> Opened:
    """Return what to read of *source* now: from the declared lateness before the watermark up to its newest value.

    Where the newest value lies before that, changes may hide below the watermark: then everything is read.
    """
    if planned.cursor is None:
        return Opened(window=Window(), until=None)
    newest = source.newest(planned.cursor)
    if asked.window and planned.bounded:
        return Opened(window=planned, until=newest)
    if planned.after is None:
        return Opened(window=Window(), until=newest)
    late = contract.sync.late_seconds
    after = source.earlier(planned.after, late) if late else planned.after
    if _is_before(contract, newest, after, timezone):
        return Opened(window=Window(), until=newest, backwards=planned.after)
    return Opened(window=Window(cursor=planned.cursor, after=after, until=newest), until=newest)


def _is_before(contract: Contract, newest: str | None, after: str, timezone: str) -> bool:
    last, mark = _value(contract, newest, timezone), _value(contract, after, timezone)
    return last is not None and mark is not None and last < mark


def _value(contract: Contract, text: str | None, timezone: str) -> Any:  # noqa: ANN401 (whatever the cursor's type is)
    """Return *text* as a value of the cursor's type; ``None`` where it is none."""
    if text is None:
        return None
    field = contract.field(cast("str", contract.sync.cursor))
    row = pa.RecordBatch.from_pydict({field.source_column: pa.array([text], pa.string())})
    return conform(row, (field,), timezone=timezone).batch.column(0)[0].as_py()


def went_backwards(contract: Contract, read: Opened, *, rows: int) -> tuple[Reason, ...]:
    """Return the reason to hold a batch whose cursor went backwards, if *rows* changed that no window would have shown.

    If rows are only gone, the newest were deleted: nothing is wrong.
    """
    if read.backwards is None or not rows:
        return ()
    cursor = contract.sync.cursor
    return (
        Reason(
            rule="cursor",
            measured=read.until or "—",
            limit=read.backwards,
            zh=f"游标 `{cursor}` 倒退：上次同步到 {read.backwards}，源端现在最大为 {read.until}；"
            f"已整表重读，其中 {rows} 行的变化在窗口之外",
            en=f"the cursor `{cursor}` went backwards: the library is in step up to {read.backwards}, the newest at the source is now "
            f"{read.until}. All of it was read; {rows} rows changed that no window would have shown",
            do_zh="向部门核实：源库是否从备份恢复、时钟是否回拨、序号是否重置。内容无误则放行，此后从新的位置继续；否则作废",
            do_en="ask the department: was its database restored, its clock set back, its sequence begun anew? If what it holds is right, "
            "release the batch: later runs go on from there. If not, discard it",
        ),
    )
