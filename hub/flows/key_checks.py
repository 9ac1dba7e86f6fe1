"""Whether the keys in HUB_KEYS are those that the database was written with: told before a row is read or protected."""

import sqlalchemy as sa

from hub.errors import Refused
from masking.keys import Keyring


def require_same_keys(connection: sa.Connection, held: Keyring) -> None:
    """Raise :class:`Refused` if a secret differs from the one the database knows, or is missing; note new ones (as the writer).

    Keys newer than the database are right: they hold its versions too, or say that one was destroyed.
    """
    known = {(row.purpose, row.version): bytes(row.value) for row in connection.execute(sa.text("SELECT * FROM hub.key_check"))}
    refuse_others(known, held)
    insert = sa.text("INSERT INTO hub.key_check (purpose, version, value) VALUES (:purpose, :version, :value) ON CONFLICT DO NOTHING")
    for (purpose, version), value in held.check_values().items():
        if (purpose, version) not in known:
            connection.execute(insert, {"purpose": purpose, "version": version, "value": value})


def refuse_others(known: dict[tuple[str, int], bytes], held: Keyring) -> None:
    """Raise :class:`Refused` if *held* are not the keys whose check values are *known*."""
    opened = {purpose for purpose, _ in held.versions()}
    values = held.check_values()
    other = sorted(one for one, value in known.items() if one in values and values[one] != value)
    if other:
        raise Refused(
            f"the keys are not those of this database: {_named(other)} differ",
            remedy="set HUB_KEYS to the folder of root.key and keyring.json that belong to it (docs/how-to/back-up-and-restore.md)",
        )
    missing = sorted(one for one in known if one[0] in opened and one not in held.versions())
    if missing:
        raise Refused(
            f"the keyring is older than this database: {_named(missing)} are missing",
            remedy="put back the newest copy of keyring.json (`hub backup keys` makes them)",
        )


def _named(keys: list[tuple[str, int]]) -> str:
    return ", ".join(f"{purpose} version {version}" for purpose, version in keys)
