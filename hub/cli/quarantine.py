"""``hub quarantine``: rows that broke a rule, explained without a value of theirs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hub.cli.printing import AsJson, actor, as_json, console, local, table

app = typer.Typer(help="隔离区 · Quarantine.", no_args_is_help=True)
Which = Annotated[str, typer.Argument(help="数据集或批次号 · a dataset, or the number of a batch")]
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


@app.command()
def export(
    which: Which,
    *,
    to: Annotated[Path, typer.Option(help="写入的文件 · the file to write")],
    values: Annotated[bool, typer.Option("--values", help="带值，只给供数部门 · with values, for the supplying department only")] = False,
    to_key: Annotated[Path | None, typer.Option(help="收件人公钥文件 · file with the officer's public key")] = None,
    days: Annotated[int, typer.Option(min=1, max=90, help="有效天数 · days until it expires")] = 7,
) -> None:
    """导出隔离的行：主键、规则、字段；加 --values 则连值加密给供数部门 · Export quarantined rows."""
    from hub.errors import Mistake
    from hub.flows import export as exporting

    if values != (to_key is not None):
        raise Mistake("values are exported to one officer", remedy="give --values and --to-key together, or neither")
    if to_key is not None:
        content, rows = exporting.with_values(which, key_file=_text(to_key), days=days, by=actor())
    else:
        content, rows = exporting.without_values(which, by=actor())
    _write(to, content)
    console.print(f"已导出 · exported: {rows} → {to}")


@app.command("open")
def open_letter(
    file: Path,
    *,
    key: Annotated[Path, typer.Option(help="自己的私钥文件 · the file with your private key")],
    to: Annotated[Path | None, typer.Option(help="写成 CSV 文件（明文） · write a CSV file, in clear")] = None,
) -> None:
    """打开带值的导出 · Open an export with values; without --to it is printed and nothing is written."""
    from datetime import UTC, datetime

    from hub.errors import Mistake
    from masking import letters

    if not file.is_file():
        raise Mistake(f"there is no file {file}", remedy="give the file that was sent to you")
    letter = letters.opened(file.read_bytes(), _text(key), now=datetime.now(UTC))
    if to is None:
        sys.stdout.write(letter.csv)
        return
    _write(to, letter.csv.encode("utf-8-sig"))
    console.print(f"{letter.dataset}: {letter.rows} → {to}, {local(letter.expires_at)} 前删除 · delete it by then")


@app.command()
def new_key(file: Path) -> None:
    """生成一对密钥：私钥写入文件，公钥显示出来交管理员登记 · Make a pair of keys; the public one is for catalog/departments.yaml."""
    from masking import letters

    private, public = letters.new_identity()
    _write(file, f"# public key: {public}\n{private}\n".encode())
    console.print(public)


@app.command()
def replay(which: Which, *, json: AsJson = False) -> None:
    """按现行规则和代码重新判定隔离的行，合格的发布 · Judge quarantined rows again under the present rules; publish those that hold."""
    from hub.flows import replay as replaying

    done = replaying.replay(which, started_by=actor())
    if json:
        as_json(done)
        return
    console.print(f"重新判定 · judged again: {done.rows}, 合格 · valid: {done.valid}, 仍隔离 · still quarantined: {done.rows - done.valid}")
    if done.batch is not None:
        console.print(f"已发布 · published: {done.batch}")


def _text(file: Path) -> str:
    from hub.errors import Mistake

    if not file.is_file():
        raise Mistake(f"there is no file {file}", remedy="give the path of a key file")
    return file.read_text(encoding="utf-8")


def _write(file: Path, content: bytes) -> None:
    """Write a new file that its owner alone may read; a file that is there already stays as it is."""
    import os

    from hub.errors import Mistake

    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Mistake(f"{file} exists already", remedy="name a new file, or delete that one first") from None
    except OSError:
        raise Mistake(f"{file} cannot be written", remedy="name a file in a folder that you may write to") from None
    with os.fdopen(handle, "wb") as out:
        out.write(content)
