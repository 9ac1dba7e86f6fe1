"""``hub key``: the root key and the wrapped secrets."""

import typer

from hub.cli.printing import console

app = typer.Typer(help="密钥 · Keys.", no_args_is_help=True)


@app.command()
def create() -> None:
    """生成根密钥与各用途密钥（已有则不动） · Create the root key and the wrapped secrets, unless there are any."""
    from hub.flows.keys import ensure_keys

    console.print("密钥已生成 · keys created" if ensure_keys() else "密钥已存在，未改动 · there are keys already; nothing changed")
