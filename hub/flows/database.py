"""The hub's database and keys, made ready: one call, safe to repeat."""

from hub.database import embedded
from hub.database.migrations import upgrade
from hub.flows.keys import ensure_keys
from hub.settings import settings


def ready() -> None:
    """Start the embedded server if it is the one in use, migrate the hub's tables, create keys where there are none."""
    if settings().database_url is None:
        embedded.up()
    upgrade()
    ensure_keys()
