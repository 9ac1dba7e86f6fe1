"""Protect one record batch on its way into a staging table: every column as its policy says, whole-column.

The decisions are made elsewhere and arrive as plain values; nothing here reads a declaration.
The output has, in order: ``row_key``, ``row_key__sealed`` (if the key is sensitive), ``subject_key``,
``subject_sealed`` (if it is a token), the columns, ``row_hash``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from hub.errors import Mistake, Rejected
from masking.columns import is_bytes, is_text, only, whole
from masking.encodings import encode, text
from masking.fingerprints import row_hash
from masking.generalise import generalise
from masking.keys import Key, Keyring
from masking.seals import BoundRows, bind, header, seal
from masking.tokens import canonical, token
from schemas.declared import Level
from schemas.vocabulary import Treatment

ROW_KEY: Final = "row_key"
ROW_KEY_SEALED: Final = "row_key__sealed"
SUBJECT_KEY: Final = "subject_key"
SUBJECT_SEALED: Final = "subject_sealed"
ROW_HASH: Final = "row_hash"
# Fields of a seal's header that no declaration can name, because a declared name begins with a letter.
_ROW_KEY_FIELD: Final = "_row_key"
SUBJECT_FIELD: Final = "_subject"
# The identity domain of sensitive row keys that belong to none: they join nothing but themselves.
_ROW_KEY_DOMAIN: Final = "_row_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a staged table.

    *library*, *entity* and *field* go into the header of its seal. *domain* is the identity domain of its token.
    *only_where* names a boolean column of the batch: elsewhere the value is null (a field whose kind depends
    on another field becomes two columns). *code* says that it is a code or a flag, whose seal is padded.
    """

    name: str
    source: str
    treatment: Treatment
    library: str
    entity: str
    field: str
    level: Level
    kind: str | None = None
    document_type: str | None = None
    domain: str | None = None
    how: str | None = None
    only_where: str | None = None
    code: bool = False

    def __post_init__(self) -> None:
        """Refuse what would let a sensitive value through, or a treatment that lacks what it needs."""
        if self.treatment is Treatment.KEEP and self.level.sensitive:
            raise Mistake(f"{self.name} is {self.level} and may not be kept", remedy="seal, tokenise or drop it")
        if self.treatment is Treatment.GENERALISE and self.how is None:
            raise Mistake(f"{self.name} is generalised, but not how", remedy="name the generalisation in the policy")
        if self.treatment is Treatment.TOKEN and self.domain is None:
            raise Mistake(f"{self.name} has no identity domain", remedy="give its kind a domain, or seal it")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyField:
    """One field of a source's row key."""

    source: str
    level: Level
    document_type: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKey:
    """What names a row at its source. One sensitive field makes the whole key a token."""

    fields: tuple[KeyField, ...]
    library: str
    entity: str

    @property
    def sensitive(self) -> bool:
        """Whether the key may not rest in clear."""
        return any(field.level.sensitive for field in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The entity a row speaks of: a token where its kind has an identity *domain*, else plain text.

    Several *sources* are the parts of one key, in order; such a key is plain text.
    """

    sources: tuple[str, ...]
    library: str
    entity: str
    level: Level
    document_type: str | None = None
    domain: str | None = None
    only_where: str | None = None

    def __post_init__(self) -> None:
        """Refuse a sensitive subject in clear, and a token of several parts."""
        named = ", ".join(self.sources)
        if self.domain is None and self.level.sensitive:
            raise Mistake(f"{named} is {self.level} but has no identity domain", remedy="give its kind a domain")
        if len(self.sources) > 1 and (self.domain is not None or self.only_where is not None):
            raise Mistake(f"{named}: a key of several parts is public and whole in every row", remedy="let the entity be a child instead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """What the rows of a batch are before they are protected: key, subject, fingerprint; ``binary``, in their order."""

    row_keys: pa.Array
    subject_keys: pa.Array
    row_hashes: pa.Array

    def filter(self, rows: pa.BooleanArray) -> "Identified":
        """Return the same of the chosen *rows*."""
        return Identified(
            row_keys=self.row_keys.filter(rows), subject_keys=self.subject_keys.filter(rows), row_hashes=self.row_hashes.filter(rows)
        )


@dataclass(frozen=True, slots=True)
class _Place:
    library: str
    entity: str
    field: str


class Protection:
    """The masks of one job, with the keys they need. Deterministic: the same batch gives the same bytes.

    ``unreadable`` counts, by output column, the values that a treatment could not read and made null.
    Not to be shared between threads.
    """

    def __init__(self, *, columns: Sequence[Column], row_key: RowKey, subject: Subject, keyring: Keyring, on: date | None = None) -> None:
        """Derive the keys. *on* is the reference date of age bands."""
        self._columns = tuple(column for column in columns if column.treatment is not Treatment.DROP)
        self._row_key, self._subject, self._on = row_key, subject, on
        libraries = {row_key.library, subject.library, *(column.library for column in self._columns)}
        self._seal_keys = {library: keyring.key("seal", library) for library in sorted(libraries)}
        domains = {_ROW_KEY_DOMAIN, subject.domain}
        domains |= {field.domain for field in row_key.fields} | {column.domain for column in self._columns}
        self._token_keys = {domain: keyring.key("token", domain) for domain in sorted(filter(None, domains))}
        self._hash_key = keyring.key("row_hash", row_key.library, row_key.entity)
        # Each value a row says once, under the name its seal is bound to: a renamed field leaves a row what it was.
        self._said = {(name, subject.only_where): f"{SUBJECT_FIELD} {place}" for place, name in enumerate(subject.sources)}
        for column in sorted(self._columns, key=_first_name):
            self._said.setdefault((column.source, column.only_where), _first_name(column))
        self.unreadable: Counter[str] = Counter()

    @property
    def key_versions(self) -> dict[str, int]:
        """The version of each purpose's key, for the batch record."""
        keys = (*self._token_keys.values(), *self._seal_keys.values(), self._hash_key)
        return {key.purpose: key.version for key in keys}

    @property
    def checksum_key(self) -> Key:
        """The key of the key checksum (``fingerprints.checksum``) of this job's row keys."""
        return self._hash_key

    def schema(self, given: pa.Schema) -> pa.Schema:
        """Return the schema of what ``protect`` makes of batches with the schema *given*."""
        return self.protect(_empty(given)).schema

    def row_keys(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the ``binary`` row keys alone; null where a part is null or has no canonical form."""
        return self._keyed(self._row_key_values(batch))

    def subject_keys(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the ``binary`` subject keys alone; null where there is none or it has no canonical form."""
        return self._subjects(self._subject_values(batch))

    def identify(self, batch: pa.RecordBatch, *, context: str | None = None) -> Identified:
        """Return key, subject and fingerprint of each row; a null row key is ``Rejected``: such rows go to quarantine first.

        The fingerprint is over the row as it was read, so a row that did not change is known before it is protected.
        Whatever else decides how it is protected (the policy, the versions of the keys) belongs in *context*.
        """
        keys = self.row_keys(batch)
        if keys.null_count:
            raise Rejected(f"{keys.null_count} rows have no readable row key", remedy="quarantine them, then go on")
        hashed = row_hash(pa.RecordBatch.from_pydict({_ROW_KEY_FIELD: keys} | self._as_read(batch)), self._hash_key, context=context)
        return Identified(row_keys=keys, subject_keys=self.subject_keys(batch), row_hashes=hashed.cast(pa.binary()))

    def _as_read(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        return {name: _only_where(batch, source, only_where) for (source, only_where), name in self._said.items()}

    @property
    def described(self) -> tuple[str, ...]:
        """What each column does with which value of a row. Neither a field's new name nor a source's column name is in it."""
        said = ((self._said[column.source, column.only_where], column) for column in self._columns)
        return tuple(repr((_first_name(column), name, replace(column, name="", source="", only_where=None))) for name, column in said)

    def protect(self, batch: pa.RecordBatch, identified: Identified | None = None) -> pa.RecordBatch:
        """Return the protected rows, in order. *identified* is what :meth:`identify` says of the same rows."""
        known = identified or self.identify(batch)
        bound = {library: bind(known.row_keys, key) for library, key in self._seal_keys.items()}
        made: dict[str, pa.Array] = {ROW_KEY: known.row_keys}
        if self._row_key.sensitive:
            made[ROW_KEY_SEALED] = self._sealed_key(self._row_key_values(batch), bound)
        made |= self._subject_columns(batch, known.subject_keys)
        for column in self._columns:
            made |= self._column(column, batch, bound)
        made[ROW_HASH] = known.row_hashes
        return pa.RecordBatch.from_pydict(made)

    # Row key

    def _row_key_values(self, batch: pa.RecordBatch) -> pa.Array:
        parts = [self._key_part(batch, field) for field in self._row_key.fields]
        return parts[0] if len(parts) == 1 else composite(parts)

    def _key_part(self, batch: pa.RecordBatch, field: KeyField) -> pa.Array:
        values = text(batch.column(field.source))
        return canonical(values, field.document_type) if field.level.sensitive else values

    def _keyed(self, values: pa.Array) -> pa.Array:
        if not self._row_key.sensitive:
            return encode(values).cast(pa.binary())
        only = self._row_key.fields[0] if len(self._row_key.fields) == 1 else None
        domain = (only and only.domain) or _ROW_KEY_DOMAIN
        return _token(values, self._token_keys[domain], (only and only.document_type) or "")

    def _sealed_key(self, values: pa.Array, bound: dict[str, BoundRows]) -> pa.Array:
        place = _Place(self._row_key.library, self._row_key.entity, _ROW_KEY_FIELD)
        return self._seal(encode(values), bound[place.library], place)

    # Subject

    def _subject_values(self, batch: pa.RecordBatch) -> pa.Array:
        subject = self._subject
        if len(subject.sources) > 1:
            return composite_canonical([batch.column(source) for source in subject.sources])
        given = text(self._subject_given(batch))
        return canonical(given, subject.document_type) if subject.domain else plain_canonical(given)

    def _subject_given(self, batch: pa.RecordBatch) -> pa.Array:
        return _only_where(batch, self._subject.sources[0], self._subject.only_where)

    def _subjects(self, values: pa.Array) -> pa.Array:
        subject = self._subject
        if subject.domain is None:
            return encode(values).cast(pa.binary())
        return _token(values, self._token_keys[subject.domain], subject.document_type or "")

    def _subject_columns(self, batch: pa.RecordBatch, keys: pa.Array) -> dict[str, pa.Array]:
        subject, values = self._subject, self._subject_values(batch)
        if len(subject.sources) == 1:
            self._count(SUBJECT_KEY, self._subject_given(batch), values)
        if subject.domain is None:
            return {SUBJECT_KEY: keys}
        # The spine has no row: its seal is bound to the token itself.
        bound = bind(keys.fill_null(b""), self._seal_keys[subject.library])
        sealed = self._seal(encode(values), bound, _Place(subject.library, subject.entity, SUBJECT_FIELD))
        return {SUBJECT_KEY: keys, SUBJECT_SEALED: sealed}

    # Columns

    def _column(self, column: Column, batch: pa.RecordBatch, bound: dict[str, BoundRows]) -> dict[str, pa.Array]:
        values = _only_where(batch, column.source, column.only_where)
        if column.treatment is Treatment.KEEP:
            return {column.name: as_stored(values)}
        if column.treatment is Treatment.GENERALISE:
            made = as_stored(generalise(values, column.how or "", on=self._on))
            self._count(column.name, values, made)
            return {column.name: made}
        rows = bound[column.library]
        if column.treatment is Treatment.SEAL:
            return {column.name: self._sealed(column, values, rows)}
        plain = canonical(values, column.document_type or "")
        self._count(column.name, values, plain)
        made = _token(plain, self._token_keys[column.domain or ""], column.document_type or "")
        return {column.name: made, f"{column.name}__sealed": self._sealed(column, plain, rows)}

    def _sealed(self, column: Column, values: pa.Array, rows: BoundRows) -> pa.Array:
        place = _Place(column.library, column.entity, column.field)
        pad, seal_nulls = is_padded(values.type, code=column.code), column.level is Level.L4
        return self._seal(encode(values), rows, place, pad=pad, seal_nulls=seal_nulls)

    def _seal(self, values: pa.Array, rows: BoundRows, place: "_Place", *, pad: bool = False, seal_nulls: bool = False) -> pa.Array:
        key = self._seal_keys[place.library]
        head = header(key.suite, key.version, place.library, place.entity, place.field)
        return seal(values, rows, key, head, pad=pad, seal_nulls=seal_nulls).cast(pa.binary())

    def _count(self, name: str, given: pa.Array, made: pa.Array) -> None:
        lost = made.null_count - given.null_count
        if lost:
            self.unreadable[name] += lost


def _first_name(column: Column) -> str:
    return f"{column.field} {column.name.partition('__')[2]}"


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _token(values: pa.Array, key: Key, document_type: str) -> pa.Array:
    return token(values, key, document_type=document_type).cast(pa.binary())


def _only_where(batch: pa.RecordBatch, source: str, condition: str | None) -> pa.Array:
    values = whole(batch.column(source))
    if condition is None:
        return values
    return only(values, whole(batch.column(condition)))


def is_padded(kind: pa.DataType, *, code: bool) -> bool:
    """Say whether seals of this type are padded: codes and flags (privacy rule 10), and all that is not text or bytes.

    The length of a number's text would tell its size. Unsealing needs the same answer.
    """
    return code or not (is_text(kind) or is_bytes(kind))


def as_stored(values: pa.Array) -> pa.Array:
    """Return *values* in the layout that goes into the staging table: no dictionary, no view, small offsets."""
    array = whole(values)
    if is_text(array.type):
        return array.cast(pa.string())
    return array.cast(pa.binary()) if is_bytes(array.type) else array


def plain_canonical(values: pa.Array) -> pa.Array:
    """Return the text of a subject that is not sensitive: NFKC, upper case, no spaces around it; empty becomes null."""
    trimmed = pc.utf8_trim_whitespace(pc.utf8_upper(pc.utf8_normalize(text(values), "NFKC")))
    return pc.if_else(pc.equal(pc.binary_length(trimmed), 0), pa.scalar(None, trimmed.type), trimmed)


def composite_canonical(parts: Sequence[pa.Array]) -> pa.Array:
    """Return the text of a subject whose key has several *parts*, each in its plain canonical form; null where one is null."""
    return composite([plain_canonical(part) for part in parts])


def composite(parts: Sequence[pa.Array]) -> pa.Array:
    r"""Return the parts of a key as one text, ``a|b``; ``|`` and ``\`` inside a part are escaped by ``\``.

    Different parts never give the same text. A null part gives a null key.
    """
    escaped = [pc.replace_substring_regex(part, pattern=r"([|\\])", replacement=r"\\\1") for part in parts]
    return pc.binary_join_element_wise(*escaped, "|")
