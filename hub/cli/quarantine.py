"""``hub quarantine``: rows that broke a rule, explained without a value of theirs."""

from typing import Annotated

import typer

from hub.cli.printing import AsJson, actor, as_json, local, table

app = typer.Typer(help="隔离区 · Quarantine.", no_args_is_help=True)
Only = Annotated[str | None, typer.Argument(help="只看这个数据集 · only this dataset")]


@app.command("list")
def list_heaps(dataset: Only = None, *, json: AsJson = False) -> None:
    """按数据集和规则列出隔离的行 · List quarantined rows by dataset and rule."""
    from hub.flows import quarantine

    found = quarantine.listed(dataset)
    if json:
        as_json(found)
        return
    rows = [(one.dataset, one.title_zh, one.title_en, one.rows, local(one.since)) for one in found]
    table("隔离区 · Quarantine", ["数据集 dataset", "规则", "rule", "行数 rows", "始于 since"], rows, right=(3,))


@app.command()
def show(dataset: str, *, limit: int = 50, json: AsJson = False) -> None:
    """列出一个数据集隔离的行：位置、主键、所违规则（不含值） · Show quarantined rows: position, key, rules; no values."""
    from hub.flows import quarantine

    found = quarantine.shown(dataset, by=actor(), limit=limit)
    if json:
        as_json(found)
        return
    rows = [(one.id, one.batch, one.position, one.row_key or "缺失 missing", ", ".join(one.checks)) for one in found]
    table(
        f"{dataset} 隔离的行 · quarantined rows", ["编号", "批次 batch", "第几行 row", "主键 key", "规则 field.rule"], rows, right=(0, 1, 2)
    )
