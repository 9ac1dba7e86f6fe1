"""Source against target: every key the source has is in the library, or there is a reason why not."""

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from hub.errors import Rejected
from hub.flows.shares import Share
from hub.flows.staging import Names, Stage
from libraries.statements import run, scalar
from libraries.views import quoted
from masking.fingerprints import KeyChecksum, checksum
from masking.keys import Key
from schemas.contract import Contract

KEYS_PER_GROUP = 100_000


def accountable(shares: tuple[Share, ...], contract: Contract) -> int | None:
    """Return the number of a share to which every valid row of *contract* gives a row; ``None`` if there is none."""
    return next((number for number, share in enumerate(shares) if share.given.pick is None and _always_speaks(share, contract)), None)


def _always_speaks(share: Share, contract: Contract) -> bool:
    field = contract.field(share.given.subject)
    return (field.required or field.name in contract.key) and field.kind_by is None


def unseen(stage: Stage, shares: tuple[Share, ...], contract: Contract) -> int:
    """Return how many keys the source has that neither the library nor this window knows: rows the cursor did not show."""
    number = accountable(shares, contract)
    if number is None:
        return 0
    missing = _missing(stage.names, shares[number]) + " AND"
    rows = quoted("staging", stage.names.rows(number))
    return int(stage.query(_without_reason(stage.names, number, contract, rows, missing)).column(0)[0].as_py())


def _missing(names: Names, share: Share) -> str:
    """Select the keys of the source that the library lacks; the query goes on after its last condition."""
    keys, target = quoted("staging", names.keys), quoted(share.table.library, share.table.name)
    return f"SELECT k.row_key FROM {keys} k WHERE NOT EXISTS (SELECT FROM {target} x WHERE x.row_key = k.row_key)"


def _without_reason(names: Names, number: int, contract: Contract, rows: str, missing: str) -> str:
    places = (
        f"{rows} x WHERE x.row_key = k.row_key",
        f"{quoted('staging', names.absent(number))} x WHERE x.row_key = k.row_key",
        f"hub.quarantine x WHERE x.row_key = k.row_key AND x.dataset = '{contract.dataset}' AND x.closed_by IS NULL",
    )
    known = " AND ".join(f"NOT EXISTS (SELECT FROM {place})" for place in places)
    return f"SELECT count(*) AS keys FROM ({missing} {known}) unexplained"


def reconcile(
    connection: sa.Connection, shares: tuple[Share, ...], contract: Contract, names: Names, *, source: str, repeated: bool, key: Key
) -> KeyChecksum:
    """Compare source and target after a merge and return the checksum over both sides of the target's account.

    The library's keys and the keys left out, added up, must give the source's checksum,
    and each key left out must be quarantined, superseded or silent. *repeated* says that the source repeats keys.
    Raise :class:`Rejected` otherwise.
    """
    number = accountable(shares, contract)
    share = shares[number or 0]
    run(connection, f"CREATE TEMP TABLE left_out ON COMMIT DROP AS {_missing(names, share)}")
    total = _checksum(connection, quoted(share.table.library, share.table.name), key) + _checksum(connection, "left_out", key)
    if repeated:
        total += _checksum(connection, f"({_repetitions(names, share)}) again", key)
    if shown(total) != source:
        raise Rejected(
            f"the keys of {contract.dataset} in the library do not add up to the keys read at the source",
            remedy="run the job again; if it happens again, the source changes while it is read: declare allowed hours",
        )
    if number is None:
        return total
    rows = _rows(connection, names, number, share)
    missing = scalar(connection, _without_reason(names, number, contract, rows, "SELECT k.row_key FROM left_out k WHERE"))
    if missing:
        raise Rejected(f"{missing} rows of {contract.dataset} were read and are nowhere", remedy="run the job again")
    return total


def _rows(connection: sa.Connection, names: Names, number: int, share: Share) -> str:
    """Return where the staged rows of a share are now: a first load became the library's own table."""
    staged = quoted("staging", names.rows(number))
    lies_there = connection.execute(sa.text("SELECT to_regclass(:name) IS NOT NULL"), {"name": staged}).scalar_one()
    return staged if lies_there else quoted(share.table.library, share.table.name)


def shown(total: KeyChecksum) -> str:
    """Return a checksum as it is recorded: number of keys, then the sum."""
    return f"{total.count}:{total.total:032x}"


def _repetitions(names: Names, share: Share) -> str:
    """Select the second and further occurrences, at the source, of keys that the library has."""
    counted = f"SELECT row_key, count(*) AS times FROM {quoted('staging', names.keys)} GROUP BY row_key HAVING count(*) > 1"
    target = quoted(share.table.library, share.table.name)
    return f"SELECT row_key FROM ({counted}) k JOIN {target} USING (row_key), generate_series(2, k.times)"


def _checksum(connection: sa.Connection, keys: str, key: Key) -> KeyChecksum:
    """Return the checksum of the keys in the relation *keys*, fetched as few large values instead of many small."""
    groups = scalar(connection, f"SELECT count(*) FROM {keys}") // KEYS_PER_GROUP + 1
    packed = (
        f"SELECT string_agg(row_key, ''::bytea), string_agg(int4send(octet_length(row_key)), ''::bytea), count(*) "
        f"FROM {keys} GROUP BY floor(random() * {groups:d})"
    )
    total = KeyChecksum()
    for data, lengths, count in connection.execute(sa.text(packed)):
        offsets = np.zeros(count + 1, np.int32)
        np.cumsum(np.frombuffer(lengths, ">i4"), out=offsets[1:])
        total += checksum(pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)]), key)
    return total


def close_quarantine(connection: sa.Connection, dataset: str, names: Names, shares: tuple[Share, ...], *, full: bool) -> int:
    """Close quarantined rows whose key arrived valid, left the source, or was quarantined anew; return how many."""
    batch = names.batch
    arrived = [f"SELECT row_key FROM {_rows(connection, names, number, share)}" for number, share in enumerate(shares)]
    arrived += [f"SELECT row_key FROM {quoted('staging', names.absent(number))}" for number in range(len(shares))]
    arrived.append(f"SELECT row_key FROM hub.quarantine WHERE batch = {batch:d} AND row_key IS NOT NULL")
    gone = f"NOT EXISTS (SELECT FROM {quoted('staging', names.keys)} k WHERE k.row_key = q.row_key)"
    keyless = "q.row_key IS NULL" if full else "false"
    return run(
        connection,
        f"UPDATE hub.quarantine q SET closed_by = {batch:d} WHERE q.dataset = '{dataset}' AND q.closed_by IS NULL AND q.batch <> {batch:d} "
        f"AND (q.row_key IN ({' UNION ALL '.join(arrived)}) OR (q.row_key IS NOT NULL AND {gone}) OR {keyless})",
    )
