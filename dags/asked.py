"""What an officer may ask of one run in Airflow's form: everything anew, or a window of the cursor."""

from collections.abc import Mapping

from airflow.sdk import Param

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


def asked(given: Mapping[str, object] | None) -> dict[str, object]:
    """Return what was filled in, for ``hub.flows.windows.Asked``; an empty field asks for nothing."""
    return {name: value for name in ("full", "after", "until") if (value := (given or {}).get(name))}
