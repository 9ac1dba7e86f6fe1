"""One pass over a source's keys: how many rows, which keys are null or doubled, what refers to nothing, what is gone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from connectors.protocol import Connector, Window
from hub.flows.ahead import ahead
from hub.flows.keys import keyring
from hub.flows.naturals import natural_keys
from hub.flows.shares import Share, with_derived_columns
from hub.flows.staging import Stage
from libraries.views import quoted
from masking.fingerprints import KeyChecksum, checksum
from masking.keys import Key
from schemas.conform import conform
from schemas.contract import Contract
from schemas.rules.checks import Check
from schemas.vocabulary import Kind

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A check that a field names a subject which exists: the field, its kind, and the query of the keys that exist."""

    check: Check
    kind: Kind
    existing: str

    @property
    def field(self) -> str:
        """The field that refers."""
        return self.check.fields[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyColumns:
    """What is noted of each row besides its key: subjects that must be single, subjects that must exist."""

    single: dict[int, Check] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the staged key table after ``row_key``."""
        return (*(f"subject_{number}" for number in self.single), *(f"reference_{number}" for number in range(len(self.references))))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPass:
    """What the pass found. ``failing`` holds the row keys that break each set-level check, by check id."""

    rows: int
    without_key: int
    repeated: int
    checksum: KeyChecksum
    failing: dict[str, pa.Array]


def key_pass(
    source: Connector,
    contract: Contract,
    shares: tuple[Share, ...],
    stage: Stage,
    columns: KeyColumns,
    *,
    key: Key,
    timezone: str,
    progress: Progress,
) -> KeyPass:
    """Read the key columns of every row, stage them, and find what set-level rules need."""
    rows = without_key = 0
    total = KeyChecksum()
    for batch in ahead(_keys(source, contract, shares, columns, timezone)):
        rows += batch.num_rows
        present = batch.filter(batch.column("row_key").is_valid())
        without_key += batch.num_rows - present.num_rows
        total += checksum(present.column("row_key"), key)
        stage.write(stage.names.keys, present)
        progress("keys", rows)
    stage.analyze([stage.names.keys])
    failing = dict(_failing(stage, contract, columns))
    repeated = len(failing[f"{contract.key[0]}.unique_key"])
    return KeyPass(rows=rows, without_key=without_key, repeated=repeated, checksum=total, failing=failing)


def _keys(source: Connector, contract: Contract, shares: tuple[Share, ...], columns: KeyColumns, timezone: str) -> Iterator[pa.RecordBatch]:
    wanted = _wanted(contract, shares, columns)
    fields = [each for each in contract.fields if each.name in wanted]
    partial = contract.model_copy(update={"fields": tuple(fields)})
    for raw in source.read([each.source_column for each in fields], Window()):
        batch = with_derived_columns(conform(raw, fields, timezone=timezone).batch, partial)
        noted = {"row_key": shares[0].protection.row_keys(batch)}
        noted |= {f"subject_{number}": shares[number].protection.subject_keys(batch) for number in columns.single}
        noted |= {
            f"reference_{number}": natural_keys(batch.column(one.field), one.kind, keyring())
            for number, one in enumerate(columns.references)
        }
        yield pa.RecordBatch.from_pydict(noted)


def _wanted(contract: Contract, shares: tuple[Share, ...], columns: KeyColumns) -> set[str]:
    wanted = set(contract.key) | {shares[number].given.subject for number in columns.single}
    wanted |= {one.field for one in columns.references}
    by = {each.kind_by.field for each in contract.fields if each.name in wanted and each.kind_by is not None}
    return wanted | by


def _failing(stage: Stage, contract: Contract, columns: KeyColumns) -> Iterator[tuple[str, pa.Array]]:
    keys = quoted("staging", stage.names.keys)
    yield f"{contract.key[0]}.unique_key", _only(stage, f"SELECT row_key FROM {keys} GROUP BY row_key HAVING count(*) > 1")
    for number, check in columns.single.items():
        subject = quoted(f"subject_{number}")
        doubled = f"SELECT {subject} FROM {keys} WHERE {subject} IS NOT NULL GROUP BY {subject} HAVING count(*) > 1"
        yield check.id, _only(stage, f"SELECT DISTINCT row_key FROM {keys} WHERE {subject} IN ({doubled})")

    for number, one in enumerate(columns.references):
        refers = f"k.{quoted(f'reference_{number}')}"
        missing = f"{refers} IS NOT NULL AND NOT EXISTS (SELECT FROM ({one.existing}) e WHERE e.key = {refers})"
        yield one.check.id, _only(stage, f"SELECT DISTINCT row_key FROM {keys} k WHERE {missing}")


def _only(stage: Stage, sql: str) -> pa.Array:
    column = stage.query(sql).column(0)
    return column.combine_chunks() if column.num_chunks else pa.array([], pa.binary())
