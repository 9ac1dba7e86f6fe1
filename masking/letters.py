"""Letters: unsealed rows on their way to one officer, encrypted to that officer's key, with an expiry inside.

The form is age (age-encryption.org/v1: X25519, ChaCha20-Poly1305), so any program that knows age opens a letter.
The expiry is therefore a promise of the one who opens it with `hub quarantine open`, not of the cipher:
whoever holds the key and another program can read on. It is stated inside, where nobody can change it unnoticed.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyrage

from hub.errors import Mistake, Refused

FORM = "exchange-hub letter 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a letter says: whose rows, on whose authority, until when, and the rows as CSV."""

    dataset: str
    department: str
    made_by: str
    made_at: datetime
    expires_at: datetime
    rows: int
    csv: str


def new_identity() -> tuple[str, str]:
    """Return a fresh private key and the public key that belongs to it, in age's own text form."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def public_key(text: str) -> str:
    """Return the one public key in *text* (a file's content; lines with ``#`` are remarks); :class:`Mistake` otherwise."""
    keys = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(keys) == 1:
        try:
            return str(pyrage.x25519.Recipient.from_str(keys[0]))
        except pyrage.RecipientError:
            pass
    raise Mistake(
        "the file holds no public key", remedy="it must hold one line that begins with age1 (`hub quarantine new-key` makes a pair)"
    )


def written(letter: Letter, recipient: str) -> bytes:
    """Return *letter* as text that only the holder of *recipient*'s private key can read."""
    said = asdict(letter) | {"form": FORM, "made_at": letter.made_at.isoformat(), "expires_at": letter.expires_at.isoformat()}
    plain = json.dumps(said, ensure_ascii=False).encode()
    return bytes(pyrage.encrypt(plain, [pyrage.x25519.Recipient.from_str(recipient)], armored=True))


def opened(sealed: bytes, identities: str, *, now: datetime) -> Letter:
    """Return the letter in *sealed* by one of the private keys in *identities*.

    :class:`Mistake` if none of them fits or it is no letter of ours, :class:`Refused` once it has expired.
    """
    said = _said(sealed, list(_identities(identities)))
    letter = Letter(
        **{name: said[name] for name in ("dataset", "department", "made_by", "rows", "csv")},
        made_at=datetime.fromisoformat(said["made_at"]),
        expires_at=datetime.fromisoformat(said["expires_at"]),
    )
    if now >= letter.expires_at:
        raise Refused(
            f"these rows of {letter.dataset} could be read until {letter.expires_at:%Y-%m-%d %H:%M %Z}",
            remedy="delete the file; if the rows are still needed, ask for a new export",
        )
    return letter


def _identities(text: str) -> Iterable[pyrage.x25519.Identity]:
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                yield pyrage.x25519.Identity.from_str(line.strip())
            except pyrage.IdentityError:
                raise Mistake("the key file holds no private key", remedy="give the file that `hub quarantine new-key` made") from None


def _said(sealed: bytes, identities: list[pyrage.x25519.Identity]) -> dict[str, Any]:
    try:
        said = json.loads(pyrage.decrypt(sealed, identities))
    except pyrage.DecryptError:
        raise Mistake("the file does not open with this key", remedy="use the private key of the public key it was made for") from None
    except ValueError:
        said = None
    if not isinstance(said, dict) or said.get("form") != FORM:
        raise Mistake("the file is no export of quarantined rows", remedy="give the file that `hub quarantine export --values` made")
    return said
