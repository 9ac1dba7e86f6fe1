"""Erasing a person (PIPL Art. 47) so that no later sync brings them back; lifting that; doing it again after a restore.

One transaction under all publish locks: rows, history, spine, quarantine and staged batches of the person go,
tombstone and marks come, every library concerned gets a version, and the audit log the grounds.
Writing the tables' files anew (``rewritten``) follows apart, as the owner role.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Refused
from hub.flows import erasure_log, holds
from hub.flows.erasure_log import Entry, Grounds
from hub.flows.persons import Person, by_identifier, by_marks, kind_of, namings, quarantined, spines, unsearchable
from hub.flows.readiness import acting
from hub.flows.runs import throw_away
from libraries import plan
from libraries.erasure import Naming, bury, clear, clear_retired, collect, naming_rows, remove
from libraries.layout import ContributionTable, EntityLayout, layouts
from libraries.retired import retired_columns_of, with_withdrawn
from libraries.statements import run, scalar
from libraries.versions import current_version, lock, record_version
from libraries.views import quoted
from schemas.declarations import Declarations, declarations
from schemas.library import OnErasure


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What an erasure did, in rows (all states, history included), and who has to be told.

    ``removed`` is by dataset, ``cleared`` and ``reported`` by field that names the person in rows of other subjects:
    what is reported stays, and the officer decides about it; ``unsearchable`` fields may name them under seal.
    """

    id: int
    versions: dict[str, int]
    removed: dict[str, int]
    quarantined: int
    batches: tuple[int, ...]
    cleared: dict[str, int]
    reported: dict[str, int]
    unsearchable: tuple[str, ...]
    departments: tuple[str, ...]


def erase(identifier: str, kind: str, grounds: Grounds) -> Erasure:
    """Erase the person with *identifier*; one whom nothing knows yet is kept out from now on.

    Raise :class:`Refused` under a legal hold; nothing is done then.
    """
    declared = declarations()
    domain = kind_of(declared, kind).domain or ""
    with _alone(declared, domain) as connection:
        return _erase(connection, declared, by_identifier(connection, declared, identifier, kind_of(declared, kind)), grounds)


def reapply(*, by: str) -> tuple[Erasure, ...]:
    """Erase again whom a restored, older database still knows, by the log kept outside it; return what was done.

    Each on the grounds of the first time, recorded as *by*. What is in force already is passed over. A recovery does this by itself.
    """
    declared, done = declarations(), []
    with acting() as connection:
        missing = erasure_log.not_in_force(connection)
    for entry in missing:
        with _alone(declared, entry.domain) as connection:
            if entry not in erasure_log.not_in_force(connection):
                continue
            again = Grounds(
                requester=entry.grounds.requester, approver=entry.grounds.approver, reason=entry.grounds.reason,
                legal_basis=entry.grounds.legal_basis, by=by,
            )  # fmt: skip
            done.append(_erase(connection, declared, by_marks(connection, declared, entry.domain, entry.marks), again, log=False))
    return tuple(done)


def lift(identifier: str, kind: str, grounds: Grounds) -> tuple[int, ...]:
    """Let an erased person come back with the next full reading of each source; return which erasures that ends."""
    declared = declarations()
    with _alone(declared, kind_of(declared, kind).domain or "") as connection:
        person = by_identifier(connection, declared, identifier, kind_of(declared, kind))
        found = sa.text("DELETE FROM hub.suppression WHERE domain = :domain AND mark = ANY(:marks) RETURNING erasure")
        given = {"domain": person.domain, "marks": [one.mark for one in person.marks]}
        numbers = sorted(set(connection.execute(found, given).scalars()))
        if not numbers:
            raise Refused("nobody by that identifier is erased", remedy="check the number; `hub subject erasures` lists cases")
        rest = connection.execute(sa.text("DELETE FROM hub.suppression WHERE erasure = ANY(:ids) RETURNING mark"), {"ids": numbers})
        rest.all()  # the same person's other numbers
        lifted = sa.text("UPDATE hub.erasure SET lifted_at = now(), lifted_by = :by WHERE id = ANY(:ids)")
        connection.execute(lifted, {"ids": numbers, "by": grounds.by})
        details = {"erasures": numbers, "requester": grounds.requester, "approver": grounds.approver, "reason": grounds.reason}
        record(connection, Event.SUBJECT_LIFTED, actor=grounds.by, details=details)
        erasure_log.append(Entry(domain=person.domain, marks=person.marks, grounds=grounds, lifted=True))
    return tuple(numbers)


@contextmanager
def _alone(declared: Declarations, domain: str) -> Iterator[sa.Connection]:
    """Open a transaction in which nobody else erases, and nobody publishes into the libraries that know people of *domain*."""
    concerned = {layout.library for layout in spines(declared, domain)} | {one.table.library for _, _, one in namings(declared, domain)}
    with acting() as connection:
        concerned |= {layout.library for layout in layouts(declared) for table in layout.tables if retired_columns_of(connection, table)}
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('erasure', 0))"))
        for library in sorted(concerned):
            lock(connection, library)
        plan.require_applied(declared, connection, concerned)
        yield connection


