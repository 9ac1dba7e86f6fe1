"""``hub batch``: the record of every run."""

from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.job import STATES
from hub.cli.printing import AsJson, actor, as_json, console, local, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.flows import reasons
    from hub.flows.batches import Batch

app = typer.Typer(help="批次 · Batches.", no_args_is_help=True)
REACTIONS = {"ignore": "照常 ignored", "hold": "扣留 held", "fail": "中止 failed"}
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
    from hub.flows.reasons import reasons_of

    found, checks = batches.show(batch)
    if json:
        as_json({"batch": found, "checks": checks})
        return
    why = reasons_of(found)
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
        ("已删除个人、不再接收 suppressed", found.counts.get("suppressed", "—")),
        ("读作空值 read as null", _oddities(found.counts.get("oddities"))),
        ("源键校验和 source checksum", found.source_checksum or "—"),
        ("目标键校验和 target checksum", found.target_checksum or "—"),
        ("各步用时 seconds", ", ".join(f"{step} {spent:.2f}" for step, spent in found.seconds.items()) or "—"),
        ("门槛 gate", f"扣留 held: {len(why)}" if why else "通过 passed" if found.gate else "—"),
        ("源端变化 source drift", "\n".join(_drift(found.drift)) or "—"),
        ("校验报告 Data Docs", found.docs or "—"),
    ]
    table(f"批次 {found.id} · Batch {found.id}", ["", ""], facts)
    _show_reasons(why)
    _show_entities(found.counts.get("entities"))
    failing = [(one.title_zh, one.title_en, one.severity, one.judged, one.failing) for one in checks if one.failing]
    table("未通过的规则 · Broken rules", ["规则", "rule", "严重度 severity", "判定 judged", "不合格 failing"], failing, right=(3, 4))


def _show_reasons(why: "tuple[reasons.Reason, ...]") -> None:
    if why:
        rows = [(one.rule, one.measured, one.limit, f"{one.zh}\n{one.en}", f"{one.do_zh}\n{one.do_en}") for one in why]
        columns = ["规则 rule", "实测 measured", "上限 limit", "原因 reason", "怎么办 what to do"]
        table("扣留原因 · Why it was held", columns, rows)


def _drift(changes: list[dict[str, object]]) -> "Iterator[str]":
    from schemas.shapes import told

    for one in changes:
        yield f"{told(one)} ({'已接受 accepted' if one['known'] else REACTIONS[str(one['reaction'])]})"


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

    published = sync.release(batch, by=actor(), reason=reason)
    if published.batch == batch:
        console.print(f"已放行并发布 · released and published: {batch}")
        return
    console.print(f"批次 {batch} 之后声明、密钥或暂存有变，已重新读取、重新判定，并发布为批次 {published.batch}")
    console.print(
        f"declarations, keys or staging changed after batch {batch}: it was read and judged anew, and published as {published.batch}"
    )


@app.command()
def discard(batch: int, reason: Reason) -> None:
    """作废被扣留的批次 · Throw a held batch away, with a reason."""
    from hub.flows import sync

    sync.discard(batch, by=actor(), reason=reason)
    console.print(f"已作废 · discarded: {batch}")


@app.command()
def withdraw(batch: int, reason: Reason, *, json: AsJson = False) -> None:
    """撤回已发布的批次：生成新版本，作业暂停 · Take a published batch back: a new version, and the job pauses."""
    from hub.flows.withdrawal import withdraw_batch

    done = withdraw_batch(batch, by=actor(), reason=reason)
    if json:
        as_json(done)
        return
    versions = ", ".join(f"{library} {version}" for library, version in done.versions.items())
    console.print(f"已撤回 · withdrawn: {batch}" + (f" → {versions}" if versions else "（库无变化 · nothing left to take back）"))
    rows = [(path, one.returned, one.removed, one.restored, one.superseded) for path, one in done.entities.items()]
    columns = ["实体 entity", "恢复前值 returned", "移除 removed", "恢复删除 restored", "已被后续取代 superseded"]
    table("撤回结果 · Withdrawn", columns, rows, right=range(1, 5))
    console.print(f"作业已暂停；处理后运行 · the job is paused; when settled run: hub job resume {done.dataset}")
