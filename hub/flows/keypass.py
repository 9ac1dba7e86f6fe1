"""One pass over a source's keys alone: which keys there are, and which subjects, as tags."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from connectors.protocol import Connector, Window
from hub.flows.ahead import ahead
from hub.flows.keysets import Gathered
from hub.flows.progress import Progress
from hub.flows.shares import Share, with_derived_columns
from masking.fingerprints import Tags, key_tags
from schemas.conform import conform
from schemas.contract import Contract


@dataclass(slots=True)
class Keys:
    """What a source's rows are called: tags of their keys, and of the subjects that must be single, by number of the share.

    ``in_no_window`` are keys of rows whose cursor is missing or unreadable.
    """

    rows: int = 0
    keys: Gathered = field(default_factory=Gathered)
    in_no_window: Gathered = field(default_factory=Gathered)
    subjects: dict[int, Gathered] = field(default_factory=dict)

    def add(self, rows: int, keys: Tags, subjects: "dict[int, Tags]") -> None:
        """Add one stretch of rows; rows without a key count and have no tag."""
        self.rows += rows
        self.keys.add(keys)
        for number, tags in subjects.items():
            self.subjects.setdefault(number, Gathered()).add(tags)


def key_pass(
    source: Connector, contract: Contract, shares: tuple[Share, ...], single: tuple[int, ...], *, timezone: str, progress: Progress
) -> Keys:
    """Read the key columns of every row of the source, and its cursor."""
    found = Keys()
    for batch in ahead(_read(source, contract, shares, single, timezone)):
        key = shares[0].protection.checksum_key
        subjects = {number: key_tags(shares[number].protection.subject_keys(batch), key) for number in single}
        row_keys = shares[0].protection.row_keys(batch)
        found.add(batch.num_rows, key_tags(row_keys, key), subjects)
        if contract.sync.cursor is not None and (cursor := batch.column(contract.sync.cursor)).null_count:
            found.in_no_window.add(key_tags(row_keys.filter(cursor.is_null()), key))
        progress("keys", found.rows)
    return found


def _read(
    source: Connector, contract: Contract, shares: tuple[Share, ...], single: tuple[int, ...], timezone: str
) -> Iterator[pa.RecordBatch]:
    wanted = set(contract.key) | {name for number in single for name in shares[number].given.subject}
    wanted |= {contract.sync.cursor} if contract.sync.cursor is not None else set()
    wanted |= {each.kind_by.field for each in contract.fields if each.name in wanted and each.kind_by is not None}
    fields = [each for each in contract.fields if each.name in wanted]
    partial = contract.model_copy(update={"fields": tuple(fields)})
    for raw in source.read([each.source_column for each in fields], Window()):
        yield with_derived_columns(conform(raw, fields, timezone=timezone).batch, partial)
