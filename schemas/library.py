"""A base library: its entities, and whose word counts for each field."""

from enum import StrEnum

from pydantic import Field as Setting

from schemas.declared import Declared, FieldType, Level, Name, Names, Title


class Authority(Declared):
    """One dataset's rank for a field, and why: rank 1 speaks first (Decree 809 Art. 19)."""

    rank: int = Setting(ge=1)
    dataset: Name
    basis: str


class OnErasure(StrEnum):
    """What becomes of a row in which another subject's field names an erased person (PIPL Art. 47)."""

    ROW = "row"
    CLEAR = "clear"
    REPORT = "report"


class EntityField(Declared):
    """One field of an entity. ``kind`` decides how it is protected; ``authority`` overrides the entity's.

    ``on_erasure``: what a field that names a person asks for when that person is erased: that its row goes (a license they hold),
    that the field is emptied, or that the row stays and is reported to the officer (a register that the law keeps).
    ``was`` lists its former names, oldest first; they stay declared, because sealed values are bound to the first.
    ``type_was`` is the type its older rows were stored in.
    """

    name: Name
    title: Title
    type: FieldType
    level: Level
    kind: Name | None = None
    codes: Name | None = None
    indexed: bool = False
    on_erasure: OnErasure = OnErasure.REPORT
    was: tuple[Name, ...] = ()
    type_was: FieldType | None = None
    authority: tuple[Authority, ...] = ()

    @property
    def first_name(self) -> str:
        """The name that sealed values and tags are bound to."""
        return self.was[0] if self.was else self.name


class Form(StrEnum):
    """Composed: one row per subject, each field from its authority. Collected: one owner per row."""

    COMPOSED = "composed"
    COLLECTED = "collected"


class Owner(Declared):
    """Who may supply which rows of a collected entity: the value of ``field`` (or its first characters) → dataset."""

    field: Name
    first: int | None = Setting(default=None, ge=1)
    datasets: dict[str, Name]


class Entity(Declared):
    """A thing the library knows.

    ``subject`` is the kind of the natural key (of the parent's key for a child), or the kinds of its parts in order
    where only several together name one thing: an indicator of a division in a period.
    ``exists_by`` names the datasets whose row makes a composed subject exist.
    """

    entity: Name
    title: Title
    form: Form
    subject: Names
    parent: Name | None = None
    exists_by: tuple[Name, ...] = ()
    owner: Owner | None = None
    authority: tuple[Authority, ...] = ()
    fields: tuple[EntityField, ...] = Setting(min_length=1)


class Library(Declared):
    """One base library. ``domain`` is the identity domain its person tokens live in."""

    library: Name
    title: Title
    domain: Name = "person"
    entities: tuple[Entity, ...] = Setting(min_length=1)
