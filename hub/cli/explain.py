"""``hub explain``: where each value of one subject comes from."""

import sys
from typing import Annotated

import typer

from hub.cli.printing import AsJson, actor, as_json, local, table
from hub.errors import Refused


def explain(
    library: str,
    entity: Annotated[str | None, typer.Argument(help="缺省为库的第一个实体 · the library's first entity by default")] = None,
    *,
    json: AsJson = False,
) -> None:
    """说明一个主体各字段的来源；号码从提示或标准输入读取 · Say where each value of one subject comes from; the number comes from a prompt or stdin."""  # noqa: E501
    from hub.flows import explaining

    described, found = explaining.explain(library, entity, _identifier(), by=actor())
    if not found:
        raise Refused(
            f"library {library} knows no {described.entity} by that identifier",
            remedy="check the number; `hub library unanchored` lists rows nobody vouches for",
        )
    if json:
        as_json(found)
        return
    rows = [
        (
            f"{one.field.title.zh} {one.field.name}",
            one.shown,
            one.field.level.value,
            f"{one.department_zh} {one.dataset}",
            "采信 stands" if one.stands else "不同 differs" if one.differs else "相同 same",
            one.contract_version or "—",
            one.batch or "—",
            local(one.at),
        )
        for one in found
    ]
    columns = ["字段 field", "值（保护形式） value", "级", "来源 dataset", "采信", "契约", "批次", "时间 at"]
    table(f"{described.title.zh} · {described.title.en}", columns, rows, right=(5, 6))


def _identifier() -> str:
    """Read the identifier where neither the process list nor the shell's history can see it."""
    if sys.stdin.isatty():
        return str(typer.prompt("号码 identifier", hide_input=True)).strip()
    return sys.stdin.readline().strip()
