"""Every setting of the hub: one table, read from the environment once.

The reference page ``docs/reference/settings.md`` is generated from this table.
Secrets never stand here: a setting names the file or the variable that holds one.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: the environment variable, its default and its meaning."""

    name: str
    default: str
    meaning: str


SETTINGS = (
    Setting(
        name="HUB_HOME",
        default="the repository",
        meaning="folder whose connectors/sources, schemas and catalog declarations are used; what it lacks is taken from the repository",
    ),
    Setting(
        name="HUB_STATE",
        default="state, in HUB_HOME",
        meaning="folder for everything the hub writes outside its database: embedded PostgreSQL, logs, Data Docs, generated secrets",
    ),
    Setting(
        name="HUB_DATABASE_URL",
        default="the embedded server",
        meaning="PostgreSQL 15 or newer: postgresql://hub_owner@host/hub, without a password (see HUB_SECRETS)",
    ),
    Setting(
        name="HUB_SECRETS",
        default="secrets, in HUB_STATE",
        meaning="folder with one file per password (named by role or source), readable by the owner alone",
    ),
    Setting(
        name="HUB_KEYS",
        default="exchange-hub, in the user's configuration folder",
        meaning="folder of the root key and the wrapped secrets; refused inside HUB_HOME, HUB_STATE or a git work tree",
    ),
    Setting(
        name="HUB_BACKUPS",
        default="backups, in HUB_STATE",
        meaning="folder of `hub backup`; better on another disk than HUB_STATE; refused where keys lie",
    ),
    Setting(
        name="HUB_CHECKPOINTS",
        default="none",
        meaning="a second folder, on another disk, for the checkpoint by which a restored older database is recognised; one hub each",
    ),
    Setting(name="HUB_TIMEZONE", default="Asia/Shanghai", meaning="business time zone: clocks, allowed hours, naive times of sources"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force in this process."""

    home: Path
    state: Path
    database_url: str | None
    secrets: Path
    keys: Path
    backups: Path
    checkpoints: Path | None
    timezone: str


@cache
def settings() -> Settings:
    """Return the settings of this process, read from the environment at the first call."""
    environment = os.environ
    home = Path(environment.get("HUB_HOME") or REPOSITORY).resolve()
    state = Path(environment.get("HUB_STATE") or home / "state").resolve()
    configuration = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Settings(
        home=home,
        state=state,
        database_url=environment.get("HUB_DATABASE_URL") or None,
        secrets=Path(environment.get("HUB_SECRETS") or state / "secrets").resolve(),
        keys=Path(environment.get("HUB_KEYS") or configuration / "exchange-hub").resolve(),
        backups=Path(environment.get("HUB_BACKUPS") or state / "backups").resolve(),
        checkpoints=Path(environment["HUB_CHECKPOINTS"]).resolve() if environment.get("HUB_CHECKPOINTS") else None,
        timezone=environment.get("HUB_TIMEZONE") or "Asia/Shanghai",
    )
