"""``hub db``: the hub's database server and its tables."""

from typing import Annotated

import typer

from hub.cli.printing import console

app = typer.Typer(help="枢纽数据库 · The hub's database.", no_args_is_help=True)


@app.command()
def up() -> None:
    """启动内置 PostgreSQL、迁移表结构、备好密钥 · Start the embedded server, migrate, make keys ready."""
    from hub.flows.database import ready

    ready()
    console.print("数据库已就绪 · the database is ready")


@app.command()
def down() -> None:
    """停止内置 PostgreSQL · Stop the embedded server."""
    from hub.database import embedded

    embedded.down()
    console.print("数据库已停止 · the database is stopped")


@app.command()
def status() -> None:
    """内置 PostgreSQL 是否在运行 · Say whether the embedded server runs."""
    from hub.database import embedded

    found = embedded.status()
    console.print(f"{'运行中 · running' if found.running else '未运行 · not running'}")


@app.command()
def roles(
    administrator: Annotated[str, typer.Option(prompt=True, hide_input=True, help="管理员连接串 · an administrator's URL")],
    *,
    backup: Annotated[bool, typer.Option("--backup", help="也建立备份角色 · the role of `hub backup` too")] = False,
) -> None:
    """在自有 PostgreSQL 上建立角色与数据库 · Set up roles and databases on a PostgreSQL of your own."""
    from hub.database.roles import establish, establish_backup

    establish(administrator)
    if backup:
        establish_backup(administrator)
    console.print("角色已建立 · the roles are set up")
