"""Whom a run must not bring back: rows that name an erased person are, to the hub, not at the source.

They leave between connector and key pass, so that keys, counts, checksums, deletes and the gate agree by themselves,
nothing of them is staged or quarantined, and a first load is adopted without them. While nobody is erased it costs one query a run.

A person is known by a *mark*: like a token, but under a key of its own, made of the identifier and not of a token.
It joins nothing the hub or a subscriber holds and survives a rotation of tokens. Whoever has only the database cannot try it;
whoever has the keys could try all numbers, as with tokens (privacy rule 4), and would learn who was erased, no more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from connectors.protocol import Connector, Window
from hub.database.engine import engine
from hub.database.roles import Role
from hub.flows.keys import keyring
from hub.flows.shares import Share, with_derived_columns
from masking.columns import only
from masking.tokens import canonical, token
from schemas.conform import conform
from schemas.contract import Contract, Field
from schemas.library import OnErasure
from schemas.vocabulary import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A contract's field that names a person: its identity domain, on which rows, and whether it is emptied or its row goes."""

    source: str
    domain: str
    document_type: str
    only_where: str | None
    clears: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An erased person as later runs know them."""

    mark: bytes
    key_version: int


def marks_in_force(connection: sa.Connection, domain: str) -> frozenset[Mark]:
    """Return the marks of everybody of *domain* who is kept out now."""
    query = sa.text("SELECT mark, key_version FROM hub.suppression WHERE domain = :domain")
    return frozenset(Mark(mark=bytes(row.mark), key_version=row.key_version) for row in connection.execute(query, {"domain": domain}))


def identifiers_of(shares: Sequence[Share]) -> tuple[Identifier, ...]:
    """Return the fields by which rows of *shares* name the person they are about, or one whose erasure the library acts on."""
    return tuple(dict.fromkeys(found for share in shares for found in _identifiers(share)))


def _identifiers(share: Share) -> Iterator[Identifier]:
    subject = share.subject
    if subject.domain is not None:
        yield Identifier(
            source=subject.sources[0], domain=subject.domain, document_type=subject.document_type or "", only_where=subject.only_where,
            clears=False,
        )  # fmt: skip
    acting = {field.name: field.on_erasure for field in share.entity.fields if field.on_erasure is not OnErasure.REPORT}
    for column in share.columns:
        if column.name in acting and column.domain is not None:
            yield Identifier(
                source=column.source, domain=column.domain, document_type=column.document_type or "", only_where=column.only_where,
                clears=acting[column.name] is OnErasure.CLEAR,
            )  # fmt: skip


def marks_of(values: pa.Array, *, domain: str, document_type: str, version: int | None = None) -> pa.Array:
    """Return the mark of each of *values* as ``binary``, in order; null where there is no canonical form."""
    key = keyring().key("token", f"suppressed {domain}", version=version)
    return token(canonical(values, document_type), key, document_type=document_type).cast(pa.binary())


def is_erased(connection: sa.Connection, identifier: str, kind: Kind) -> bool:
    """Whether the person with *identifier* is kept out."""
    query = sa.text("SELECT key_version, mark FROM hub.suppression WHERE domain = :domain")
    for version, mark in connection.execute(query, {"domain": kind.domain}).all():
        made = marks_of(pa.array([identifier]), domain=kind.domain or "", document_type=kind.document_type or "", version=version)
        if made[0].as_py() == bytes(mark):
            return True
    return False


def newest_erasure(connection: sa.Connection) -> int:
    """Return the number of the newest erasure, 0 before the first."""
    return int(connection.execute(sa.text("SELECT coalesce(max(id), 0) FROM hub.erasure")).scalar_one())


def erased_since(connection: sa.Connection, counts: dict[str, object]) -> bool:
    """Whether somebody was erased after a batch with these *counts* was read. Certain under the publish locks."""
    return newest_erasure(connection) > int(cast("int", counts.get("erasures_seen", 0)))


class WithoutErased:
    """A session of a source in which erased people do not occur; in all else it is the session it was made of.

    ``suppressed`` is the greatest number of rows that a single pass left out.
    """

    def __init__(self, source: Connector, contract: Contract, shares: Sequence[Share], *, timezone: str) -> None:
        """Learn who is erased now."""
        self._source, self._contract, self._timezone = source, contract, timezone
        self._identifiers = identifiers_of(shares)
        self._marks: dict[tuple[str, int], list[bytes]] = {}
        self.suppressed = 0
        with engine(Role.WRITER).connect() as connection:
            self._newest = newest_erasure(connection)
            rows = connection.execute(sa.text("SELECT domain, key_version, mark FROM hub.suppression ORDER BY domain, key_version"))
            for domain, version, mark in rows if self._identifiers else ():
                self._marks.setdefault((domain, version), []).append(bytes(mark))

    @property
    def session(self) -> Connector:
        """The session for whoever reads."""
        return cast("Connector", self)

    def counts(self) -> dict[str, object]:
        """Return what the batch records: rows left out, and the newest erasure that was heeded."""
        return {"suppressed": self.suppressed, "erasures_seen": self._newest}

    def __getattr__(self, name: str) -> object:
        """Answer as the session does."""
        return getattr(self._source, name)

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:
        """Yield the rows of *window* as the session does, but for those of erased people."""
        if not self._marks:
            yield from self._source.read(columns, window)
            return
        fields = self._looked_at()
        wanted = list(dict.fromkeys([*columns, *(field.source_column for field in fields)]))
        partial = self._contract.model_copy(update={"fields": tuple(fields)})
        left_out = 0
        for raw in self._source.read(wanted, window):
            known = with_derived_columns(conform(raw, fields, timezone=self._timezone).batch, partial)
            kept, gone = self._without(raw, known)
            left_out += gone
            self.suppressed = max(self.suppressed, left_out)
            yield kept.select(list(columns))

    def _looked_at(self) -> list[Field]:
        names = {one.source for one in self._identifiers}
        names |= {field.kind_by.field for field in self._contract.fields if field.name in names and field.kind_by is not None}
        return [field for field in self._contract.fields if field.name in names]

    def _without(self, raw: pa.RecordBatch, known: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
        gone = pa.repeat(pa.scalar(value=False), raw.num_rows)
        for one in self._identifiers:
            named = self._named(known, one)
            if not one.clears:
                gone = pc.or_(gone, named)
            elif pc.any(named).as_py():
                place = raw.schema.get_field_index(self._contract.field(one.source).source_column)
                column = raw.column(place)
                raw = raw.set_column(place, raw.schema.field(place), pc.if_else(named, pa.scalar(None, column.type), column))
        count = int(pc.sum(gone).as_py() or 0)
        return (raw.filter(pc.invert(gone)), count) if count else (raw, 0)

    def _named(self, known: pa.RecordBatch, one: Identifier) -> pa.Array:
        values = known.column(one.source)
        values = values if one.only_where is None else only(values, known.column(one.only_where))
        named = pa.repeat(pa.scalar(value=False), len(values))
        for (domain, version), marks in self._marks.items():
            if domain == one.domain:
                made = marks_of(values, domain=domain, document_type=one.document_type, version=version)
                named = pc.or_(named, pc.is_in(made, value_set=pa.array(marks, pa.binary())))
        return named
