"""The key hierarchy (privacy rules 1 to 3).

root (a file of 32 random bytes)
└── wrapping key of each purpose (HKDF from the root)
    └── random secret of each purpose and version (wrapped, in ``keyring.json``)
        └── key of each identity domain, library or batch (HKDF from the secret)

Every version has its own random secret, so that destroying the wrapped secret destroys the version:
nothing that remains can derive it again. Root and keyring lie outside the database and its backups.
Python cannot wipe memory; core dumps are switched off when keys are opened.
"""

import hashlib
import json
import os
import resource
import secrets
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn, TypedDict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hub.errors import Mistake, Refused
from masking.framing import framed_text
from masking.suites import INTERNATIONAL, Suite, suite_named

ROOT_FILE: Final = "root.key"
KEYRING_FILE: Final = "keyring.json"
SECRET_BYTES: Final = 32
NONCE_BYTES: Final = 12
CHECK_BYTES: Final = 8

# How many cipher keys each purpose needs: SIV uses one for S2V and one for the counter mode.
PURPOSES: Final = {"token": 1, "seal": 2, "quarantine": 2, "row_hash": 1}


class Secret:
    """Bytes that show themselves to nobody: not to ``repr``, ``pickle``, ``copy`` or ``dataclasses.asdict``."""

    __slots__ = ("_material",)

    def __init__(self, material: bytes) -> None:
        """Hide *material*."""
        self._material = material

    def reveal(self) -> bytes:
        """Return the bytes, for a cipher only."""
        return self._material

    def __repr__(self) -> str:
        """Show that there is a secret, and nothing of it."""
        return "Secret(hidden)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to leave the process or to be copied."""
        raise TypeError("key material is neither copied nor pickled")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Key:
    """A key for one purpose and context. ``version`` and ``suite`` go into the header of what it seals."""

    purpose: str
    context: tuple[str, ...]
    version: int
    suite: Suite
    material: Secret


class _Version(TypedDict):
    """One version of one purpose as it stands in the file; ``secret`` is empty once destroyed."""

    purpose: str
    version: int
    suite: str
    state: str
    created: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    suite: Suite
    state: str
    secret: Secret | None


class Keyring:
    """The secrets of the purposes this process was opened for. Nothing else of the root is kept."""

    __slots__ = ("_held",)

    def __init__(self, held: dict[tuple[str, int], _Held]) -> None:
        """Hold unwrapped secrets by purpose and version."""
        self._held = held

    def __repr__(self) -> str:
        """Name purposes and versions only."""
        return f"Keyring({', '.join(f'{purpose} {version}' for purpose, version in sorted(self._held))})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to leave the process."""
        raise TypeError("a keyring is neither copied nor pickled")

    def key(self, purpose: str, *context: str, version: int | None = None) -> Key:
        """Return the key of *purpose* in *context*: the same for the same arguments, unrelated for others.

        Without *version* the active one is taken. A purpose that was not opened, an unknown version
        and a destroyed one are ``Refused``.
        """
        number = self.active_version(purpose) if version is None else version
        held = self._held.get((purpose, number))
        if held is None:
            raise Refused(f"this process holds no {purpose} key of version {number}", remedy="see `hub key list`")
        if held.secret is None:
            raise Refused(
                f"version {number} of the {purpose} key was destroyed: what it protected can never be opened again",
                remedy="nothing brings it back; read the data again from its source",
            )
        return _derived(purpose, context, number, held.suite, held.secret)

    def check_values(self) -> dict[tuple[str, int], bytes]:
        """Return eight bytes for each secret held, by purpose and version: equal for equal secrets, and telling nothing of them.

        A destroyed version has none.
        """
        alive = [one for one, held in self._held.items() if held.secret is not None]
        keys = {(purpose, version): self.key(purpose, "key check", version=version) for purpose, version in alive}
        return {one: hashlib.sha256(key.material.reveal()).digest()[:CHECK_BYTES] for one, key in keys.items()}

    def versions(self) -> frozenset[tuple[str, int]]:
        """Return the purposes and versions this process was opened for, destroyed ones included."""
        return frozenset(self._held)

    def active_version(self, purpose: str) -> int:
        """Return the version of *purpose* that protects new values."""
        active = [number for (name, number), held in self._held.items() if name == purpose and held.state == "active"]
        if not active:
            raise Refused(f"this process holds no active {purpose} key", remedy="see `hub key list`")
        return max(active)


def _derived(purpose: str, context: tuple[str, ...], version: int, suite: Suite, secret: Secret) -> Key:
    length = PURPOSES[purpose] * suite.key_bytes
    info = framed_text("exchange-hub key", suite.name, purpose, *context)
    return Key(
        purpose=purpose,
        context=context,
        version=version,
        suite=suite,
        material=Secret(_hkdf(suite.digest(), length, info, secret)),
    )


def _hkdf(digest: HashAlgorithm, length: int, info: bytes, secret: Secret) -> bytes:
    return HKDF(digest, length, salt=None, info=info).derive(secret.reveal())


def create_keys(folder: Path, suite: Suite = INTERNATIONAL) -> None:
    """Make a root and version 1 of every purpose in *folder*, readable by the owner alone.

    An existing root or keyring is never overwritten (``Refused``): what it protects would be lost.
    """
    for name in (ROOT_FILE, KEYRING_FILE):
        if (folder / name).exists():
            raise Refused(f"{folder / name} exists already", remedy="keep it, or name another folder in HUB_KEYS")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    root = Secret(secrets.token_bytes(SECRET_BYTES))
    versions = [_new_version(root, purpose, 1, suite) for purpose in PURPOSES]
    _write_private(folder / ROOT_FILE, root.reveal())
    _write_private(folder / KEYRING_FILE, _as_json(versions))


