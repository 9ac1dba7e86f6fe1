"""Contracts that come and go as Open Data Contract Standard 3.1."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.errors import Finding, Mistake, Mistakes
from hub.settings import settings
from schemas.checks import check
from schemas.contract import Contract
from schemas.declarations import Declarations, declarations, read_all
from schemas.odcs import Draft, drafts, drawn, exported
from schemas.reading import Written, read_plain
from schemas.writing import written as as_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One contract made of a document: where it stands now, whether it took another's place, what was left out of it."""

    dataset: str
    file: Path
    replaced: bool
    notes: tuple[str, ...]


def export(datasets: Sequence[str], *, everything: bool = False) -> dict[str, str]:
    """Return the ODCS documents of *datasets* (or of every contract) as YAML, by dataset."""
    declared = declarations()
    if bool(datasets) == everything:
        raise Mistake("nothing, or too much, is named", remedy="name datasets, or write --all")
    chosen = sorted(declared.contracts) if everything else datasets
    return {name: as_yaml(exported(declared.contract(name), declared)) for name in chosen}


def export_to(folder: Path, datasets: Sequence[str], *, everything: bool = False) -> tuple[Path, ...]:
    """Write the documents into *folder*, one file ``<dataset>.odcs.yaml`` each, and return the files."""
    documents = export(datasets, everything=everything)
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_written(folder / f"{name}.odcs.yaml", text) for name, text in documents.items())


def take_in(files: Sequence[Path], *, complete: Path | None = None, replace: bool = False, dry_run: bool = False) -> tuple[Imported, ...]:
    """Write a contract of ours for each table of each document; all of them or, if anything is wrong with one, none.

    Raise :class:`Mistakes` with everything that is wrong or still needed. A standing contract is only replaced if *replace* says so.
    """
    declared = read_all(settings().home)
    if standing := check(declared):
        raise Mistakes(standing)
    completion, completed = _completion(complete)
    found: list[Draft] = []
    findings: list[Finding] = []
    for path in files:
        if not path.is_file():
            raise Mistake(f"there is no file {path}", remedy="name ODCS documents")
        made, wrong = drafts(path, shown_as=str(path), completion=completion, completed=completed)
        found += made
        findings += [*wrong, *(finding for draft in made for finding in draft.findings)]
    findings += [*drawn(declared, found), *_conflicts(declared, found, replace=replace), *_idle(completion, found, completed)]
    if findings:
        raise Mistakes(set(findings))
    return tuple(_kept(declared, draft, draft.contract, dry_run=dry_run) for draft in found if draft.contract is not None)


def _completion(path: Path | None) -> tuple[dict[str, Any], Written]:
    if path is None:
        return {}, Written(file="", lines={})
    if not path.is_file():
        raise Mistake(f"there is no file {path}", remedy="name the file with what the documents lack")
    plain, written, findings = read_plain(path, shown_as=str(path))
    if plain is not None and not isinstance(plain, dict):
        findings = [written.finding(problem="this is no mapping", remedy="write `<dataset>: {…}` with what the document lacks")]
    if findings or not isinstance(plain, dict):
        raise Mistakes(findings)
    return plain, written


def _conflicts(declared: Declarations, found: Iterable[Draft], *, replace: bool) -> Iterable[Finding]:
    seen: set[str] = set()
    for draft in found:
        if draft.dataset in seen:
            yield draft.written.finding("dataset", problem=f"`{draft.dataset}` comes twice", remedy="import one of the two")
        seen.add(draft.dataset)
        standing = declared.contracts.get(draft.dataset)
        if standing is None or draft.contract is None:
            continue
        if standing.department != draft.contract.department:
            problem = f"`{draft.dataset}` is a dataset of {standing.department}"
            yield draft.written.finding("dataset", problem=problem, remedy="give one of the two another name")
        elif not replace:
            yield draft.written.finding(
                "dataset", problem=f"`{draft.dataset}` has a contract already", remedy="write --replace to put this in its place"
            )


def _idle(completion: dict[str, Any], found: Iterable[Draft], completed: Written) -> Iterable[Finding]:
    for dataset in completion.keys() - {draft.dataset for draft in found}:
        yield completed.finding(dataset, problem=f"no document has a table `{dataset}`", remedy="check the spelling")


def _kept(declared: Declarations, draft: Draft, contract: Contract, *, dry_run: bool) -> Imported:
    file = declared.home / "schemas" / "contracts" / contract.department / f"{contract.dataset}.yaml"
    replaced = contract.dataset in declared.contracts
    if not dry_run:
        file.parent.mkdir(parents=True, exist_ok=True)
        _written(file, as_yaml(contract.model_dump(mode="json", by_alias=True, exclude_defaults=True)))
    return Imported(dataset=contract.dataset, file=file, replaced=replaced, notes=draft.notes)


def _written(file: Path, text: str) -> Path:
    """Write *text* to *file* at once or not at all: nobody reads half a declaration."""
    draft = file.with_name(f".{file.name}.draft")
    draft.write_text(text, encoding="utf-8")
    return draft.replace(file)
