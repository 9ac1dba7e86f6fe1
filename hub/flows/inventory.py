"""What a library holds of one dataset already: a fingerprint of each row and a tag of its key, 28 bytes a row.

With it a row that did not change is recognised as soon as it is read: it is neither protected nor written again.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.database.arrow import answer
from hub.database.roles import Role
from hub.flows.keysets import NONE
from libraries.layout import ContributionTable
from libraries.views import quoted
from masking.fingerprints import Tags, key_tags
from masking.keys import Key

_HALVES = np.dtype((">u8", 2))


class Inventory:
    """The current rows of one contribution table. ``keys`` are sorted; ``hashes(rows)`` gives the fingerprints of some of them."""

    def __init__(self, high: Tags, low: Tags, keys: Tags) -> None:
        """Take the halves of the fingerprints and, row by row beside them, the tags of the keys."""
        by_hash = np.argsort(high)
        self._high, self._low = high[by_hash], low[by_hash]
        keys = keys[by_hash]
        self._places = np.argsort(keys).astype(np.uint32)  # 4,294,967,295 rows of one dataset are enough
        self.keys = keys[self._places]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.keys)

    def knows(self, hashes: pa.Array) -> NDArray[np.bool_]:
        """Return for each ``binary(16)`` fingerprint whether a current row has it.

        Should two current rows share the first half of theirs, one of them may count as unknown: it is then written again.
        """
        if not len(self):
            return np.zeros(len(hashes), np.bool_)
        high, low = _halves(hashes)
        place = np.searchsorted(self._high, high)
        place[place == len(self)] = 0
        known: NDArray[np.bool_] = (self._high[place] == high) & (self._low[place] == low)
        return known

    def hashes(self, rows: NDArray[np.bool_]) -> pa.Array:
        """Return the ``binary`` fingerprints of the chosen *rows*, chosen in the order of ``keys``."""
        places = self._places[rows]
        halves = np.column_stack([self._high[places], self._low[places]]).astype(">u8")
        offsets = np.arange(0, 16 * len(halves) + 1, 16, dtype=np.int32)
        return pa.Array.from_buffers(pa.binary(), len(halves), [None, pa.py_buffer(offsets), pa.py_buffer(halves.tobytes())])


def inventory_of(table: ContributionTable, key: Key) -> Inventory:
    """Read the inventory of *table* as it is now; *key* makes the tags."""
    high, low, keys = [NONE], [NONE], [NONE]
    for batch in answer(Role.WRITER, f"SELECT row_key, row_hash FROM {quoted(table.library, table.name)}"):
        tops, bottoms = _halves(batch.column("row_hash"))
        high.append(tops)
        low.append(bottoms)
        keys.append(key_tags(batch.column("row_key"), key))
    return Inventory(np.concatenate(high), np.concatenate(low), np.concatenate(keys))


def _halves(hashes: pa.Array) -> tuple[Tags, Tags]:
    """Return both halves of 16-byte values without nulls as numbers that sort like the bytes."""
    words = np.frombuffer(hashes.cast(pa.binary(16)).buffers()[1], _HALVES, len(hashes), 16 * hashes.offset) if len(hashes) else None
    if words is None:
        return NONE, NONE
    native = words.astype(np.uint64)
    return np.ascontiguousarray(native[:, 0]), np.ascontiguousarray(native[:, 1])
