"""``hub subject``: erasing a person, lifting that, and legal holds. Identifiers come from a prompt or standard input."""

import sys
from typing import Annotated

import typer

from hub.cli.printing import AsJson, actor, as_json, console, local, table

app = typer.Typer(help="个人信息主体 · Persons: erasure and legal holds.", no_args_is_help=True)
Kind = Annotated[str, typer.Option(help="号码的种类 · kind of the identifier, as in masking/kinds.yaml")]
Requester = Annotated[str, typer.Option(prompt="申请人 requester", help="谁申请 · who asks for it")]
Approver = Annotated[str, typer.Option(prompt="批准人 approver", help="谁批准，须为另一人 · who approves: another person")]
Reason = Annotated[str, typer.Option(prompt="原因 reason", help="记入审计 · recorded in the audit log")]
Basis = Annotated[str, typer.Option("--basis", prompt="法律依据 legal basis", help="如《个人信息保护法》第四十七条 · law and article")]


def read_identifier() -> str:
    """Read the identifier where neither the process list nor the shell's history can see it."""
    if sys.stdin.isatty():
        return str(typer.prompt("号码 identifier", hide_input=True)).strip()
    return sys.stdin.readline().strip()


@app.command()
def erase(
    requester: Requester, approver: Approver, reason: Reason, basis: Basis, *, kind: Kind = "citizen_id", json: AsJson = False
) -> None:
    """删除一个人的全部数据，以后同步不再收入 · Erase a person; later syncs do not bring them back."""
    from hub.errors import Unavailable
    from hub.flows import erasure
    from hub.flows.erasure_log import Grounds

    grounds = Grounds(requester=requester, approver=approver, reason=reason, legal_basis=basis, by=actor())
    done = erasure.erase(read_identifier(), kind, grounds)
    try:
        rewritten = erasure.rewritten(by=actor())
    except Unavailable:
        rewritten = ()
    if json:
        as_json({"erasure": done, "rewritten": rewritten})
        return
    removed = ", ".join(f"{dataset} {rows}" for dataset, rows in done.removed.items())
    facts = [
        ("案号 case", done.id),
        ("删除的行（含历史）rows removed, history included", removed or "—"),
        ("隔离行 quarantined rows", done.quarantined),
        ("作废的批次 batches discarded", ", ".join(map(str, done.batches)) or "—"),
        ("清空的引用 references emptied", _pairs(done.cleared)),
        ("保留并须人工处理的引用 references left for you to decide", _pairs(done.reported)),
        ("密封、无法查找的亲属字段 sealed fields nobody can search", ", ".join(done.unsearchable) or "—"),
        ("新版本 versions", _pairs(done.versions)),
        ("须通知的部门 departments to notify", ", ".join(done.departments) or "—"),
        ("已重写的表 tables written anew", ", ".join(rewritten) or "—（运行 hub library prune 再试 · run it to try again）"),
    ]
    table("已删除 · Erased", ["", ""], facts)


def _pairs(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in found.items()) or "—"


@app.command()
def lift(requester: Requester, approver: Approver, reason: Reason, basis: Basis, *, kind: Kind = "citizen_id") -> None:
    """解除：下一次全量同步重新收入此人 · Let an erased person come back with the next full reading."""
    from hub.flows import erasure
    from hub.flows.erasure_log import Grounds

    grounds = Grounds(requester=requester, approver=approver, reason=reason, legal_basis=basis, by=actor())
    cases = erasure.lift(read_identifier(), kind, grounds)
    console.print(f"已解除 · lifted: {', '.join(map(str, cases))}")


@app.command()
def erasures(*, limit: int = 50, json: AsJson = False) -> None:
    """列出删除案件，不含身份 · List erasures; nothing in them tells who it was."""
    from hub.flows import erasure

    found = erasure.listed(limit=limit)
    if json:
        as_json(found)
        return
    rows = [
        (one["id"], local(one["at"]), one["requester"], one["approver"], one["legal_basis"], one["reason"], local(one["lifted_at"]))  # type: ignore[arg-type]
        for one in found
    ]
    columns = ["案号 case", "时间 at", "申请 requester", "批准 approver", "依据 basis", "原因 reason", "解除 lifted"]
    table("删除案件 · Erasures", columns, rows, right=(0,))


@app.command()
def hold(
    reason: Reason,
    basis: Basis,
    *,
    dataset: Annotated[str | None, typer.Option(help="整个数据集，而不是一个人 · a whole dataset instead of a person")] = None,
    kind: Kind = "citizen_id",
) -> None:
    """依法保全：此人或数据集不得清理、删除 · Legal hold of a person or a dataset: nothing of it is pruned or erased."""
    from hub.flows import holds

    if dataset is not None:
        number = holds.hold_dataset(dataset, reason=reason, legal_basis=basis, by=actor())
    else:
        number = holds.hold_subject(read_identifier(), kind, reason=reason, legal_basis=basis, by=actor())
    console.print(f"已保全 · held: {number}")


@app.command()
def release(hold: int, reason: Reason) -> None:
    """解除保全 · End a legal hold."""
    from hub.flows import holds

    holds.release(hold, reason=reason, by=actor())
    console.print(f"已解除保全 · released: {hold}")


@app.command("holds")
def list_holds(*, json: AsJson = False) -> None:
    """列出在办保全 · List legal holds in force."""
    from hub.flows import holds

    found = holds.listed()
    if json:
        as_json(found)
        return
    rows = [
        (one.id, one.dataset or f"{one.subjects} 人 persons", one.legal_basis, one.reason, one.placed_by, local(one.placed_at))
        for one in found
    ]
    table("依法保全 · Legal holds", ["号", "范围 scope", "依据 basis", "原因 reason", "经办 by", "时间 at"], rows, right=(0,))


@app.command()
def reapply() -> None:
    """恢复旧库之后，按库外日志重新删除 · After a restore: erase again whom the log outside the database names."""
    from hub.flows import erasure

    done = erasure.reapply(by=actor())
    console.print(f"重新删除 {len(done)} 人 · erased again: {len(done)}")
