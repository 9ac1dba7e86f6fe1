"""The command line: a command is a parse, one call to a flow, a print.

Exit codes: 0 done · 1 refused or rejected · 2 your mistake · 3 try again later.
"""

import sys
import traceback

import typer

from hub.cli import backup, batch, check, contract, db, demo, explain, job, key, library, quarantine, service, subject, sync
from hub.errors import HubError

_SHOWING = frozenset({"batch", "job", "library", "quarantine"})
app = typer.Typer(
    name="hub",
    help="政务数据共享交换枢纽 · The exchange hub between a city's departments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("check")(check.check)
app.add_typer(contract.app, name="contract")
app.add_typer(db.app, name="db")
app.add_typer(key.app, name="key")
app.add_typer(job.app, name="job")
app.command("sync")(sync.sync)
app.add_typer(batch.app, name="batch")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(library.app, name="library")
app.add_typer(subject.app, name="subject")
app.command("explain")(explain.explain)
app.add_typer(backup.app, name="backup")
app.command("restore")(backup.restore)
app.command("recover")(backup.recover)
app.command("demo")(demo.demo)
app.command("up")(service.up)
app.command("down")(service.down)


@app.callback()
def mark(context: typer.Context) -> None:
    """Say beside everything shown from a restored database that it is not the newest."""
    if context.invoked_subcommand in _SHOWING:
        from hub.flows import checkpoints

        told = checkpoints.warning()
        if told is not None:
            sys.stderr.write(f"! {told}\n")


def main() -> None:
    """Run the command line; every failure is one message with its remedy, never a traceback with values in it."""
    try:
        app()
    except HubError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 (the last line of defence: messages of others may quote values)
        place = traceback.extract_tb(error.__traceback__)[-1]
        sys.stderr.write(f"a fault of the hub itself: {type(error).__name__} in {place.name}, line {place.lineno}\n")
        sys.stderr.write("  What to do: report it with this line; nothing was half done\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
