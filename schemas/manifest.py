"""The jobs in one compact file, for those who must not wait: Airflow reads it at every parse and before every task.

Importing this module costs nothing: no pydantic, no pyarrow. When a declaration changed, the file is
written anew by another process (``python -m schemas.manifest``, which runs ``schemas.job_listing``).
A contract that no longer reads keeps its last good entry, with what is wrong in ``mistake``: one typo stops
one job, and says so, instead of all.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from hub.errors import Mistake
from hub.settings import REPOSITORY, settings

_FOLDERS = ("schemas/contracts", "connectors/sources", "schemas/libraries", "schemas/codes")
_FILES = ("schemas/workdays.yaml", "catalog/departments.yaml")
_CODE = ("schemas/manifest.py", "schemas/job_listing.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a timetable needs to know of one contract.

    ``schedule`` is a cron expression, or None: by hand only. ``days`` and ``hours`` say which of its times count;
    ``known_until`` is the last year whose working days are known, None where they do not matter.
    ``place`` is the job's place among those of its department, from 0; ``pool`` the Airflow pool that it reads in, with so many ``slots``;
    ``parts`` how many tasks may read it.
    """

    dataset: str
    department: str
    source: str
    pool: str
    slots: int
    libraries: tuple[str, ...]
    entities: tuple[str, ...]
    schedule: str | None
    title_zh: str
    title_en: str
    doc_md: str
    days: str = "all"
    hours: tuple[str, ...] = ()
    known_until: int | None = None
    place: int = 0
    parts: int = 1
    incremental: bool = False
    mistake: str | None = None


def jobs() -> tuple[Job, ...]:
    """Return every declared job, sorted by dataset; listed anew if a declaration changed since.

    Raises ``Mistake`` if the jobs cannot be listed at all.
    """
    now = _fingerprint()
    written = _read()
    if written is None or written[0] != now:
        _write_in_another_process()
        written = _read()
    if written is None:
        raise Mistake("the declared jobs could not be listed", remedy="run `hub check` and mend what it finds")
    return written[1]


def last_written() -> tuple[Job, ...]:
    """Return the jobs as last listed, whatever changed since; empty if they never were."""
    written = _read()
    return written[1] if written else ()


def pools(listed: tuple[Job, ...]) -> dict[str, int]:
    """Return the slots of each Airflow pool: those of departments as declared, and one publisher per library."""
    departments = {job.pool: job.slots for job in listed}
    return departments | {f"library_{library}": 1 for job in listed for library in job.libraries}


def write(listed: tuple[Job, ...]) -> None:
    """Replace the file by *listed*, in one step: a reader sees the old or the new one."""
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"of": _fingerprint(), "jobs": [asdict(job) for job in listed]}
    with NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False, encoding="utf-8") as draft:
        json.dump(content, draft, ensure_ascii=False, separators=(",", ":"))
    Path(draft.name).replace(file)


def _file() -> Path:
    return settings().state / "jobs.json"


def _read() -> tuple[str, tuple[Job, ...]] | None:
    try:
        content = json.loads(_file().read_bytes())
        return content["of"], tuple(_job(one) for one in content["jobs"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None  # never written, or by another version of the hub


def _job(one: dict[str, object]) -> Job:
    lists: dict[str, object] = {name: tuple(one[name]) for name in ("libraries", "entities", "hours")}  # type: ignore[arg-type]
    return Job(**{**one, **lists})  # type: ignore[arg-type]


def _fingerprint() -> str:
    """Which files there are, how long, and when each was written: cheaper than reading them."""
    roots = dict.fromkeys((settings().home, REPOSITORY))
    files = {file for root in roots for folder in _FOLDERS for file in (root / folder).glob("**/*.yaml")}
    files |= {REPOSITORY / name for name in _CODE} | {file for root in roots for name in _FILES if (file := root / name).is_file()}
    seen = [(str(file), (facts := file.stat()).st_mtime_ns, facts.st_size) for file in sorted(files)]
    return sha256(repr(seen).encode()).hexdigest()


def _write_in_another_process() -> None:
    subprocess.run([sys.executable, "-m", "schemas.manifest"], cwd=REPOSITORY, check=False, capture_output=True)


if __name__ == "__main__":
    from schemas.job_listing import list_jobs

    write(list_jobs())
