"""``hub library``: what the base libraries hold, their tables, their disputes."""

import sys
from typing import Annotated

import typer

from hub.cli.printing import AsJson, actor, as_json, console, local, table

app = typer.Typer(help="基础库 · Base libraries.", no_args_is_help=True)
Only = Annotated[str | None, typer.Argument(help="只看这个库 · only this library")]


@app.command("list")
def list_entities(*, json: AsJson = False) -> None:
    """列出各基础库的实体、行数与来源 · List entities, their rows and who contributes."""
    from hub.flows import bases

    found = bases.listed()
    if json:
        as_json(found)
        return
    rows = [
        (
            f"{one.library_title.zh} {one.library}",
            f"{one.entity_title.zh} {one.entity}",
            one.version,
            f"{one.rows:,}",
            _sources(one.datasets),
        )
        for one in found
    ]
    table("基础库 · Base libraries", ["库 library", "实体 entity", "版本", "行数 rows", "来源 datasets"], rows, right=(2, 3))


def _sources(datasets: dict[str, int]) -> str:
    return ", ".join(f"{dataset} {rows:,}" for dataset, rows in datasets.items())


@app.command()
def plan(*, json: AsJson = False) -> None:
    """比较声明与库表，列出待做的变更 · Show what `apply` would change."""
    from hub.flows import bases

    steps = bases.planned()
    _warn(bases.unraised())
    if json:
        as_json(steps)
        return
    table("待做变更 · Plan", ["库 library", "变更 step"], [(step.library, step.purpose) for step in steps])
    console.print(f"共 {len(steps)} 步 · {len(steps)} steps" if steps else "声明与库表一致 · declarations and tables agree")


@app.command()
def apply(
    *,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="允许清除不得再保存的值 · allow steps that lose values which may not stay as they are"),
    ] = False,
) -> None:
    """按声明建立或变更库表 · Bring the library tables to the declarations."""
    from hub.flows import bases

    _warn(bases.unraised())
    steps = bases.applied(by=actor(), forget=forget)
    console.print(f"已完成 {len(steps)} 步 · {len(steps)} steps done" if steps else "声明与库表一致 · declarations and tables agree")


def _warn(unraised: tuple[str, ...]) -> None:
    for dataset in unraised:
        sys.stderr.write(f"! 契约已变而版本号未升 · the contract of {dataset} changed without its version being raised: raise `version`\n")


@app.command()
def versions(library: str, *, json: AsJson = False) -> None:
    """列出一个库的版本及其由来 · List the versions of a library."""
    from hub.flows import bases

    found = bases.versions(library)
    if json:
        as_json(found)
        return
    rows = [
        (
            f"{one['epoch']}.{one['version']}",
            local(one["made_at"]),  # type: ignore[arg-type]
            one["cause"],
            one["dataset"] or "—",
            one["batch"] or "—",
        )
        for one in found
    ]
    columns = ["纪元.版本 epoch.version", "时间 at", "缘由 cause", "数据集 dataset", "批次 batch"]
    table(f"{library} 的版本 · versions", columns, rows, right=(0, 4))


@app.command()
def changes(
    entity: Annotated[str, typer.Argument(help="如 population.person")],
    *,
    after: Annotated[int, typer.Option(help="自此版本之后 · after this version")],
    until: Annotated[int | None, typer.Option(help="到此版本为止，缺省为最新 · up to this version, the newest by default")] = None,
    json: AsJson = False,
) -> None:
    """统计两个版本之间的变化 · Count what changed between two versions."""
    from hub.flows import bases

    newest, found = bases.changed(entity, after=after, until=until)
    if json:
        as_json({"entity": entity, "after": after, "until": newest, "changes": found})
        return
    words = {"insert": "新增 insert", "update": "变更 update", "delete": "删除 delete", "erase": "依法删除个人 erased"}
    rows = [(words[change], f"{count:,}") for change, count in found.items()]
    table(f"{entity}：版本 {after} → {newest} · version {after} → {newest}", ["变化 change", "数量 count"], rows, right=(1,))


@app.command()
def disputes(library: Only = None, *, json: AsJson = False) -> None:
    """列出部门之间不一致的字段 · List fields on which departments disagree."""
    from hub.flows import bases

    found = bases.all_disputes(library)
    if json:
        as_json(found)
        return
    rows = [(f"{one.library}.{one.entity}", one.field, one.stands, one.differs, f"{one.subjects:,}") for one in found]
    table("争议 · Disputes", ["实体 entity", "字段 field", "采信 stands", "不同 differs", "主体数 subjects"], rows, right=(4,))


@app.command()
def unanchored(library: Only = None, *, json: AsJson = False) -> None:
    """列出没有登记部门承认其主体的行 · List rows whose subject no register makes exist."""
    from hub.flows import bases

    found = bases.all_unanchored(library)
    if json:
        as_json(found)
        return
    rows = [(f"{one.library}.{one.entity}", one.dataset, f"{one.rows:,}") for one in found]
    table("无主数据 · Unanchored", ["实体 entity", "数据集 dataset", "行数 rows"], rows, right=(2,))


@app.command()
def prune(*, json: AsJson = False) -> None:
    """清理超过保存期限的历史、隔离值与残留 · Remove what is older than its contract keeps it."""
    from hub.flows import retention

    done = retention.pruned(by=actor())
    if json:
        as_json(done)
        return
    rows = [("历史行 history rows", name, f"{count:,}") for name, count in done.histories.items() if count]
    rows += [("退役字段的值 values of fields that left", name, f"{count:,}") for name, count in done.retired.items() if count]
    rows += [("无人提及的标识 idle identifiers", name, f"{count:,}") for name, count in done.identifiers.items() if count]
    rows += [("过期隔离值 quarantined values", name, f"{count:,}") for name, count in done.quarantined.items() if count]
    rows += [("暂存残留 staging tables", f"批次 batch {batch}", "1") for batch in done.staging]
    rows += [("校验报告 Data Docs", page, "1") for page in done.documents]
    rows += [("重写的表 tables written anew", name, "1") for name in done.rewritten]
    table("已清理 · Pruned", ["种类 what", "何处 where", "数量 count"], rows, right=(2,))
