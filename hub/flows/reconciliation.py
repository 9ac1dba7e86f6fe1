"""Source against target: after a merge the library holds exactly the keys that it must hold, and open quarantine is settled."""

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from hub.flows.batches import Batch
from hub.flows.reasons import Reason
from hub.flows.runs import Run, accountable
from hub.flows.staging import Names
from libraries.publishing import Merged, Staged
from libraries.statements import run, scalar
from libraries.views import quoted
from masking.fingerprints import KeyChecksum, checksum
from masking.keys import Key
from schemas.contract import Contract

KEYS_PER_GROUP = 100_000


class Disagreement(Exception):  # noqa: N818 (a finding that the caller settles, not a failure)
    """Source and library do not add up after a merge; ``reason`` says by how much."""

    def __init__(self, reason: Reason) -> None:
        """Carry *reason*; the transaction of the merge must be rolled back."""
        self.reason = reason
        super().__init__(reason.en)


def reconcile(
    connection: sa.Connection, this: Run, batch: Batch, merged: Merged, staged: Staged, version: int, *, accepted: bool
) -> KeyChecksum:
    """Compare the keys in the library with those it must hold, and return their checksum.

    What it held when the source was read, without what left and with what came in this version, must give
    what the source has, without what is quarantined, silent or superseded. A table that was empty is read whole.
    Raise :class:`Disagreement` otherwise, unless an officer has *accepted* it.
    """
    key = this.shares[0].protection.checksum_key
    table = quoted(staged.table.library, staged.table.name)
    before, expected = (KeyChecksum.read(str(batch.counts[name])) for name in ("held_before", "expected"))
    if not before.count:
        target = _checksum(connection, table, key)
    elif merged.anything:
        history = quoted(staged.table.library, staged.table.history)
        left = _checksum(connection, f"(SELECT row_key FROM {history} WHERE until = {version:d}) gone", key, rows=merged.left)
        come = _checksum(connection, f"(SELECT row_key FROM {table} WHERE since = {version:d}) come", key, rows=merged.come)
        target = before - left + come
    else:
        target = before
    target = KeyChecksum(scalar(connection, f"SELECT count(*) FROM {table}"), target.total)
    superseded = f"SELECT DISTINCT row_key FROM {quoted(staged.superseded)} s"
    nowhere = f"({superseded} WHERE NOT EXISTS (SELECT FROM {table} t WHERE t.row_key = s.row_key)) nowhere"
    must_hold = expected - _checksum(connection, nowhere, key)
    if target != must_hold and not accepted:
        raise Disagreement(_keys_differ(this.contract, source=str(must_hold), target=str(target)))
    return target


_DO_ZH = "已重读一次仍不符：源端可能边读边改，请声明可读时段或改读快照。放行则发布已读到的行，缺的行在下次运行补上"
_DO_EN = (
    "it was read twice: the source changes while it is read, so declare allowed hours or read a copy. "
    "A release publishes the rows that were read; the next run brings those that are missing"
)


def _keys_differ(contract: Contract, *, source: str, target: str) -> Reason:
    there, here = source.partition(":")[0], target.partition(":")[0]
    return Reason(
        rule="reconciliation", measured=target, limit=source, do_zh=_DO_ZH, do_en=_DO_EN,
        zh=f"{contract.dataset} 的主键与源端对不上：源端 {there} 个，目标端 {here} 个，校验和不同",
        en=f"the keys of {contract.dataset} in the library do not add up to the keys read at the source: {there} there, {here} here, "
        "and their checksums differ",
    )  # fmt: skip


def accountable_share(this: Run) -> int:
    """Return the number of the share whose table is held against the source."""
    return accountable(this.shares, this.contract) or 0


def _checksum(connection: sa.Connection, keys: str, key: Key, *, rows: int | None = None) -> KeyChecksum:
    """Return the checksum of the keys in the relation *keys* (about *rows*), fetched as few large values instead of many small."""
    groups = (scalar(connection, f"SELECT count(*) FROM {keys}") if rows is None else rows) // KEYS_PER_GROUP
    grouped = f" GROUP BY floor(random() * {groups + 1:d})" if groups else " HAVING count(*) > 0"
    packed = f"SELECT string_agg(row_key, ''::bytea), string_agg(int4send(octet_length(row_key)), ''::bytea), count(*) FROM {keys}"
    total = KeyChecksum()
    for data, lengths, count in connection.execute(sa.text(packed + grouped)):
        offsets = np.zeros(count + 1, np.int32)
        np.cumsum(np.frombuffer(lengths, ">i4"), out=offsets[1:])
        total += checksum(pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)]), key)
    return total


def close_quarantine(connection: sa.Connection, dataset: str, names: Names, *, full: bool) -> int:
    """Close open rows of earlier batches: their key arrived valid, left the source, or was quarantined anew; return how many.

    A *full* read has seen the rows without a key too.
    """
    keyless = "q.row_key IS NULL" if full else "false"
    settled = f"q.row_key IN (SELECT row_key FROM {quoted('staging', names.closing)})"
    return run(
        connection,
        f"UPDATE hub.quarantine q SET closed_by = {names.batch:d} WHERE q.dataset = '{dataset}' AND q.closed_by IS NULL "
        f"AND q.batch <> {names.batch:d} AND ({settled} OR {keyless})",
    )
