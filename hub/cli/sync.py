"""``hub sync``: one job, here and now, without Airflow."""

from typing import Annotated

import typer

from hub.cli.printing import actor, console, progress, table

Full = Annotated[bool, typer.Option("--full", help="整表重读，不论游标 · read everything, whatever the cursor says")]
After = Annotated[str | None, typer.Option(help="补录窗口：游标大于此值的行 · backfill: rows whose cursor is greater")]
Until = Annotated[str | None, typer.Option(help="补录窗口：游标不大于此值的行 · backfill: rows whose cursor is not greater")]


def sync(dataset: str, full: Full = False, after: After = None, until: Until = None) -> None:
    """立即运行一个作业（不经 Airflow） · Run one job here and now, without Airflow."""
    from hub.flows import sync as flow
    from hub.flows.windows import Asked

    with progress() as shown:
        published = flow.sync(dataset, started_by=actor(), asked=Asked(full=full, after=after, until=until), progress=shown)
    rows = [
        (path, one.new, one.changed, one.reprotected, one.unchanged, one.superseded, one.deleted) for path, one in published.merged.items()
    ]
    columns = ["实体 entity", "新增 new", "变更 changed", "重新保护 re-protected", "未变 unchanged", "被取代 superseded", "删除 deleted"]
    table(f"批次 {published.batch} 已发布 · batch {published.batch} published", columns, rows, right=range(1, 7))
    versions = ", ".join(f"{library} → {version}" for library, version in published.versions.items())
    console.print(f"新版本 · new versions: {versions}" if versions else "没有变化 · nothing changed")
