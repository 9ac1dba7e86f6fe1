"""Heavy modules, imported once: the scheduler forks its workers, and those fork the tasks, which find them loaded.

Brought to Airflow by the entry point `airflow.plugins` (pyproject.toml). Why, and the numbers: docs/decisions/0005-heavy-imports-once.md
"""

import gc
import sys
from importlib import import_module

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

from connectors.registry import BUILT_IN
from dags.timetable import OpenTimes

HEAVY = (
    "hub.flows.decisions",  # pyarrow, pandas, ADBC, SQLAlchemy, cryptography
    "great_expectations",  # scipy, altair, …
    "jinja2.ext",
    "pyproj",
    "schemas.checks",
    *BUILT_IN.values(),  # every connector of ours, with its driver
)


class Warmth:
    """A listener of Airflow's life cycle."""

    @hookimpl
    def on_starting(self, component: object) -> None:  # noqa: ARG002 (Airflow's signature)
        """Import the heavy modules as the scheduler starts, before it forks. Other components have no use for them."""
        if "scheduler" in sys.argv:
            warm()


def warm() -> None:
    """Import every heavy module and keep the collector off them, so that forked processes go on sharing their pages."""
    gc.disable()  # a tenth of the time of such imports goes into collecting nothing
    for name in HEAVY:
        import_module(name)
    gc.freeze()
    gc.enable()


class WarmPlugin(AirflowPlugin):
    """The plugin that carries the listener and the timetable that Airflow must be able to read back from its database."""

    name = "hub_warm"
    listeners = [Warmth()]  # noqa: RUF012 (Airflow's own form)
    timetables = [OpenTimes]  # noqa: RUF012 (likewise)
