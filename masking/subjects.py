"""Opening the identifiers of a spine again: for an erasure, which must know under which numbers a person may come back."""

import pyarrow as pa

from masking.keys import Keyring
from masking.protection import SUBJECT_FIELD
from masking.seals import header, unseal


def subject_values(keys: pa.Array, sealed: pa.Array, keyring: Keyring, *, library: str, entity: str) -> pa.Array:
    """Return the canonical identifiers sealed beside the spine's *keys*, as text, in order. They are plaintext: keep them in memory.

    ``Refused`` as ``seals.unseal`` if one was altered.
    """
    key = keyring.key("seal", library)
    head = header(key.suite, key.version, library, entity, SUBJECT_FIELD)
    return unseal(sealed, keys, key, head).cast(pa.string())
