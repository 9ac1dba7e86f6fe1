"""Tags: equal where two departments say the same of one subject, and otherwise nothing.

Seals are bound to their row, so two departments' seals of one value differ and disputes could not be found by query.
A tag is a keyed fingerprint of subject and value: it compares values of *one* subject in one field.
It leaks that equality and no other: equal values of two subjects have unrelated tags, so frequencies cannot be counted.
"""

import pyarrow as pa
import pyarrow.compute as pc

from masking.encodings import encode
from masking.fingerprints import row_hash
from masking.keys import Key


def tags(values: pa.Array, subject_keys: pa.Array, key: Key) -> pa.Array:
    """Return one 16-byte ``binary`` tag a row, in order; null where value or subject is null."""
    pairs = pa.RecordBatch.from_pydict({"subject": subject_keys, "value": encode(values)})
    made = row_hash(pairs, key).cast(pa.binary())
    return pc.if_else(pc.and_(values.is_valid(), subject_keys.is_valid()), made, pa.scalar(None, pa.binary()))
