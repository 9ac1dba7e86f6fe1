"""``hub batch``: the record of every run."""

from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.job import STATES
from hub.cli.printing import AsJson, actor, as_json, console, local, table

if TYPE_CHECKING:
    from hub.flows.batches import Batch

app = typer.Typer(help="批次 · Batches.", no_args_is_help=True)
Only = Annotated[str | None, typer.Argument(help="只看这个数据集 · only this dataset")]
Reason = Annotated[str, typer.Option(prompt="原因 reason", help="记入审计 · recorded in the audit log")]


@app.command("list")
def list_batches(dataset: Only = None, *, limit: int = 30, json: AsJson = False) -> None:
    """列出最近的批次 · List the newest batches."""
    from hub.flows import batches

    found = batches.newest(dataset, limit=limit)
    if json:
        as_json(found)
        return
    rows = [
        (
            one.id, one.dataset, f"{STATES[one.state]} {one.state}", local(one.started_at), one.counts.get("read", "—"),
            one.counts.get("valid", "—"), one.counts.get("quarantined", "—"), _lasted(one), one.started_by,
        )
        for one in found
    ]  # fmt: skip
    columns = ["批次", "数据集 dataset", "状态 state", "开始 began", "读取 read", "合格 valid", "隔离 quarantined", "秒 s", "发起 by"]
    table("批次 · Batches", columns, rows, right=(0, 4, 5, 6, 7))


def _lasted(batch: "Batch") -> str:
    return f"{(batch.ended_at - batch.started_at).total_seconds():.1f}" if batch.ended_at else "—"


@app.command()
def show(batch: int, *, json: AsJson = False) -> None:
    """查看一个批次：窗口、计数、校验和、用时、规则 · Show one batch."""
    from hub.flows import batches

    found, checks = batches.show(batch)
    if json:
        as_json({"batch": found, "checks": checks})
        return
    reasons = (found.gate or {}).get("reasons") or []
    window = f"{found.cursor_after or '…'} < {found.cursor_field} ≤ {found.cursor_until or '…'}" if found.cursor_field else "全量 full"
    facts = [
        ("数据集 dataset", found.dataset),
        ("状态 state", f"{STATES[found.state]} {found.state}" + (f" ({found.reason})" if found.reason else "")),
        ("发起 started by", f"{found.started_by}, {local(found.started_at)} → {local(found.ended_at)}"),
        ("窗口 window", window),
        ("源快照 snapshot", found.snapshot or "无 none"),
        ("契约/策略/代码版本 versions", f"contract {found.contract_version}, policy {found.policy_version}, code {found.code_version}"),
        ("源行数 source rows", found.counts.get("source_rows", "—")),
        (
            "读取 = 合格 + 隔离",
            f"{found.counts.get('read', '—')} = {found.counts.get('valid', '—')} + {found.counts.get('quarantined', '—')}",
        ),
        ("读作空值 read as null", _oddities(found.counts.get("oddities"))),
        ("源键校验和 source checksum", found.source_checksum or "—"),
        ("目标键校验和 target checksum", found.target_checksum or "—"),
        ("各步用时 seconds", ", ".join(f"{step} {spent:.2f}" for step, spent in found.seconds.items()) or "—"),
        ("门槛 gate", "; ".join(map(str, reasons)) if isinstance(reasons, list) and reasons else "通过 passed" if found.gate else "—"),
        ("校验报告 Data Docs", found.docs or "—"),
    ]
    table(f"批次 {found.id} · Batch {found.id}", ["", ""], facts)
    _show_entities(found.counts.get("entities"))
    failing = [(one.title_zh, one.title_en, one.severity, one.judged, one.failing) for one in checks if one.failing]
    table("未通过的规则 · Broken rules", ["规则", "rule", "严重度 severity", "判定 judged", "不合格 failing"], failing, right=(3, 4))


def _oddities(found: object) -> str:
    return ", ".join(f"{what} × {count}" for what, count in found.items()) if isinstance(found, dict) and found else "—"


def _show_entities(entities: object) -> None:
    if not isinstance(entities, dict):
        return
    names = ("staged", "new", "changed", "reprotected", "unchanged", "superseded", "deleted")
    rows = [(path, *(counts[name] for name in names)) for path, counts in entities.items()]
    columns = [
        "实体 entity",
        "暂存 staged",
        "新增 new",
        "变更 changed",
        "重新保护 re-protected",
        "未变 unchanged",
        "被取代 superseded",
        "删除 deleted",
    ]
    table("合并结果 · Merged", columns, rows, right=range(1, 8))


@app.command()
def release(batch: int, reason: Reason) -> None:
    """放行被扣留的批次 · Publish a held batch, with a reason."""
    from hub.flows import sync

    sync.release(batch, by=actor(), reason=reason)
    console.print(f"已放行并发布 · released and published: {batch}")


@app.command()
def discard(batch: int, reason: Reason) -> None:
    """作废被扣留的批次 · Throw a held batch away, with a reason."""
    from hub.flows import sync

    sync.discard(batch, by=actor(), reason=reason)
    console.print(f"已作废 · discarded: {batch}")
