"""``hub demo``: the main job on an invented city, and a summary to read."""

from typing import Annotated

import typer

from hub.cli import job as jobs_command
from hub.cli import library, quarantine
from hub.cli.printing import console, table
from hub.errors import Rejected


def demo(
    *,
    next_day: Annotated[bool, typer.Option("--next-day", help="让城市过一天再同步 · let a day pass in the city first")] = False,
    by_airflow: Annotated[bool, typer.Option("--airflow/--inline", help="由 Airflow 运行或直接运行 · run by Airflow or right here")] = True,
    scale: Annotated[float, typer.Option(help="城市规模 · size of the city")] = 1.0,
) -> None:
    """建立示范城市，同步全部数据集，给出摘要 · Build the demo city, sync every dataset, and sum up."""
    from demo.run import run

    outcome = run(lambda text: console.print(f"[bold]›[/bold] {text}"), next_day=next_day, by_airflow=by_airflow, scale=scale)
    console.print()
    jobs_command.list_jobs(json=False)
    library.list_entities(json=False)
    quarantine.list_heaps(json=False)
    library.disputes(json=False)
    library.unanchored(json=False)
    rows = [(step, f"{spent:.1f}") for step, spent in outcome.seconds.items()]
    table("用时 · Where the time went", ["步骤 step", "秒 s"], rows, right=(1,))
    if outcome.failed:
        problems = "\n".join(f"{dataset}: {reason}" for dataset, reason in outcome.failed.items())
        raise Rejected(f"{len(outcome.failed)} jobs did not publish\n{problems}", remedy="`hub batch list` shows their batches")
    console.print("接下来 · What next: `hub quarantine show household_register`, `hub batch list`, `hub explain population`, `make up`")
