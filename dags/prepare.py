"""Getting Airflow's own database ready: tables, and a pool per source and per library.

Run as `python -m dags.prepare` by hub.flows.scheduler before anything of Airflow starts.
"""

from airflow.models.pool import Pool
from airflow.utils import db

from schemas.manifest import Job, jobs


def prepare() -> None:
    """Migrate the tables and set the pools. Running it again changes nothing."""
    db.initdb()
    for name, slots in pools(jobs()).items():
        Pool.create_or_update_pool(name, slots, "Declared: see the source or library of this name.", include_deferred=False)


def pools(declared: tuple[Job, ...]) -> dict[str, int]:
    """Return slots by pool: as many as a source allows readers, and one publisher per library."""
    sources = {f"source_{job.source}": job.readers for job in declared}
    return sources | {f"library_{library}": 1 for job in declared for library in job.libraries}


if __name__ == "__main__":
    prepare()
