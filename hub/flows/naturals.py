"""Natural keys as the libraries know them: tokens of people, plain text of what is public."""

from collections.abc import Sequence

import pyarrow as pa

from hub.errors import Mistake
from masking.keys import Keyring
from masking.protection import composite_canonical, plain_canonical
from masking.tokens import canonical, token
from schemas.vocabulary import Kind


def natural_keys(parts: Sequence[pa.Array], kinds: Sequence[Kind], keys: Keyring) -> pa.Array:
    """Return the ``binary`` key under which the libraries know each row of *parts*, in order; null where there is none.

    *kinds* are those of the entity's ``subject``, one for each part.
    The same values give the same key as a subject of those kinds, whatever the library.
    """
    if len(parts) > 1:
        return composite_canonical(parts).cast(pa.binary())
    (values,), (kind,) = parts, kinds
    if kind.domain is None:
        return plain_canonical(values).cast(pa.binary())
    document = kind.document_type or ""
    return token(canonical(values, document), keys.key("token", kind.domain), document_type=document).cast(pa.binary())


def typed_key(identifier: str, kinds: Sequence[Kind], keys: Keyring) -> bytes | None:
    """Return the natural key of an *identifier* as a person types it, its parts parted by ``|``; ``None`` if it is empty."""
    parts = identifier.split("|") if len(kinds) > 1 else [identifier]
    if len(parts) != len(kinds):
        named = "|".join(kind.title.en for kind in kinds)
        raise Mistake(f"this entity is known by {len(kinds)} values, and {len(parts)} were given", remedy=f"write them as {named}")
    key = natural_keys([pa.array([part], pa.string()) for part in parts], kinds, keys)[0].as_py()
    return bytes(key) if key else None
