"""Where departments disagree, and who speaks of subjects that nobody makes exist: both are queries.

A dispute is two datasets with different values for one field of one subject.
Sealed values cannot be compared (each seal is bound to its row); their tags can, and say only *equal* or *different*.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import sqlalchemy as sa

from libraries.layout import EntityLayout
from libraries.views import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """How many subjects two datasets describe differently in one field; ``stands`` is the one whose value counts."""

    library: str
    entity: str
    field: str
    stands: str
    differs: str
    subjects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanchored:
    """How many rows of one dataset speak of subjects that do not exist, and the row keys of the first few."""

    library: str
    entity: str
    dataset: str
    rows: int


def disputes(connection: sa.Connection, layout: EntityLayout) -> Iterator[Dispute]:
    """Yield the disputes of a composed entity, by field and rank; fields without any are left out."""
    for query in _pairs(layout):
        subjects = connection.execute(sa.text(query.count)).scalar_one()
        if subjects:
            yield Dispute(
                library=layout.library,
                entity=layout.entity,
                field=query.field,
                stands=query.stands,
                differs=query.differs,
                subjects=subjects,
            )


def disputed_subjects(connection: sa.Connection, layout: EntityLayout, field: str, *, limit: int) -> tuple[tuple[str, str, int], ...]:
    """Return (stands, differs, subject id) of the first disputes over *field*."""
    found: list[tuple[str, str, int]] = []
    for query in _pairs(layout):
        if query.field == field:
            rows = connection.execute(sa.text(f"{query.subjects} ORDER BY 1 LIMIT {limit:d}"))
            found += [(query.stands, query.differs, row[0]) for row in rows]
    return tuple(found[:limit])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    field: str
    stands: str
    differs: str
    body: str

    @property
    def count(self) -> str:
        return f"SELECT count(*) {self.body}"

    @property
    def subjects(self) -> str:
        return f"SELECT a.subject {self.body}"


def _pairs(layout: EntityLayout) -> Iterator[_Pair]:
    for field, ranked in layout.ranks.items():
        column = _compared(layout, field)
        for stands, differs in combinations(ranked, 2) if column else ():
            left, right = layout.table(stands), layout.table(differs)
            body = (
                f"FROM {quoted(left.library, left.name)} a JOIN {quoted(right.library, right.name)} b USING (subject) "
                f"WHERE a.{quoted(column)} <> b.{quoted(column)}"
            )
            yield _Pair(field=field, stands=stands, differs=differs, body=body)


def _compared(layout: EntityLayout, field: str) -> str:
    """Return the column in which two datasets' values can be compared; empty if the field is not stored."""
    names = [column.name for column in layout.columns if column.field == field]
    return f"{field}__tag" if f"{field}__tag" in names else field if field in names else ""


def unanchored(connection: sa.Connection, layout: EntityLayout, parent: EntityLayout | None) -> Iterator[Unanchored]:
    """Yield the datasets that speak of subjects nobody makes exist (a typo creates no person)."""
    exists = _existence(parent or layout)
    for table in layout.tables:
        if parent is None and table.dataset in layout.exists_by:
            continue
        query = f"SELECT count(*) FROM {quoted(table.library, table.name)} t WHERE NOT EXISTS ({exists})"
        rows = connection.execute(sa.text(query)).scalar_one()
        if rows:
            yield Unanchored(library=layout.library, entity=layout.entity, dataset=table.dataset, rows=rows)


def unanchored_keys(
    connection: sa.Connection, layout: EntityLayout, parent: EntityLayout | None, dataset: str, *, limit: int
) -> tuple[bytes, ...]:
    """Return the row keys of the first unanchored rows of *dataset*."""
    table = layout.table(dataset)
    query = (
        f"SELECT t.row_key FROM {quoted(table.library, table.name)} t WHERE NOT EXISTS ({_existence(parent or layout)}) "
        f"ORDER BY t.row_key LIMIT {limit:d}"
    )
    return tuple(bytes(row[0]) for row in connection.execute(sa.text(query)))


def _existence(layout: EntityLayout) -> str:
    anchors = [table for table in layout.tables if table.dataset in layout.exists_by] if layout.exists_by else list(layout.tables)
    selects = [f"SELECT FROM {quoted(table.library, table.name)} e WHERE e.subject = t.subject" for table in anchors]
    return " UNION ALL ".join(selects) or "SELECT WHERE false"
