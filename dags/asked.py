"""What an officer may ask of one run in Airflow's form: everything anew, or a window of the cursor."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

if TYPE_CHECKING:
    from hub.flows.windows import Asked

_FULL = Param(
    default=False,
    type="boolean",
    title="整表重读 · Read everything",
    description="不论游标，整表重读一次 · read all of it once, whatever the cursor says",
)
_AFTER = Param(
    default=None,
    type=["null", "string"],
    title="补录窗口起（不含） · Window after",
    description="只读游标大于此值的行；不移动水位 · only rows whose cursor is greater; the watermark stays",
)
_UNTIL = Param(
    default=None,
    type=["null", "string"],
    title="补录窗口止（含） · Window until",
    description="只读游标不大于此值的行 · only rows whose cursor is not greater",
)


def form(*, windows: bool) -> dict[str, Param]:
    """Return the fields of the form: none for a job that reads everything at each run."""
    return {"full": _FULL, "after": _AFTER, "until": _UNTIL} if windows else {}


def asked(given: Mapping[str, Any] | None) -> "Asked":
    """Return what was filled in; an empty field asks for nothing. Call it in a task: it brings heavy imports."""
    from hub.flows.windows import Asked  # noqa: PLC0415 (heavy: not while parsing)

    filled = given or {}
    return Asked(full=bool(filled.get("full")), after=filled.get("after") or None, until=filled.get("until") or None)
