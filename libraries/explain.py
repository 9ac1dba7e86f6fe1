"""Where a subject's values come from: field by field, whose word stands and when it was said."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from libraries.layout import ContributionTable, EntityLayout
from libraries.views import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One stored value of one field: its protected form, who said it, in which batch, and whether it stands."""

    field: str
    value: object
    dataset: str
    stands: bool
    differs: bool
    version: int
    batch: int | None
    contract_version: int | None
    at: datetime | None


def subject_of(connection: sa.Connection, layout: EntityLayout, key: bytes) -> int | None:
    """Return the subject known by the natural key *key* (a token where the key is sensitive), or ``None``."""
    return connection.execute(sa.text(f"SELECT subject FROM {layout.spine} WHERE key = :key"), {"key": key}).scalar_one_or_none()


def origins(connection: sa.Connection, layout: EntityLayout, subject: int) -> tuple[Origin, ...]:
    """Return every stored value of *subject*, in the entity's field order, the one that stands first."""
    rows = {table.dataset: row for table in layout.tables if (row := _row(connection, table, subject)) is not None}
    made = {row["since"]: _maker(connection, layout.library, row["since"]) for row in rows.values()}
    found: list[Origin] = []
    for field, ranked in layout.ranks.items():
        voices = [dataset for dataset in ranked if dataset in rows]
        compared = [_compared(rows[dataset], field) for dataset in voices]
        for place, dataset in enumerate(voices):
            row = rows[dataset]
            if field not in row:
                continue
            batch, contract_version, at = made[row["since"]]
            found.append(
                Origin(
                    field=field,
                    value=row[field],
                    dataset=dataset,
                    stands=place == 0,
                    differs=compared[place] is not None and compared[0] is not None and compared[place] != compared[0],
                    version=row["since"],
                    batch=batch,
                    contract_version=contract_version,
                    at=at,
                )
            )
    return tuple(found)


def _row(connection: sa.Connection, table: ContributionTable, subject: int) -> dict[str, Any] | None:
    query = sa.text(f"SELECT * FROM {quoted(table.library, table.name)} WHERE subject = :subject LIMIT 1")
    row = connection.execute(query, {"subject": subject}).mappings().one_or_none()
    return dict(row) if row is not None else None


def _compared(row: dict[str, object], field: str) -> object:
    value = row.get(f"{field}__tag", row.get(field))
    return bytes(value) if isinstance(value, memoryview) else value


def _maker(connection: sa.Connection, library: str, version: object) -> tuple[int | None, int | None, datetime | None]:
    query = sa.text(
        "SELECT v.batch, b.contract_version, v.made_at FROM hub.library_version v LEFT JOIN hub.batch b ON b.id = v.batch "
        "WHERE v.library = :library AND v.version = :version"
    )
    row = connection.execute(query, {"library": library, "version": version}).one_or_none()
    return (row[0], row[1], row[2]) if row is not None else (None, None, None)
