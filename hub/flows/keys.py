"""The keys of this process: opened once, for the purposes of bringing data in."""

from functools import cache

from hub.settings import settings
from masking.keys import Keyring, create_keys, open_keyring


@cache
def keyring() -> Keyring:
    """Return the keyring of ``HUB_KEYS``, opened once in this process."""
    return open_keyring(settings().keys, home=settings().home, state=settings().state)


def ensure_keys() -> bool:
    """Create root and keyring where there are none; say whether they were created."""
    if (settings().keys / "keyring.json").exists():
        return False
    create_keys(settings().keys)
    return True
