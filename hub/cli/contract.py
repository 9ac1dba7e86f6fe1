"""``hub contract``: contracts as Open Data Contract Standard 3.1, out and in."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.printing import AsJson, as_json, console

app = typer.Typer(help="契约 · Contracts as Open Data Contract Standard 3.1.", no_args_is_help=True)


@app.command("export")
def export_contracts(
    datasets: Annotated[list[str] | None, typer.Argument(help="数据集 · datasets")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="全部契约 · every contract")] = False,
    out: Annotated[Path | None, typer.Option(help="写入此目录，缺省为屏幕 · write into this folder, else to the screen")] = None,
) -> None:
    """把契约导出为 ODCS 3.1 文档 · Write contracts as ODCS 3.1 documents."""
    from hub.flows import contracts

    if out is None:
        for text in contracts.export(datasets or [], everything=everything).values():
            print(f"---\n{text}", end="")  # noqa: T201 (a document for other programs)
        return
    files = contracts.export_to(out, datasets or [], everything=everything)
    console.print(f"已写出 · written: {len(files)} → {out}")


@app.command("import")
def import_contracts(
    files: Annotated[list[Path], typer.Argument(help="ODCS 文档 · ODCS documents")],
    *,
    complete: Annotated[
        Path | None, typer.Option(help="补充文件：文档所缺的内容 · a file with what the documents lack, by dataset")
    ] = None,
    replace: Annotated[bool, typer.Option(help="替换已有契约 · put them in the place of standing contracts")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不写入 · check only")] = False,
    json: AsJson = False,
) -> None:
    """由 ODCS 3.1 文档生成契约；有错误或缺项则什么都不写 · Make contracts of ODCS 3.1 documents: all, or none if anything is wrong."""
    from hub.flows import contracts

    found = contracts.take_in(files, complete=complete, replace=replace, dry_run=dry_run)
    if json:
        as_json(found)
        return
    for one in found:
        done = "将写入 · would write" if dry_run else "已替换 · replaced" if one.replaced else "已写入 · written"
        console.print(f"{done}: {one.file}", soft_wrap=True)
        for note in one.notes:
            console.print(f"  {note}", soft_wrap=True, markup=False)