def _erase(connection: sa.Connection, declared: Declarations, person: Person, grounds: Grounds, *, log: bool = True) -> Erasure:
    every = tuple(with_withdrawn(connection, layout) for layout in layouts(declared))
    named = list(namings(declared, person.domain, every))
    removed = collect(connection, every, person.known, [one for act, _, one in named if act is OnErasure.ROW])
    holds.require_free(connection, person.known, frozenset(removed))
    number = _begin(connection, person, grounds)
    touched = _remove_rows(connection, every, removed)
    waiting = {library: current_version(connection, library) + 1 for library in sorted({layout.library for layout in every})}
    cleared = _clear(connection, named, person, waiting)
    touched |= {(one.table.library, name) for _, path, one in named if cleared.get(path) for name in (one.table.name, one.table.history)}
    retired = _clear_retired(connection, every, person)
    for spine in spines(declared, person.domain):
        ids = person.known.subjects.get(spine.path, ())
        if ids:
            bury(connection, spine, ids, erasure=number, version=waiting[spine.library])
            touched.add((spine.library, f"{spine.entity}__key"))
    versions = {library: record_version(connection, library, None, cause="erasure") for library in sorted({one for one, _ in touched})}
    rows = _leave_quarantine(connection, declared, person)
    touched |= {("hub", "quarantine")} if rows else set()
    touched |= {(table.library, name) for table in retired for name in (table.name, table.history)}
    thrown = tuple(_throw_staged_away(connection, declared, person, number, grounds.by))
    _to_rewrite(connection, touched)
    done = Erasure(
        id=number, versions=versions, removed=removed, quarantined=rows, batches=thrown,
        cleared=cleared | {f"{table.library}.{table.name} (retired)": count for table, count in retired.items()},
        reported=_reported(connection, named, person), unsearchable=unsearchable(declared, person.domain),
        departments=tuple(sorted({declared.contracts[dataset].department for dataset in removed if dataset in declared.contracts})),
    )  # fmt: skip
    _record(connection, done, person, grounds)
    if log:
        erasure_log.append(Entry(domain=person.domain, marks=person.marks, grounds=grounds, lifted=False))
    return done


def _begin(connection: sa.Connection, person: Person, grounds: Grounds) -> int:
    begun = sa.text(
        "INSERT INTO hub.erasure (domain, requester, approver, recorded_by, reason, legal_basis) "
        "VALUES (:domain, :requester, :approver, :by, :reason, :legal_basis) RETURNING id"
    )
    values = {
        "domain": person.domain, "requester": grounds.requester, "approver": grounds.approver, "by": grounds.by,
        "reason": grounds.reason, "legal_basis": grounds.legal_basis,
    }  # fmt: skip
    number = int(connection.execute(begun, values).scalar_one())
    marks = [{"mark": one.mark, "version": one.key_version, "domain": person.domain, "erasure": number} for one in person.marks]
    kept_out = sa.text(
        "INSERT INTO hub.suppression (mark, key_version, domain, erasure) VALUES (:mark, :version, :domain, :erasure) "
        "ON CONFLICT (mark, domain) DO UPDATE SET erasure = excluded.erasure"
    )
    connection.execute(kept_out, marks)
    return number


def _remove_rows(connection: sa.Connection, every: Iterable[EntityLayout], datasets: dict[str, int]) -> set[tuple[str, str]]:
    touched = set()
    for layout in every:
        for table in layout.tables:
            if table.dataset in datasets and remove(connection, table):
                touched |= {(table.library, table.name), (table.library, table.history)}
    return touched


def _clear(
    connection: sa.Connection, named: list[tuple[OnErasure, str, Naming]], person: Person, versions: dict[str, int]
) -> dict[str, int]:
    cleared: Counter[str] = Counter()
    for act, path, one in named:
        if act is OnErasure.CLEAR:
            cleared[path] += clear(connection, one, person.known.keys, versions[one.table.library])
    return {path: rows for path, rows in cleared.items() if rows}


def _clear_retired(connection: sa.Connection, every: Iterable[EntityLayout], person: Person) -> dict[ContributionTable, int]:
    """Empty what fields that left their contract still say of the person in rows of others, in every table; return how many values."""
    found = {table: clear_retired(connection, table, person.known.keys) for layout in every for table in layout.tables}
    return {table: count for table, count in found.items() if count}


def _reported(connection: sa.Connection, named: list[tuple[OnErasure, str, Naming]], person: Person) -> dict[str, int]:
    found: Counter[str] = Counter()
    for act, path, one in named:
        if act is OnErasure.REPORT:
            found[path] += naming_rows(connection, one, person.known.keys)
    return {path: rows for path, rows in found.items() if rows}


