"""``hub backup``, ``hub restore`` and ``hub recover``: copies of the database, and the way back from one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.printing import AsJson, actor, as_json, console, local, table

if TYPE_CHECKING:
    from hub.flows.recovery import Recovery

app = typer.Typer(help="备份 · Backups of the hub's database.", no_args_is_help=True)
From = Annotated[Path | None, typer.Option("--from", help="备份目录，缺省为 HUB_BACKUPS · folder of backups")]
_MEGABYTE = 1 << 20


@app.command()
def create(
    *,
    to: Annotated[Path | None, typer.Option(help="备份目录，缺省为 HUB_BACKUPS · folder of backups")] = None,
    keep: Annotated[int | None, typer.Option(help="只保留最新的几份 · keep so many of the newest, remove the others")] = None,
) -> None:
    """不停机备份数据库（不含密钥） · Back the running database up; keys are never in it."""
    from hub.flows import backup

    made = backup.create(by=actor(), to=to, keep=keep)
    console.print(f"已备份 · backed up: {made.name} ({made.bytes / _MEGABYTE:.0f} MB, {made.seconds:.1f} s)")


@app.command("list")
def list_backups(*, folder: From = None, json: AsJson = False) -> None:
    """列出备份 · List the backups, newest first."""
    from hub.flows import backup

    found = backup.listed(folder)
    if json:
        as_json(found)
        return
    rows = [
        (
            one.name, local(one.made_at), f"{one.bytes / _MEGABYTE:,.0f}", one.epoch,
            ", ".join(f"{library} {version}" for library, version in one.libraries.items()) or "—", one.hub,
        )
        for one in found
    ]  # fmt: skip
    table("备份 · Backups", ["名称 name", "时间 made at", "MB", "纪元 epoch", "库版本 versions", "枢纽 hub"], rows, right=(2, 3))


@app.command()
def verify(name: Annotated[str | None, typer.Argument(help="缺省为全部 · all of them by default")] = None, *, folder: From = None) -> None:
    """逐字节校验备份，指出损坏的文件 · Prove backups byte by byte, and name what is damaged."""
    from hub.errors import Refused
    from hub.flows import backup

    damaged = []
    names = [name] if name else [one.name for one in backup.listed(folder)]
    for one in names:
        try:
            backup.verify(backup.located(one, folder))
        except Refused as error:
            damaged.append(error.problem)
            continue
        console.print(f"完好 · sound: {one}")
    if damaged:
        raise Refused("\n".join(damaged), remedy="restore a sound one if needed; make a new one now: `hub backup create`")


@app.command()
def keys(*, to: Annotated[Path, typer.Option(help="新文件 · a new file, apart from root.key and from backups")]) -> None:
    """另存密钥环副本（仅封装的密钥，不含根密钥） · Copy the keyring: wrapped secrets, never the root."""
    from hub.flows import key_copies

    versions = key_copies.copy_keyring(to, by=actor())
    console.print(f"已另存 {versions} 个密钥版本 · {versions} versions copied; replace older copies after a version is destroyed")


def restore(
    name: Annotated[str, typer.Argument(metavar="BACKUP", help="备份名称或路径 · name or path of a backup")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="现有数据移到一旁 · move the present database aside (never deleted)")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只校验 · prove the backup and change nothing")] = False,
) -> None:
    """用备份恢复数据库（须先停机）；之后须 recover · Restore a backup while the hub is stopped; then `hub recover`."""
    from hub.flows import backup
    from hub.flows import restore as flow

    if dry_run:
        made = flow.acceptable(backup.located(name))
        console.print(f"可以恢复 · {made.name} can be restored")
        return
    made, aside = flow.restore(name, by=actor(), replace=replace)
    if aside is not None:
        console.print(f"原数据已移至 · the former database lies in {aside}")
    console.print(f"已恢复 · restored: {made.name}; 尚未恢复服务 · not in service until `hub recover`")


def recover(
    reason: Annotated[str | None, typer.Option(help="记入审计 · recorded in the audit log; asked for if missing")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只列出将做的事 · say what would be done and change nothing")] = False,
    json: AsJson = False,
) -> None:
    """让恢复的旧数据库重新服务：开启新纪元，记入审计 · Let a restored older database serve again, in a new epoch."""
    from hub.flows import recovery

    made = recovery.planned() if dry_run else recovery.recover(by=actor(), reason=reason or typer.prompt("原因 reason"))
    if json:
        as_json(made)
        return
    _show(made)
    console.print("未做改动 · nothing was changed" if dry_run else f"第 {made.epoch} 纪元 · epoch {made.epoch} is open: run the jobs")


def _show(made: "Recovery") -> None:
    for one in made.found:
        console.print(f"发现 · found: {one}")
    rows = [(one.library, one.kept, one.first) for one in made.libraries]
    table("基础库 · Libraries", ["库 library", "保留到版本 kept", "此后从 goes on from"], rows, right=(1, 2))
    if made.discarded:
        console.print(f"作废批次 · discarded batches: {', '.join(map(str, made.discarded))}")
    if made.erased:
        console.print(f"重新删除个人 · persons erased again: {made.erased}")
