"""Code lists, kinds and masking policies: the words that contracts and libraries share."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints
from pydantic import Field as Setting

from schemas.declared import Declared, Level, Name, Title

# A year stands unquoted in YAML as a number, and is the text it was written as.
Moment = Annotated[
    str,
    BeforeValidator(lambda written: str(written) if type(written) is int else written),
    StringConstraints(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$"),
]


class Code(Declared):
    """One code, what it means, and when it held (``until`` excluded: the date it was abolished).

    A time is a year, a month or a day. A code given out again has an entry for each time.
    """

    code: str
    title: Title
    since: Moment | None = None
    until: Moment | None = None


class CodeList(Declared):
    """A closed list of codes and the standard it comes from."""

    codes: Name
    title: Title
    standard: str
    entries: tuple[Code, ...] = Setting(min_length=1)


class Kind(Declared):
    """What a value is: brings a rule, a level, and how its text is made canonical before a token is made.

    ``document_type`` (GA/T 517) is part of the token's input, so that equal numbers of two documents differ.
    ``rules`` hold for every field of the kind. ``of`` names the kind a generalised one is derived from.
    """

    kind: Name
    title: Title
    level: Level
    sensitive_pi: bool = False
    domain: Name | None = None
    document_type: str | None = None
    rules: tuple[Name, ...] = ()
    of: Name | None = None


class Kinds(Declared):
    """All kinds (``masking/kinds.yaml``)."""

    kinds: tuple[Kind, ...]


class Treatment(StrEnum):
    """How a field enters a library (privacy rules 5 to 10)."""

    KEEP = "keep"
    TOKEN = "token"  # noqa: S105 (a word, not a secret)
    SEAL = "seal"
    GENERALISE = "generalise"
    DROP = "drop"


class Treat(Declared):
    """The treatment of one kind; ``how`` names the generalisation (year, month, age_band, prefix_2 …)."""

    kind: Name
    treatment: Treatment
    how: Name | None = None


class Policy(Declared):
    """A masking policy: what happens to each kind on its way in."""

    policy: Name
    version: int = Setting(ge=1)
    title: Title
    treatments: tuple[Treat, ...]


class Department(Declared):
    """One department: its name, its unified social credit code, and the public keys (age) of officers who may be sent its own rows.

    ``concurrent_jobs`` is how many jobs may read its systems at once; unsaid, as many as the source that allows most readers.
    """

    department: Name
    title: Title
    credit_code: str
    officer_keys: tuple[Annotated[str, StringConstraints(pattern=r"^age1[02-9ac-hj-np-z]{58}$")], ...] = ()
    concurrent_jobs: int | None = Setting(default=None, ge=1, le=64)


class Departments(Declared):
    """All departments (``catalog/departments.yaml``)."""

    departments: tuple[Department, ...]
