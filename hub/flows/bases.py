"""The base libraries as an officer sees them: how full, how fresh, where departments disagree."""

from dataclasses import dataclass

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Mistake
from hub.flows import checkpoints
from libraries import plan
from libraries.applying import Step
from libraries.changes import changes
from libraries.disputes import Dispute, Unanchored, disputes, unanchored
from libraries.epochs import require_kept
from libraries.layout import EntityLayout, layout_of, layouts
from libraries.statements import scalar
from libraries.versions import current_version
from libraries.views import quoted
from schemas.declarations import declarations
from schemas.declared import Title


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityState:
    """One entity: how many subjects or rows it has, from which datasets, at which version of its library."""

    library: str
    library_title: Title
    entity: str
    entity_title: Title
    version: int
    rows: int
    datasets: dict[str, int]


def listed() -> tuple[EntityState, ...]:
    """Return every entity of every library that some contract feeds."""
    declared = declarations()
    with engine(Role.READER).connect() as connection:
        return tuple(
            EntityState(
                library=layout.library,
                library_title=declared.libraries[layout.library].title,
                entity=layout.entity,
                entity_title=declared.entity(layout.path)[1].title,
                version=current_version(connection, layout.library),
                rows=scalar(connection, f"SELECT count(*) FROM {quoted(layout.library, layout.entity)}"),
                datasets={
                    table.dataset: scalar(connection, f"SELECT count(*) FROM {quoted(table.library, table.name)}")
                    for table in layout.tables
                },
            )
            for layout in layouts(declared)
            if layout.tables
        )


def all_disputes(library: str | None = None) -> tuple[Dispute, ...]:
    """Return where departments disagree, by library, entity and field."""
    with engine(Role.READER).connect() as connection:
        return tuple(one for layout in _wanted(library) for one in disputes(connection, layout))


def all_unanchored(library: str | None = None) -> tuple[Unanchored, ...]:
    """Return which datasets speak of subjects that no register makes exist."""
    parents = {layout.path: layout for layout in layouts(declarations())}
    with engine(Role.READER).connect() as connection:
        return tuple(
            one for layout in _wanted(library) for one in unanchored(connection, layout, parents.get(f"{layout.library}.{layout.parent}"))
        )


def _wanted(library: str | None) -> tuple[EntityLayout, ...]:
    declared = declarations()
    if library is not None:
        declared.library(library)
    return tuple(layout for layout in layouts(declared) if library in {None, layout.library})


def changed(path: str, *, after: int, until: int | None) -> tuple[int, dict[str, int]]:
    """Return the version up to which changes of the entity *path* were counted, and how many subjects or rows changed how."""
    declared = declarations()
    library = declared.library(path.split(".", maxsplit=1)[0])
    if path not in {f"{library.library}.{entity.entity}" for entity in library.entities}:
        raise Mistake(f"there is no entity `{path}`", remedy="`hub library list` shows the entities")
    layout = layout_of(declared, path)
    with engine(Role.READER).connect() as connection:
        newest = until if until is not None else current_version(connection, layout.library)
        for version in (after, newest):
            require_kept(connection, layout.library, version)
        feed = changes(connection, layout, after=after, until=newest)
        rows = connection.execute(sa.text(f"SELECT change, count(*) FROM ({feed}) feed GROUP BY change ORDER BY change"))
        return newest, {change: count for change, count in rows}  # noqa: C416 (a Row is no pair to mypy)


def planned() -> tuple[Step, ...]:
    """Return what `hub library apply` would do."""
    with engine(Role.OWNER).connect() as connection:
        return plan.plan(declarations(), connection)


def unraised() -> tuple[str, ...]:
    """Return the datasets whose contract changed since they were last published, without its version being raised."""
    with engine(Role.OWNER).connect() as connection:
        return plan.unraised(declarations(), connection)


def applied(*, by: str, forget: bool = False) -> tuple[Step, ...]:
    """Bring the library tables to the declarations, as the owner role, and record it; *forget* allows steps that lose stored values."""
    checkpoints.require_current_database()
    steps = plan.apply(declarations(), engine(Role.OWNER), forget=forget)
    if steps:
        with engine(Role.WRITER).begin() as connection:
            record(connection, Event.LIBRARY_APPLIED, actor=by, details={"steps": [step.purpose for step in steps]})
        checkpoints.note()
    return steps


def versions(library: str, *, limit: int = 20) -> list[dict[str, object]]:
    """Return the newest versions of *library*, newest first, with its epoch and what made each."""
    declarations().library(library)
    query = sa.text(
        "SELECT (SELECT coalesce(max(e.epoch), 1) FROM hub.library_epoch e WHERE e.library = v.library AND e.first <= v.version) AS epoch, "
        "v.version, v.made_at, v.cause, v.batch, b.dataset, b.started_by FROM hub.library_version v "
        "LEFT JOIN hub.batch b ON b.id = v.batch WHERE v.library = :library ORDER BY v.version DESC LIMIT :limit"
    )
    with engine(Role.READER).connect() as connection:
        return [dict(row) for row in connection.execute(query, {"library": library, "limit": limit}).mappings()]
