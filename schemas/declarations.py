"""Everything that people declared, read once and held together.

Sources, contracts and departments are the organisation's own and come from ``HUB_HOME`` alone;
libraries, code lists, kinds and policies of ``HUB_HOME`` stand before the shipped ones, file by file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

from hub.errors import Finding, Mistake, Mistakes
from hub.settings import REPOSITORY, settings
from schemas.contract import Contract
from schemas.declared import Declared
from schemas.library import Entity, Library
from schemas.reading import Written, read
from schemas.source import Source
from schemas.vocabulary import CodeList, Department, Departments, Kind, Kinds, Policy, Treat
from schemas.workdays import WorkingDays

Kept = TypeVar("Kept", bound=Declared)


@dataclass(slots=True, kw_only=True)
class Declarations:
    """All declarations by name, and where each was written."""

    home: Path
    sources: dict[str, Source] = field(default_factory=dict)
    contracts: dict[str, Contract] = field(default_factory=dict)
    libraries: dict[str, Library] = field(default_factory=dict)
    codes: dict[str, CodeList] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    departments: dict[str, Department] = field(default_factory=dict)
    workdays: WorkingDays | None = None
    written: dict[tuple[str, str], Written] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def contract(self, dataset: str) -> Contract:
        """Return the contract of *dataset*, or say which datasets there are."""
        if dataset not in self.contracts:
            raise Mistake(f"there is no dataset `{dataset}`", remedy=f"choose one of: {', '.join(sorted(self.contracts))}")
        return self.contracts[dataset]

    def library(self, name: str) -> Library:
        """Return the library *name*, or say which libraries there are."""
        if name not in self.libraries:
            raise Mistake(f"there is no library `{name}`", remedy=f"choose one of: {', '.join(sorted(self.libraries))}")
        return self.libraries[name]

    def entity(self, path: str) -> tuple[Library, Entity]:
        """Return library and entity of ``library.entity``; ``KeyError`` if undeclared."""
        library, name = path.split(".")
        found = {entity.entity: entity for entity in self.libraries[library].entities}
        return self.libraries[library], found[name]

    def contributors(self, path: str) -> Iterator[Contract]:
        """Yield the contracts that contribute to the entity *path*, by dataset name."""
        for _, contract in sorted(self.contracts.items()):
            if any(given.entity == path for given in contract.contributes):
                yield contract

    @property
    def policy(self) -> Policy:
        """The policy of the way in."""
        return self.policies["library"]

    @property
    def treatments(self) -> dict[str, Treat]:
        """Treatment of each kind on its way in."""
        return {treat.kind: treat for treat in self.policy.treatments}


@cache
def declarations() -> Declarations:
    """Return the declarations of ``HUB_HOME``, read and checked once; raise :class:`Mistakes` with all of them."""
    from schemas.checks import check  # noqa: PLC0415 (the checks import this module)

    found = read_all(settings().home)
    findings = check(found)
    if findings:
        raise Mistakes(findings)
    return found


def read_all(home: Path) -> Declarations:
    """Read every file below *home*; mistakes are collected in ``findings``, never raised."""
    found = Declarations(home=home)
    for path in _own(home, "connectors/sources"):
        _keep(found, path, Source, "source", found.sources)
    for path in _own(home, "schemas/contracts"):
        _keep(found, path, Contract, "dataset", found.contracts)
    for path in _own(home, "catalog", pattern="departments.yaml"):
        _departments(found, path)
    for path in _layered(home, "schemas/libraries"):
        _keep(found, path, Library, "library", found.libraries)
    for path in _layered(home, "schemas/codes"):
        _keep(found, path, CodeList, "codes", found.codes)
    for path in _layered(home, "masking/policies"):
        _keep(found, path, Policy, "policy", found.policies)
    for path in (*_layered(home, "masking", pattern="kinds.yaml"), *_layered(home, "masking/kinds")):
        _kinds(found, path)
    for path in _layered(home, "schemas", pattern="workdays.yaml"):
        _workdays(found, path)
    return found


def _own(home: Path, folder: str, pattern: str = "**/*.yaml") -> list[Path]:
    return sorted((home / folder).glob(pattern))


def _layered(home: Path, folder: str, pattern: str = "*.yaml") -> list[Path]:
    files = {path.name: path for path in (REPOSITORY / folder).glob(pattern)}
    files |= {path.name: path for path in (home / folder).glob(pattern)}
    return [files[name] for name in sorted(files)]


def _shown(home: Path, path: Path) -> str:
    for folder in (home, REPOSITORY):
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return str(path)


def _keep(found: Declarations, path: Path, model: type[Kept], key: str, into: dict[str, Kept]) -> None:
    declaration, written, findings = read(path, model, shown_as=_shown(found.home, path))
    found.findings.extend(findings)
    if declaration is None:
        return
    name: str = getattr(declaration, key)
    if name in into:
        earlier = found.written[(key, name)].file
        found.findings.append(
            written.finding(key, problem=f"`{key}: {name}` stands in {earlier} too", remedy="give one of them another name")
        )
        return
    into[name] = declaration
    found.written[(key, name)] = written


def _departments(found: Declarations, path: Path) -> None:
    declaration, written, findings = read(path, Departments, shown_as=_shown(found.home, path))
    found.findings.extend(findings)
    if declaration is not None:
        found.departments.update({one.department: one for one in declaration.departments})
        found.written[("departments", "")] = written


def _kinds(found: Declarations, path: Path) -> None:
    declaration, written, findings = read(path, Kinds, shown_as=_shown(found.home, path))
    found.findings.extend(findings)
    if declaration is not None:
        for index, one in enumerate(declaration.kinds):
            if one.kind in found.kinds:
                found.findings.append(
                    written.finding("kinds", index, "kind", problem=f"kind `{one.kind}` is declared already", remedy="keep one of the two")
                )
        found.kinds.update({one.kind: one for one in declaration.kinds})
        found.written.setdefault(("kinds", ""), written)


def _workdays(found: Declarations, path: Path) -> None:
    found.workdays, written, findings = read(path, WorkingDays, shown_as=_shown(found.home, path))
    found.findings.extend(findings)
    found.written[("workdays", "")] = written