def _leave_quarantine(connection: sa.Connection, declared: Declarations, person: Person) -> int:
    """Remove the person's quarantined rows: by the key of a removed row, by a key that is their token, by what is sealed in them."""
    rows = run(connection, "DELETE FROM hub.quarantine q USING erased_state e WHERE e.dataset = q.dataset AND e.row_key = q.row_key")
    tokens = sa.text("DELETE FROM hub.quarantine WHERE key_is_token AND row_key = ANY(:keys)")
    rows += connection.execute(tokens, {"keys": list(person.known.keys)}).rowcount
    opened = sa.text("DELETE FROM hub.quarantine WHERE id = ANY(:ids)")
    return rows + connection.execute(opened, {"ids": quarantined(connection, declared, person)}).rowcount


def _throw_staged_away(connection: sa.Connection, declared: Declarations, person: Person, number: int, by: str) -> Iterator[int]:
    """Discard staged and held batches in which the person lies, and let the others be published as they are."""
    waiting = sa.text("SELECT id, dataset FROM hub.batch WHERE state IN ('staged', 'held') ORDER BY id")
    for batch, dataset in connection.execute(waiting).all():
        if dataset in declared.contracts and _lies_in(connection, batch, person):
            throw_away(connection, batch, dataset, by, reason="a person in it was erased; read again")
            yield batch
        else:
            seen = "counts || jsonb_build_object('erasures_seen', CAST(:number AS bigint))"
            heeded = sa.text(f"UPDATE hub.batch SET counts = {seen} WHERE id = :id")
            connection.execute(heeded, {"number": number, "id": batch})


def _lies_in(connection: sa.Connection, batch: int, person: Person) -> bool:
    columns = sa.text(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relnamespace = 'staging'::regnamespace AND c.relkind = 'r' AND c.relname LIKE :like "
        "AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'bytea'::regtype ORDER BY 1, 2"
    )
    for table, column in connection.execute(columns, {"like": f"b{batch}\\_%"}).all():
        found = sa.text(f"SELECT EXISTS (SELECT FROM {quoted('staging', table)} WHERE {quoted(column)} = ANY(:keys))")
        if connection.execute(found, {"keys": list(person.known.keys)}).scalar_one():
            return True
    return False


def _to_rewrite(connection: sa.Connection, touched: set[tuple[str, str]]) -> None:
    rows = [{"library": library, "name": name} for library, name in sorted(touched)]
    if rows:
        connection.execute(sa.text("INSERT INTO hub.rewrite (library, name) VALUES (:library, :name) ON CONFLICT DO NOTHING"), rows)


def _record(connection: sa.Connection, done: Erasure, person: Person, grounds: Grounds) -> None:
    counts = {"removed": done.removed, "quarantined": done.quarantined, "cleared": done.cleared, "reported": done.reported}
    statement = sa.text("UPDATE hub.erasure SET counts = CAST(:counts AS jsonb) WHERE id = :id")
    connection.execute(statement, {"counts": json.dumps(counts), "id": done.id})
    details = {
        "erasure": done.id, "requester": grounds.requester, "approver": grounds.approver, "reason": grounds.reason,
        "legal_basis": grounds.legal_basis, "subjects": person.known.subjects, "versions": done.versions, "counts": counts,
    }  # fmt: skip
    record(connection, Event.SUBJECT_ERASED, actor=grounds.by, details=details)


def listed(*, limit: int = 50) -> list[dict[str, object]]:
    """Return the newest erasures with their grounds, newest first. Nothing in them tells who it was."""
    query = sa.text(
        "SELECT id, at, requester, approver, recorded_by, reason, legal_basis, counts, lifted_at, lifted_by "
        "FROM hub.erasure ORDER BY id DESC LIMIT :limit"
    )
    with engine(Role.READER).connect() as connection:
        return [dict(row) for row in connection.execute(query, {"limit": limit}).mappings()]


def rewritten(*, by: str) -> tuple[str, ...]:
    """Write the files of tables anew from which somebody was erased (VACUUM FULL), as the owner role; return their names.

    Until then dead rows may lie in them. Each table is locked for that time: ``Unavailable`` if one is in use; call again.
    """
    with engine(Role.OWNER).connect() as reading:
        waiting = reading.execute(sa.text("SELECT library, name FROM hub.rewrite ORDER BY library, name")).all()
    done = []
    for library, name in waiting:
        with engine(Role.OWNER).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if scalar(connection, f"SELECT count(*) FROM pg_class WHERE oid = to_regclass('{quoted(library, name)}')"):
                run(connection, f"VACUUM (FULL, ANALYZE) {quoted(library, name)}")
        with engine(Role.WRITER).begin() as connection:
            gone = sa.text("DELETE FROM hub.rewrite WHERE library = :library AND name = :name")
            connection.execute(gone, {"library": library, "name": name})
            record(connection, Event.TABLES_REWRITTEN, actor=by, details={"tables": [f"{library}.{name}"]})
        done.append(f"{library}.{name}")
    return tuple(done)
