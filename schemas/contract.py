"""A contract: what a department promises to publish, field by field."""

import json
from enum import StrEnum
from hashlib import sha256
from typing import Any

from pydantic import Field as Setting
from pydantic import model_validator

from schemas.declared import Declared, EntityPath, FieldType, Level, Name, Names, Title
from schemas.drift import Drift
from schemas.schedule import AsWritten


class Severity(StrEnum):
    """What a broken rule means for its row: quarantine, or a mark in the report."""

    ERROR = "error"
    WARNING = "warning"


class KindBy(Declared):
    """A field whose kind depends on another column of the same row (e.g. a holder's code)."""

    field: Name
    kinds: dict[str, Name]


class Field(Declared):
    """One field as the department supplies it.

    ``column`` is the name at the source where it differs (a Chinese spreadsheet header).
    ``kind`` says what the value *is* (``masking/kinds.yaml``) and brings its rule and treatment.
    """

    name: Name
    title: Title
    type: FieldType
    level: Level
    column: str | None = None
    kind: Name | None = None
    kind_by: KindBy | None = None
    codes: Name | None = None
    required: bool = False
    length: int | None = Setting(default=None, ge=1)
    precision: int = Setting(default=20, ge=1, le=38)
    scale: int = Setting(default=6, ge=0, le=18)

    @property
    def source_column(self) -> str:
        """Name of the column at the source."""
        return self.column or self.name


class RuleUse(Declared):
    """One rule of ``schemas/rules`` applied to fields of this contract."""

    rule: Name
    fields: tuple[Name, ...] = Setting(min_length=1)
    severity: Severity = Severity.ERROR
    parameters: dict[str, Any] = Setting(default_factory=dict)


class Contribution(Declared):
    """What the contract gives to one entity: entity field ← contract field.

    ``subject`` is the contract field that names the entity (or, for a child entity, its parent);
    several, in the order of the entity's kinds, where its key has several parts.
    ``pick`` names the field whose latest value decides when a composed entity's subject has several rows.
    Rows without a subject (a holder that is absent) contribute nothing.
    """

    entity: EntityPath
    subject: Names
    fields: dict[Name, Name] = Setting(default_factory=dict)
    pick: Name | None = None


class Mode(StrEnum):
    """How a source is read: all of it each time, or what its cursor says is newer."""

    FULL = "full"
    INCREMENTAL = "incremental"


class Sync(Declared):
    """How the copy is kept in step.

    ``late_seconds`` re-reads that much before the cursor's last value, for rows committed late.
    ``parts`` divides a large table by its key wherever all of it is read: each part is a task of its own, and what is read stays read.
    """

    mode: Mode = Mode.FULL
    cursor: Name | None = None
    late_seconds: int = Setting(default=0, ge=0)
    parts: int = Setting(default=1, ge=1, le=256)


class Volume(Declared):
    """How far the rows of a batch may be from those of recent batches like it (``share`` of 1, and never fewer than ``rows``)."""

    recent: int = Setting(default=10, ge=3, le=100)
    share: float = Setting(default=0.5, gt=0)
    rows: int = Setting(default=100, ge=0)


class Freshness(Declared):
    """How old the newest row of the source may be, by the date or time in ``field``, and how far in the future."""

    field: Name
    hours: int = Setting(ge=1)
    ahead_minutes: int = Setting(default=60, ge=0)


class Gate(Declared):
    """When a batch is held for an officer instead of published (shares of 1).

    In a window, whose rows may be few, the share of failing rows counts from ``at_least`` such rows on.
    """

    failing: float = Setting(default=0.05, ge=0, le=1)
    at_least: int = Setting(default=10, ge=1)
    deletes: float = Setting(default=0.2, ge=0, le=1)
    volume: Volume | None = None
    freshness: Freshness | None = None

    def counts_from(self, *, whole: bool) -> int:
        """Return from how many failing rows on their share counts: the first one of a *whole* source, or where none may fail."""
        return 1 if whole or not self.failing else self.at_least


class Retention(Declared):
    """How long superseded rows and quarantined rows are kept (PIPL Art. 19: no longer than needed)."""

    history_days: int = Setting(default=1095, ge=1)
    quarantine_days: int = Setting(default=30, ge=1)


class SharingClass(StrEnum):
    """Sharing class (Decree 809 Art. 14). Upstream systems number these differently: never compare raw codes."""

    UNCONDITIONAL = "unconditional"
    CONDITIONAL = "conditional"
    WITHHELD = "withheld"


class Sharing(Declared):
    """Sharing class with what the class demands (Decree 809 Art. 15)."""

    class_: SharingClass = Setting(alias="class")
    scope: str | None = None
    use: str | None = None
    reason: str | None = None
    legal_basis: str | None = None

    @model_validator(mode="after")
    def _carries_what_its_class_demands(self) -> "Sharing":
        if self.class_ is SharingClass.CONDITIONAL and not (self.scope and self.use):
            raise ValueError("conditional sharing must state `scope` and `use` (Decree 809 Art. 15)")
        if self.class_ is SharingClass.WITHHELD and not (self.reason and self.legal_basis):
            raise ValueError("withheld data must state `reason` and `legal_basis` (Decree 809 Art. 15)")
        return self


class Contract(Declared):
    """What one department promises to publish, version by version."""

    dataset: Name
    department: Name
    version: int = Setting(ge=1)
    title: Title
    abstract: Title
    source: Name
    table: str | None = None
    query: str | None = None
    file: str | None = None
    sheet: str | None = None
    key: tuple[Name, ...] = Setting(min_length=1)
    fields: tuple[Field, ...] = Setting(min_length=1)
    rules: tuple[RuleUse, ...] = ()
    contributes: tuple[Contribution, ...] = Setting(min_length=1)
    sync: Sync = Sync()
    schedule: AsWritten | None = None
    drift: Drift = Drift()
    gate: Gate = Gate()
    retention: Retention = Retention()
    sharing: Sharing

    @model_validator(mode="after")
    def _is_read_from_one_place(self) -> "Contract":
        if sum(place is not None for place in (self.table, self.query, self.file)) != 1:
            raise ValueError("exactly one of `table`, `query`, `file` says what is read")
        if self.sync.mode is Mode.INCREMENTAL and self.sync.cursor is None:
            raise ValueError("incremental sync needs `cursor`: the field that grows with every change")
        return self

    @property
    def row_key(self) -> str:
        """What names a row for good: the key's columns at the source, with what decides how they are kept."""
        fields = [self.field(name) for name in self.key]
        return ", ".join(
            f"{one.source_column} {one.type}" + (f" as token {one.kind or ''}".rstrip() if one.level.sensitive else "") for one in fields
        )

    @property
    def digest(self) -> str:
        """A digest of what the contract promises: equal for two that differ in version, words, schedule or handling alone."""
        other = {"version", "title", "abstract", "schedule", "gate", "drift", "retention"}
        promised = self.model_dump(mode="json", exclude=other, exclude_defaults=True)
        return sha256(json.dumps(promised, sort_keys=True).encode()).hexdigest()[:32]

    def field(self, name: str) -> Field:
        """Return the field called *name*; ``KeyError`` if the contract has none."""
        return self._by_name()[name]

    def _by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}
