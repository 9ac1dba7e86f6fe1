"""Listing the declared jobs for ``schemas.manifest``, with a page about each for Airflow's interface.

Runs in a process of its own: reading declarations brings pydantic, and the titles of rules bring pyarrow.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from croniter import croniter

from hub.errors import Finding
from hub.settings import settings
from schemas.contract import Contract, Gate, Mode, Sharing
from schemas.declarations import Declarations, read_all
from schemas.declared import Title
from schemas.manifest import Job, last_written
from schemas.opening import ALWAYS
from schemas.rules import RULES
from schemas.schedule import Days, Schedule
from schemas.source import Source

_PRESETS = frozenset({"@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"})
_SHARING = {"unconditional": "无条件共享 · unconditional", "conditional": "有条件共享 · conditional", "withheld": "不予共享 · withheld"}


def list_jobs() -> tuple[Job, ...]:
    """Return a job per contract of ``HUB_HOME``, sorted by dataset; the last good entry where a contract no longer reads."""
    declared = read_all(settings().home)
    earlier = {job.dataset: job for job in last_written()}
    wrong = _first_finding_by_file(declared.findings)
    places, pools = _places(declared), dict(_pools(declared))
    found = {name: _job(declared, contract, places[name], pools.get(contract.source)) for name, contract in declared.contracts.items()}
    for name, job in earlier.items():
        mistake = next((text for file, text in wrong.items() if file.endswith(f"/{name}.yaml")), None)
        if name not in found and mistake:
            found[name] = _with_mistake(job, mistake)
    return tuple(found[name] for name in sorted(found))


def _first_finding_by_file(findings: Iterable[Finding]) -> dict[str, str]:
    first: dict[str, str] = {}
    for finding in sorted(findings):
        first.setdefault(finding.file, str(finding))
    return first


def _with_mistake(job: Job, mistake: str) -> Job:
    given = {name: getattr(job, name) for name in Job.__slots__}
    return Job(**{**given, "mistake": mistake})


def _places(declared: Declarations) -> dict[str, int]:
    """Number the jobs of each department, so that each department's first come before anybody's second."""
    passed: Counter[str] = Counter()
    found: dict[str, int] = {}
    for name, contract in sorted(declared.contracts.items()):
        found[name] = passed[contract.department]
        passed[contract.department] += 1
    return found


def _pools(declared: Declarations) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield each source with the pool its jobs read in, and the pool's slots.

    A task of Airflow has one pool, so a department's sources are dealt out to pools whose slots together are no more than its
    ``concurrent_jobs``, and each pool's no more than any of its sources allows readers: both hold, whatever runs.
    """
    used = {contract.source for contract in declared.contracts.values()}
    of_department: dict[str, list[Source]] = {}
    for name, source in sorted(declared.sources.items()):
        if name in used:
            of_department.setdefault(source.department, []).append(source)
    for name, sources in of_department.items():
        department = declared.departments.get(name)
        most = (department and department.concurrent_jobs) or max(source.readers for source in sources)
        lanes = min(most, len(sources))
        for lane in range(lanes):
            sharing = sources[lane::lanes]
            slots = min(most // lanes, *(source.readers for source in sharing))
            pool = f"department_{name}" if lanes == 1 else f"department_{name}.{lane + 1}"
            yield from ((source.source, (pool, slots)) for source in sharing)


def _hours(schedule: Schedule, source: Source | None) -> tuple[str, ...]:
    """Return all hours that bind a timetable: its own and, told by the same clock, its source's."""
    own = [schedule.hours] if schedule.hours else []
    if source is not None and source.hours != ALWAYS and source.timezone == settings().timezone:
        own.append(source.hours)
    return tuple(dict.fromkeys(own))


def _job(declared: Declarations, contract: Contract, place: int, pool: tuple[str, int] | None) -> Job:
    source = declared.sources.get(contract.source)
    entities = tuple(dict.fromkeys(given.entity for given in contract.contributes))
    schedule = contract.schedule
    readable = schedule is None or schedule.cron in _PRESETS or croniter.is_valid(schedule.cron)
    by_calendar = schedule is not None and schedule.days is not Days.ALL and declared.workdays is not None
    reading, slots = pool or (f"department_{contract.department}", 1)
    return Job(
        dataset=contract.dataset,
        department=contract.department,
        source=contract.source,
        pool=reading,
        slots=slots,
        libraries=tuple(dict.fromkeys(entity.split(".")[0] for entity in entities)),
        entities=entities,
        schedule=schedule.cron if schedule and readable else None,
        days=schedule.days.value if schedule else Days.ALL.value,
        hours=_hours(schedule, source) if schedule else (),
        known_until=declared.workdays.until if declared.workdays and by_calendar else None,
        place=place,
        parts=contract.sync.parts,
        incremental=contract.sync.mode is Mode.INCREMENTAL,
        title_zh=contract.title.zh,
        title_en=contract.title.en,
        doc_md=page(declared, contract),
        mistake=None if readable else f"`schedule: {schedule}` is no cron expression; the job runs by hand only",
    )


def page(declared: Declarations, contract: Contract) -> str:
    """Return what an officer should know of *contract*, in Chinese and English, as Markdown. It holds no value."""
    return "\n".join([*_heading(declared, contract), *_terms(contract), *_fields(contract), *_rules(contract)])


def _heading(declared: Declarations, contract: Contract) -> Iterator[str]:
    department = declared.departments.get(contract.department)
    source = declared.sources.get(contract.source)
    yield f"# {contract.title.zh} · {contract.title.en}\n"
    yield f"{contract.abstract.zh}\n\n{contract.abstract.en}\n"
    yield "| | |\n|---|---|"
    yield _row("数据集 · Dataset", f"`{contract.dataset}`, 版本 · version {contract.version}")
    yield _row("部门 · Department", _both(department.title) if department else contract.department)
    yield _row("来源 · Source", _both(source.title) if source else contract.source)


def _terms(contract: Contract) -> Iterator[str]:
    entities = ", ".join(dict.fromkeys(f"`{given.entity}`" for given in contract.contributes))
    yield _row("汇入 · Contributes to", entities)
    yield _row("运行时间 · Schedule", f"`{contract.schedule}` ({settings().timezone})" if contract.schedule else "手动 · by hand")
    yield _row("同步方式 · Sync", f"{contract.sync.mode} {f'(`{contract.sync.cursor}`)' if contract.sync.cursor else ''}")
    if contract.sync.parts > 1:
        yield _row("分段读取 · Read in parts", str(contract.sync.parts))
    yield _row("暂缓发布 · Held for the officer", "; ".join(_gate(contract.gate)))
    yield _row("共享属性 · Sharing", _sharing(contract.sharing))
    retention = f"历史 · history {contract.retention.history_days}, 隔离 · quarantine {contract.retention.quarantine_days} (天 · days)"
    yield _row("保存期限 · Retention", retention)


def _gate(gate: Gate) -> Iterator[str]:
    yield f"不合格 · failing > {gate.failing:.1%}" + (f" (增量时至少 · of a window at least {gate.at_least})" if gate.failing else "")
    yield f"删除 · deletes > {gate.deletes:.1%}"
    if gate.volume:
        yield f"数量偏离 · volume ± {gate.volume.share:.0%}"
    if gate.freshness:
        yield f"最新一行早于 · newest row older than {gate.freshness.hours} h (`{gate.freshness.field}`)"


def _sharing(sharing: Sharing) -> str:
    conditions = [sharing.scope, sharing.use, sharing.reason, sharing.legal_basis]
    return "; ".join([_SHARING[sharing.class_], *(text for text in conditions if text)])


def _fields(contract: Contract) -> Iterator[str]:
    yield "\n## 字段 · Fields\n\n| 字段 · Field | 名称 · Title | 类型 · Type | 级别 · Level | 必填 · Required |\n|---|---|---|---|---|"
    for field in contract.fields:
        key = " 🔑" if field.name in contract.key else ""
        yield f"| `{field.name}`{key} | {_both(field.title)} | {field.type} | {field.level} | {'是 · yes' if field.required else ''} |"


def _rules(contract: Contract) -> Iterator[str]:
    if not contract.rules:
        return
    yield "\n## 规则 · Rules\n\n| 规则 · Rule | 字段 · Fields | 不符合时 · If broken |\n|---|---|---|"
    for use in contract.rules:
        rule = RULES.get(use.rule)
        broken = "隔离该行 · row quarantined" if use.severity == "error" else "提示 · warning"
        yield f"| {_both(rule.title) if rule else use.rule} | {', '.join(f'`{name}`' for name in use.fields)} | {broken} |"


def _row(name: str, value: str) -> str:
    return f"| {name} | {value} |"


def _both(title: Title) -> str:
    return f"{title.zh} · {title.en}"
