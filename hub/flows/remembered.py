"""Quarantined rows as a source: unsealed in memory, handed over as the department sent them."""

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import sqlalchemy as sa

from connectors.protocol import Session, Window
from hub.database.engine import engine
from hub.database.roles import Role
from hub.flows import batches
from hub.flows.keys import keyring
from masking.quarantine import unseal_rows
from schemas.contract import Contract
from schemas.declarations import declarations
from schemas.declared import FieldType

Texts = dict[str, str | None]
_ROWS_AT_ONCE = 65_536
_BYTE_ORDERS = (b"\x00", b"\x01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Open quarantined rows of a dataset, or those of one of its batches only."""

    dataset: str
    batch: int | None = None

    @property
    def where(self) -> str:
        """The SQL condition on ``hub.quarantine q``: rows of published batches that are still open."""
        only = f" AND q.batch = {self.batch:d}" if self.batch is not None else ""
        published = "EXISTS (SELECT FROM hub.batch b WHERE b.id = q.batch AND b.state = 'published')"
        return f"q.dataset = '{self.dataset}' AND q.closed_by IS NULL{only} AND {published}"

    @property
    def legible(self) -> str:
        """The same, but for rows whose values have expired (``hub library prune``): their keys are all that is left."""
        return f"{self.where} AND q.sealed <> ''"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One quarantined row: where it stood (counted from 0), the checks it broke, and its seal."""

    batch: int
    position: int
    row_key: bytes | None
    key_is_token: bool
    checks: tuple[str, ...]
    sealed: bytes
    key_version: int


def target_of(name: str) -> Target:
    """Read what an officer wrote: a batch's number or a dataset; :class:`Mistake` if there is no such thing."""
    if name.isdigit():
        with engine(Role.READER).connect() as connection:
            return Target(dataset=batches.find(connection, int(name)).dataset, batch=int(name))
    return Target(dataset=declarations().contract(name).dataset)


def remembered(connection: sa.Connection, target: Target) -> tuple[Remembered, ...]:
    """Return the open rows of *target*, by batch and position."""
    columns = "batch, position, row_key, key_is_token, checks, sealed, key_version"
    query = f"SELECT {columns} FROM hub.quarantine q WHERE {target.legible} ORDER BY 1, 2"
    return tuple(
        Remembered(
            batch=row.batch,
            position=row.position,
            row_key=bytes(row.row_key) if row.row_key is not None else None,
            key_is_token=row.key_is_token,
            checks=tuple(row.checks),
            sealed=bytes(row.sealed),
            key_version=row.key_version,
        )
        for row in connection.execute(sa.text(query))
    )


def unsealed(rows: Sequence[Remembered]) -> list[Texts]:
    """Return each row as field to text, in the order of *rows*; ``Refused`` if a seal was altered or its key destroyed."""
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[row.batch, row.key_version].append(place)
    opened: dict[int, Texts] = {}
    for (batch, version), numbers in places.items():
        sealed = pa.array([rows[number].sealed for number in numbers], pa.binary())
        positions = pa.array([rows[number].position for number in numbers], pa.int64())
        key = keyring().key("quarantine", version=version)
        opened |= dict(zip(numbers, unseal_rows(sealed, positions, key, str(batch)), strict=True))
    return [opened[place] for place in range(len(rows))]


class RememberedRows(Session):
    """A source of rows held in memory. It has no cursor, and gives the same rows at every read."""

    def __init__(self, contract: Contract, rows: Sequence[Texts]) -> None:
        """Serve *rows*, field to text, under the source's own column names; a field they lack is null."""
        super().__init__(snapshot="quarantine")
        self._fields = {each.source_column: each for each in contract.fields}
        self._rows = rows

    def columns(self) -> pa.Schema:
        """Return the contract's columns, as text."""
        return pa.schema([(name, pa.string()) for name in self._fields])

    def count(self, window: Window) -> int:  # noqa: ARG002 (there is one window: all)
        """Return the number of rows."""
        return len(self._rows)

    def newest(self, cursor: str) -> str | None:  # noqa: ARG002 (there is none)
        """Return ``None``: what was put aside says nothing of how far the source has come."""
        return None

    def earlier(self, value: str, seconds: int) -> str:  # noqa: ARG002 (there is no earlier)
        """Return *value*."""
        return value

    def read(self, columns: Sequence[str], window: Window) -> Iterator[pa.RecordBatch]:  # noqa: ARG002 (there is one window: all)
        """Yield the rows in order."""
        for start in range(0, len(self._rows), _ROWS_AT_ONCE):
            part = self._rows[start : start + _ROWS_AT_ONCE]
            yield pa.RecordBatch.from_pydict({name: self._column(name, part) for name in columns})

    def _column(self, name: str, rows: Sequence[Texts]) -> pa.Array:
        field = self._fields[name]
        values = [row.get(field.name) for row in rows]
        if field.type is not FieldType.GEOMETRY:
            return pa.array(values, pa.string())
        shapes = [_shape(value) for value in values]
        # What could not be read as a shape was kept as the department wrote it.
        return pa.array(values, pa.string()) if any(isinstance(one, str) for one in shapes) else pa.array(shapes, pa.binary())


def _shape(value: str | None) -> bytes | str | None:
    """Return a shape's bytes (WKB begins with its byte order) from the base64 it was kept in, or the text as it is."""
    if value is None:
        return None
    try:
        decoded = base64.b64decode(value, validate=True)
    except binascii.Error:
        return value
    return decoded if decoded[:1] in _BYTE_ORDERS else value
