"""One governed sync against a plain copy: ``python -m bench.sync [rows …]``, by default 0.1, 1 and 5 million.

Twelve columns, PostgreSQL to PostgreSQL, five sensitive columns, in a warm process, all in one run:
the floor (fetch, then COPY into a table with the same key), a first load, then re-reads of all of it with nothing, 1 % and
everything changed, then the same table kept in step by its cursor; with ``HUB_BENCH_DLT`` (see ``bench.peer_dlt``) the peer beside it.
Results go to ``bench/results/sync-<rows>.json``; the table shows seconds, ratios to the floor, and where the time goes.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import adbc_driver_postgresql.dbapi
from rich.console import Console
from rich.table import Table

from bench import people
from hub.settings import settings

SIZES = [100_000, 1_000_000, 5_000_000]
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One case: seconds in all and per step, peak memory above the warm process in MB."""

    case: str
    seconds: float
    steps: dict[str, float]
    peak_mb: float


def resident() -> int:
    """Return this process's resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def watched() -> Iterator[Callable[[], float]]:
    """Watch resident memory; the yielded function gives the peak above the start, in MB."""
    start, peak, done = resident(), [resident()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: (peak[0] - start) / 1e6
    finally:
        done.set()
        watcher.join()


def floor() -> dict[str, float]:
    """Copy the source's table plainly: fetch all as Arrow, COPY into a table with the same primary key."""
    with adbc_driver_postgresql.dbapi.connect(people.source_administrator()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS plain_copy")
        cursor.execute(f"CREATE TABLE plain_copy ({people.COLUMNS})")
        connection.commit()
        began = time.perf_counter()
        cursor.execute("SELECT * FROM people")
        table = cursor.fetch_arrow_table()
        fetched = time.perf_counter()
        cursor.adbc_ingest("plain_copy", table, mode="append")
        connection.commit()
        return {"fetch": fetched - began, "copy": time.perf_counter() - fetched}


def measure(case: str, work: Callable[[], dict[str, float]]) -> Measured:
    """Run *work*, which tells its own steps, and measure it whole."""
    with watched() as peak:
        began = time.perf_counter()
        steps = work()
        spent = time.perf_counter() - began
        return Measured(
            case=case, seconds=round(spent, 2), steps={name: round(value, 2) for name, value in steps.items()}, peak_mb=round(peak(), 0)
        )


def governed() -> dict[str, float]:
    """Sync the register and return the seconds of the batch's steps."""
    from hub.flows import batches, sync  # noqa: PLC0415 (settings come first)

    published = sync.sync("bench_people", started_by="bench")
    return batches.show(published.batch)[0].seconds


def cases(rows: int) -> Iterator[Measured]:
    """Yield the measured cases, in their order."""
    some = _one_in_a_hundred(rows)
    yield measure("floor: plain copy", floor)
    yield measure("first load", governed)
    yield measure("unchanged re-read", governed)
    _change(f"UPDATE people SET address = address || '改' WHERE {some}")
    yield measure("1 % changed", governed)
    if rows <= 1_000_000:  # beyond that it takes many minutes and tells nothing new
        _change("UPDATE people SET address = address || '变'")
        yield measure("every row changed", governed)
    _forget()
    people.declare(people.INCREMENTAL)
    yield measure("first load, by cursor", governed)
    yield measure("unchanged, by cursor", governed)
    _change(f"UPDATE people SET address = address || '更', updated_at = '2026-01-02' WHERE {some}")
    yield measure("1 % changed, by cursor", governed)
    yield measure("floor again", floor)
    people.declare(people.CONTRACT)


def _one_in_a_hundred(rows: int) -> str:
    return f"substr(record_no, 2)::int % 100 = 7 AND record_no < 'P{rows:011d}'"


def _change(statement: str) -> None:
    people.run_at_source(statement)
    people.run_at_source("VACUUM (FULL, ANALYZE) people")


def peer(rows: int) -> Iterator[Measured]:
    """Yield what dlt takes for a first load and for 1 % changed (merged by key), where ``HUB_BENCH_DLT`` names a Python that has it."""
    python = os.environ.get("HUB_BENCH_DLT")
    if python is None:
        return
    environment = {"PATH": os.environ["PATH"]}
    script = Path(__file__).parent / "peer_dlt.py"
    with subprocess.Popen(  # noqa: S603 (the program that the environment names)
        [python, str(script)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdin is not None  # noqa: S101 (pipes were asked for)
        assert process.stdout is not None  # noqa: S101
        address = people.source_address()
        process.stdin.write(json.dumps({"source": address, "target": address}) + "\n")
        for case, write in (("peer dlt: first load", "replace"), ("peer dlt: 1 % changed, merged", "merge")):
            if write == "merge":
                _change(
                    f"UPDATE people SET address = address || '并' WHERE substr(record_no, 2)::int % 100 = 7 AND record_no < 'P{rows:011d}'"
                )
            process.stdin.write(json.dumps({"write": write}) + "\n")
            process.stdin.flush()
            seconds = json.loads(process.stdout.readline())["seconds"]
            yield Measured(case=case, seconds=seconds, steps={}, peak_mb=0)
        process.stdin.close()


def prepare(folder: Path) -> int:
    """Set up server, keys, source, declarations and tables, warm the process up, and return the number of checks."""
    os.environ |= {"HUB_HOME": str(folder / "home"), "HUB_STATE": str(folder / "state"), "HUB_KEYS": str(folder / "keys")}
    settings.cache_clear()
    people.write_home(folder / "home")
    from hub.flows import bases, sync  # noqa: PLC0415, F401 (settings come first)
    from hub.flows.database import ready  # noqa: PLC0415
    from schemas.declarations import declarations  # noqa: PLC0415
    from schemas.rules.checks import checks_of  # noqa: PLC0415

    ready()
    people.build_source(1000)
    bases.applied(by="bench")
    governed()
    declared = declarations()
    return len(checks_of(declared.contract("bench_people"), declared.kinds, declared.codes))


def _forget() -> None:
    """Empty the library of the warm-up, so that the first load is one."""
    import sqlalchemy as sa  # noqa: PLC0415

    from hub.database.engine import engine  # noqa: PLC0415

    with engine("hub_owner").begin() as connection:
        connection.execute(
            sa.text("TRUNCATE bench.person__bench_people, bench.person__bench_people__history, bench.person__key, hub.watermark")
        )


def show(found: list[Measured], rows: int, checks: int) -> None:
    """Print the table."""
    base = min(one.seconds for one in found if one.case.startswith("floor"))
    table = Table(title=f"{rows:,} rows × 12 columns, {checks} rules, 5 sensitive columns", title_justify="left")
    for column in ("case", "seconds", "× floor", "peak MB", "where the time goes (threads overlap)"):
        table.add_column(column, justify="left" if column in {"case", "where the time goes (threads overlap)"} else "right")
    for one in found:
        steps = ", ".join(f"{name} {spent:.2f}" for name, spent in sorted(one.steps.items(), key=lambda each: -each[1]))
        table.add_row(one.case, f"{one.seconds:.2f}", f"{one.seconds / base:.2f}", f"{one.peak_mb:.0f}", steps)
    Console().print(table)


def main() -> None:
    """Measure, print and keep the results."""
    sizes = [int(rows) for rows in sys.argv[1:]] or SIZES
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        checks = prepare(Path(folder))
        try:
            for rows in sizes:
                _forget()
                people.build_source(rows)
                keep(list(cases(rows)) + list(peer(rows)), rows, checks)
        finally:
            from hub.database import embedded  # noqa: PLC0415

            embedded.down()


def keep(found: list[Measured], rows: int, checks: int) -> None:
    """Print the table of one size and write its file."""
    show(found, rows, checks)
    RESULTS.mkdir(exist_ok=True)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "rows": rows,
        "rules": checks,
    }
    content = json.dumps(about | {"cases": [asdict(one) for one in found]}, indent=2) + "\n"
    (RESULTS / f"sync-{rows}.json").write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
