"""``hub check``: every mistake of every declaration at once."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from hub.cli.printing import console
from hub.errors import Mistakes
from hub.settings import settings


def check(
    schemas: Annotated[
        Path | None, typer.Option(help="另存编辑器用的 JSON Schema 到此目录 · write JSON Schemas for editors into this folder")
    ] = None,
) -> None:
    """检查全部声明文件，一次列出所有错误 · Check every declaration and list all mistakes at once."""
    from schemas.checks import check as check_all
    from schemas.declarations import read_all
    from schemas.editor import json_schemas
    from schemas.opening import calendar_warning
    from schemas.schedule import Days

    found = read_all(settings().home)
    findings = check_all(found)
    if findings:
        raise Mistakes(findings)
    if schemas is not None:
        schemas.mkdir(parents=True, exist_ok=True)
        for name, schema in json_schemas().items():
            (schemas / f"{name}.schema.json").write_text(json.dumps(schema, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    calendar = found.workdays
    if calendar and any(one.schedule and one.schedule.days is not Days.ALL for one in found.contracts.values()):
        notice = calendar_warning(calendar.until, datetime.now(ZoneInfo(settings().timezone)).date())
        console.print(f"[yellow]{notice}[/]" if notice else f"工作日历至 {calendar.until} 年 · working days known until {calendar.until}")
    console.print(
        f"声明无误 · no mistakes: {len(found.sources)} sources, {len(found.contracts)} contracts, "
        f"{len(found.libraries)} libraries, {len(found.codes)} code lists, {len(found.kinds)} kinds"
    )
