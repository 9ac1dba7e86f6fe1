"""A base library: its entities, and whose word counts for each field."""

from enum import StrEnum

from pydantic import Field as Setting

from schemas.declared import Declared, FieldType, Level, Name, Title


class Authority(Declared):
    """One dataset's rank for a field, and why: rank 1 speaks first (Decree 809 Art. 19)."""

    rank: int = Setting(ge=1)
    dataset: Name
    basis: str


class EntityField(Declared):
    """One field of an entity. ``kind`` decides how it is protected; ``authority`` overrides the entity's."""

    name: Name
    title: Title
    type: FieldType
    level: Level
    kind: Name | None = None
    codes: Name | None = None
    indexed: bool = False
    authority: tuple[Authority, ...] = ()


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

    ``subject`` is the kind of the natural key (of the parent's key for a child).
    ``exists_by`` names the datasets whose row makes a composed subject exist.
    """

    entity: Name
    title: Title
    form: Form
    subject: Name
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
