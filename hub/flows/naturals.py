"""Natural keys as the libraries know them: tokens of people, plain text of what is public."""

import pyarrow as pa

from masking.keys import Keyring
from masking.protection import plain_canonical
from masking.tokens import canonical, token
from schemas.vocabulary import Kind


def natural_keys(values: pa.Array, kind: Kind, keys: Keyring) -> pa.Array:
    """Return the ``binary`` key under which the libraries know each of *values*, in order; null where there is none.

    The same value gives the same key as a subject of that kind, whatever the library.
    """
    if kind.domain is None:
        return plain_canonical(values).cast(pa.binary())
    document = kind.document_type or ""
    return token(canonical(values, document), keys.key("token", kind.domain), document_type=document).cast(pa.binary())
