"""``hub job``: what is scheduled, and running it by hand through Airflow."""

from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.printing import AsJson, actor, as_json, console, local, table

if TYPE_CHECKING:
    from hub.flows.jobs import JobState

app = typer.Typer(help="作业 · Jobs.", no_args_is_help=True)
STATES = {"planned": "进行中", "staged": "待发布", "held": "已扣留", "published": "已发布", "discarded": "已作废", "withdrawn": "已撤回"}


@app.command("list")
def list_jobs(*, json: AsJson = False) -> None:
    """列出全部作业及最近一次结果 · List every job and how it last went."""
    from hub.flows import jobs

    found = jobs.listed()
    if json:
        as_json(found)
        return
    rows = [
        (
            job.contract.dataset,
            job.contract.title.zh,
            job.department_zh,
            job.connector,
            job.contract.sync.mode.value,
            str(job.contract.schedule or "—"),
            _state(job),
            local(job.started_at),
        )
        for job in found
    ]
    table("作业 · Jobs", ["数据集 dataset", "名称", "部门", "来源 from", "方式 mode", "定时 schedule", "状态 state", "最近 last"], rows)


def _state(job: "JobState") -> str:
    state = "已暂停 paused" if job.paused else f"{STATES.get(job.state, '')} {job.state}" if job.state else "—"
    news = sum(not change["known"] for change in job.drift)
    return f"{state}\n源端变化 source drift: {news}" if news else state


@app.command()
def run(dataset: str, *, wait: Annotated[bool, typer.Option(help="等到结束 · wait for the end")] = True) -> None:
    """由 Airflow 运行一次 · Run a job once, by Airflow."""
    from hub.errors import Rejected
    from hub.flows import scheduler

    run_id = scheduler.trigger(dataset)
    console.print(f"已触发 · triggered: {dataset} {run_id}")
    if not wait:
        return
    ended = scheduler.wait(dataset, run_id)
    if not ended.succeeded:
        raise Rejected(f"the run of {dataset} failed: {ended.reason}", remedy="`hub batch list` shows what became of it")
    console.print(f"完成 · done: {dataset}")


@app.command()
def pause(dataset: str, reason: Annotated[str | None, typer.Option(help="原因 · why")] = None) -> None:
    """暂停作业 · Pause a job: it starts no more, whoever starts it."""
    from hub.flows import jobs, scheduler

    jobs.pause(dataset, by=actor(), reason=reason)
    if scheduler.status().running:
        scheduler.pause(dataset)
    console.print(f"已暂停 · paused: {dataset}")


@app.command()
def resume(dataset: str) -> None:
    """恢复作业 · Let a job run again."""
    from hub.flows import jobs, scheduler

    jobs.resume(dataset, by=actor())
    if scheduler.status().running:
        scheduler.resume(dataset)
    console.print(f"已恢复 · resumed: {dataset}")
