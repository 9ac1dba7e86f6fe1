"""Getting Airflow's own database ready: tables, and the pools of departments and libraries.

Run as `python -m dags.prepare` by hub.flows.scheduler before anything of Airflow starts.
"""

from airflow.models.pool import Pool
from airflow.utils import db

from schemas.manifest import jobs, pools


def prepare() -> None:
    """Migrate the tables and set the pools. Running it again changes nothing."""
    db.initdb()
    for name, slots in pools(jobs()).items():
        Pool.create_or_update_pool(name, slots, "Declared: see the department or library of this name.", include_deferred=False)


if __name__ == "__main__":
    prepare()
