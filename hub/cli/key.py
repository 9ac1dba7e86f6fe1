"""``hub key``: the root key and the wrapped secrets."""

import typer

from hub.cli.printing import AsJson, as_json, console, table

app = typer.Typer(help="密钥 · Keys.", no_args_is_help=True)


@app.command("list")
def list_keys(*, json: AsJson = False) -> None:
    """列出各用途密钥的版本与状态（不打开密钥） · List versions and states of the keys, opening none."""
    from hub.settings import settings
    from masking.keys import listed

    names = ("purpose", "version", "suite", "state", "created")
    found = listed(settings().keys)
    if json:
        as_json([dict(zip(names, one, strict=True)) for one in found])
        return
    table("密钥 · Keys", ["用途 purpose", "版本 version", "套件 suite", "状态 state", "生成 created"], found, right=(1,))


@app.command()
def create() -> None:
    """生成根密钥与各用途密钥（已有则不动） · Create the root key and the wrapped secrets, unless there are any."""
    from hub.flows.keys import ensure_keys

    console.print("密钥已生成 · keys created" if ensure_keys() else "密钥已存在，未改动 · there are keys already; nothing changed")