def _new_version(root: Secret, purpose: str, version: int, suite: Suite) -> _Version:
    nonce = secrets.token_bytes(NONCE_BYTES)
    bound = _bound(purpose, version, suite)
    wrapped = _wrapping(root, purpose).encrypt(nonce, secrets.token_bytes(SECRET_BYTES), bound)
    return {
        "purpose": purpose,
        "version": version,
        "suite": suite.name,
        "state": "active",
        "created": datetime.now(UTC).date().isoformat(),
        "secret": (nonce + wrapped).hex(),
    }


def _wrapping(root: Secret, purpose: str) -> AESGCMSIV:
    return AESGCMSIV(_hkdf(SHA256(), SECRET_BYTES, framed_text("exchange-hub wrap", purpose), root))


def _bound(purpose: str, version: int, suite: Suite) -> bytes:
    return framed_text("exchange-hub secret", purpose, str(version), suite.name)


def open_keyring(folder: Path, *, home: Path, state: Path, purposes: Iterable[str] = tuple(PURPOSES)) -> Keyring:
    """Open the secrets of *purposes* and forget the root.

    ``Refused`` when root or keyring lie in *home*, in *state*, in a git work tree, when others can read them
    or change their folder, or when the keyring was not made with this root; ``Mistake`` when they are missing.
    """
    refuse_unsafe(folder, home=home, state=state)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    root = Secret((folder / ROOT_FILE).read_bytes())
    if len(root.reveal()) != SECRET_BYTES:
        raise Mistake(f"{folder / ROOT_FILE} is not a root key", remedy=f"it must hold {SECRET_BYTES} random bytes")
    wanted = frozenset(purposes)
    versions = [version for version in _read(folder / KEYRING_FILE) if version["purpose"] in wanted]
    return Keyring({(version["purpose"], version["version"]): _opened(root, version) for version in versions})


def _opened(root: Secret, version: _Version) -> _Held:
    suite = suite_named(version["suite"])
    if version["state"] == "destroyed":
        return _Held(suite=suite, state="destroyed", secret=None)
    sealed = bytes.fromhex(version["secret"])
    bound = _bound(version["purpose"], version["version"], suite)
    try:
        secret = _wrapping(root, version["purpose"]).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise Refused(
            f"version {version['version']} of the {version['purpose']} secret does not open with this root",
            remedy="put back the root.key and keyring.json that belong together",
        ) from None
    return _Held(suite=suite, state=version["state"], secret=Secret(secret))


def destroy_version(folder: Path, purpose: str, version: int) -> None:
    """Remove the wrapped secret of a version for ever; the active version is ``Refused``."""
    versions = _read(folder / KEYRING_FILE)
    found = [entry for entry in versions if entry["purpose"] == purpose and entry["version"] == version]
    if not found:
        raise Mistake(f"there is no version {version} of the {purpose} key", remedy="see `hub key list`")
    if found[0]["state"] == "active":
        raise Refused(f"version {version} of the {purpose} key is in use", remedy="rotate to a new version first")
    found[0]["state"], found[0]["secret"] = "destroyed", ""
    _write_private(folder / KEYRING_FILE, _as_json(versions))


def listed(folder: Path) -> tuple[tuple[str, int, str, str, str], ...]:
    """Return purpose, version, suite, state and date of creation of every key in *folder*, without opening any."""
    versions = _read(folder / KEYRING_FILE)
    return tuple((one["purpose"], one["version"], one["suite"], one["state"], one["created"]) for one in versions)


def _read(path: Path) -> list[_Version]:
    try:
        versions: list[_Version] = json.loads(path.read_bytes())["versions"]
    except (ValueError, KeyError, TypeError):
        raise Mistake(f"{path} is not a keyring", remedy="restore it from the copy kept with the root") from None
    return versions


def _as_json(versions: list[_Version]) -> bytes:
    return json.dumps({"format": 1, "versions": versions}, indent=1).encode() + b"\n"


def _write_private(path: Path, content: bytes) -> None:
    """Replace *path* at once and for good: a crash leaves the old file or the new one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:  # mkstemp gives mode 0600.
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def refuse_unsafe(folder: Path, *, home: Path, state: Path) -> None:
    """Refuse a place of keys that others can reach or that is copied along with code, data or backups (rule 2)."""
    folder = folder.resolve()
    for name in (ROOT_FILE, KEYRING_FILE):
        if not (folder / name).is_file():
            raise Mistake(f"{folder / name} is missing", remedy="make keys with `hub key create`, or set HUB_KEYS")
    # A file may be a link to elsewhere: what counts is where the bytes lie.
    places = [folder, *((folder / name).resolve().parent for name in (ROOT_FILE, KEYRING_FILE))]
    for place in dict.fromkeys(places):
        _refuse_place(place, home.resolve(), state.resolve())
    for name in (ROOT_FILE, KEYRING_FILE):
        if stat.S_IMODE((folder / name).stat().st_mode) & 0o077:
            raise Refused(f"others can read {folder / name}", remedy=f"chmod 600 {folder / name}")


def _refuse_place(place: Path, home: Path, state: Path) -> None:
    for owner, tree in (("HUB_HOME", home), ("HUB_STATE", state)):
        if place.is_relative_to(tree):
            raise Refused(f"the keys in {place} lie inside {owner}", remedy="move them and set HUB_KEYS")
    if any((parent / ".git").exists() for parent in (place, *place.parents)):
        raise Refused(f"the keys in {place} lie in a git work tree", remedy="move them and set HUB_KEYS")
    if stat.S_IMODE(place.stat().st_mode) & 0o022:
        raise Refused(f"others can write to {place}", remedy=f"chmod go-w {place}")
