"""A document of the standard as contracts of ours: all that is wrong with it and all it still needs, each with its line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hub.errors import Finding
from schemas.checks import CHECKS, files_stand_where_their_names_say
from schemas.contract import Contract
from schemas.declarations import Declarations
from schemas.odcs.residue import Mapped, laid_over, residue_of
from schemas.odcs.standard import Recovered, table_of
from schemas.odcs.validity import breaches
from schemas.reading import Loc, Written, finding_of, read_plain

_DERIVED = frozenset({"treatment"})  # follows from the kind and the policy of this hub
_NEEDS = {
    "department": "name the department that promises it: `team: {name: …}` of the document",
    "source": "name the source it is read from: `servers: [{server: …}]` of the document",
    "abstract": "say what the data is: `description: {purpose: …}` of the document",
    "key": "mark the columns that name a row with `primaryKey: true`",
    "contributes": "say which entity gets what, as in docs/how-to/write-a-contract.md",
    "sharing": "state the sharing class and what it demands (Decree 809 Art. 14, 15)",
    "type": "the hub reads flat columns: string, integer, number, boolean, date, timestamp or a geometry",
    "level": "grade the field L1 to L4 (GB/T 43697-2024): `classification` of the property",
}


Places = dict[Loc, tuple[Written, Loc]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw(Written):
    """Where the parts of a contract stand, part by part: in the document, or in the file that completes it."""

    places: Places = field(repr=False)

    def finding(self, *loc: str | int, problem: str, remedy: str) -> Finding:
        """Return a finding at the nearest part around *loc* that was written anywhere."""
        for length in range(len(loc), -1, -1):
            if loc[:length] in self.places:
                written, place = self.places[loc[:length]]
                return written.finding(*place, problem=problem, remedy=remedy)
        return Finding(file=self.file, line=1, problem=problem, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One table of a document: its contract (``None`` if it cannot be one yet), what is wrong, what was left out."""

    dataset: str
    contract: Contract | None
    written: Draw
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def drafts(path: Path, *, shown_as: str, completion: Mapping[str, Any], completed: Written) -> tuple[list[Draft], list[Finding]]:
    """Read the document *path*: a draft for each of its tables, and what is wrong with the document as such.

    *completion* says by dataset what the document lacks, in the words of a contract (``fields`` by name); *completed* is where it stands.
    """
    document, written, findings = read_plain(path, shown_as=shown_as)
    if document is None or findings:
        return [], findings
    if not isinstance(document, dict):
        return [], [written.finding(problem="this is no mapping, so no data contract", remedy="give an ODCS 3.1 document")]
    findings = list(breaches(document, written))
    if not findings and not document.get("schema"):
        findings = [written.finding(problem="the document describes no table", remedy="add `schema`")]
    if findings:
        return [], findings
    return [_draft(document, number, written, completion, completed) for number in range(len(document["schema"]))], []  # type: ignore[arg-type]  # breaches() left a list


def _draft(document: Mapped, number: int, written: Written, completion: Mapping[str, Any], completed: Written) -> Draft:
    found = table_of(document, number, written)
    places: Places = {loc: (written, at) for loc, at in found.origins.items()}
    _overlay_own(found, document["schema"][number], number, places)
    _overlay_completion(found, completion, completed, places)
    draw = Draw(file=written.file, lines={}, places=places)
    dataset = str(found.plain.get("dataset") or "")
    try:
        contract = Contract.model_validate(found.plain)
    except ValidationError as error:
        needed = (*_wrong(error, found.plain, draw), *_kinds_needed(found.plain, draw))
        return Draft(dataset=dataset, contract=None, written=draw, findings=(*found.findings, *needed), notes=tuple(found.notes))
    return Draft(dataset=dataset, contract=contract, written=draw, findings=tuple(found.findings), notes=tuple(found.notes))


def _overlay_own(found: Recovered, table: Mapped, number: int, places: Places) -> None:
    """Lay what our own properties say over what the standard's keys said."""
    at: Loc = ("schema", number)
    _overlay(found.plain, table, (), at, found.written, places)
    for place, one in enumerate(table.get("properties") or []):
        _overlay(found.plain["fields"][place], one, ("fields", place), (*at, "properties", place), found.written, places)


def _overlay(plain: Mapped, element: Mapped, loc: Loc, at: Loc, written: Written, places: Places) -> None:
    for key, value, place in residue_of(element):
        if key in _DERIVED:
            continue
        plain.update(laid_over(plain, {key: value}))
        here = (*at, "customProperties", place, "value")
        places.update(dict(_spread(written, (*loc, key), value, here)))


def _spread(written: Written, loc: Loc, value: object, at: Loc) -> Iterator[tuple[Loc, tuple[Written, Loc]]]:
    """Yield the place of *value* and of each part of it."""
    yield loc, (written, at)
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in parts:
        yield from _spread(written, (*loc, name), inner, (*at, name))


def _overlay_completion(found: Recovered, completion: Mapping[str, Any], completed: Written, places: Places) -> None:
    """Lay what an officer adds over all; fields are named, not numbered."""
    dataset = str(found.plain.get("dataset"))
    added = completion.get(dataset)
    if not isinstance(added, dict):
        return
    fields = added.get("fields")
    by_name = fields if isinstance(fields, dict) else {}
    rest = {key: value for key, value in added.items() if key != "fields"}
    found.plain.update(laid_over(found.plain, rest))
    for key, value in rest.items():
        places.update(dict(_spread(completed, (key,), value, (dataset, key))))
    numbers = {one.get("name"): number for number, one in enumerate(found.plain["fields"])}
    for name, more in by_name.items():
        at = (dataset, "fields", name)
        if name not in numbers or not isinstance(more, dict):
            found.findings.append(completed.finding(*at, problem=f"the document has no field `{name}`", remedy="check the spelling"))
            continue
        number = numbers[name]
        found.plain["fields"][number] = laid_over(found.plain["fields"][number], more)
        places.update(dict(_spread(completed, ("fields", number), more, at)))


def _wrong(error: ValidationError, plain: Mapped, draw: Draw) -> Iterator[Finding]:
    """Yield what keeps *plain* from being a contract: what is missing as a need, with the way to meet it."""
    for detail in error.errors(include_url=False, include_input=False):
        loc = detail["loc"]
        if detail["type"] != "missing":
            yield finding_of(loc, detail["type"], detail["msg"], draw, Contract)
            continue
        remedy = _NEEDS.get(str(loc[-1])) or _NEEDS.get(str(loc[0])) or "write it"
        problem = f"`{plain.get('dataset')}` still needs `{_shown(plain, loc)}`"
        yield draw.finding(*loc, problem=problem, remedy=f"{remedy}; or add it by --complete")


def _shown(plain: Mapped, loc: Loc) -> str:
    """Return *loc* with the names of fields instead of their numbers."""
    if len(loc) > 1 and loc[0] == "fields" and isinstance(loc[1], int):
        loc = ("fields", str(plain["fields"][loc[1]].get("name")), *loc[2:])
    return ".".join(str(part) for part in loc)


def _kinds_needed(plain: Mapped, draw: Draw) -> Iterator[Finding]:
    for number, one in enumerate(plain["fields"]):
        if one.get("level") in {"L3", "L4"} and not one.get("kind") and not one.get("kind_by"):
            yield draw.finding(
                "fields", number, "level",
                problem=f"`{plain.get('dataset')}` still needs `fields.{one.get('name')}.kind`: the field is {one['level']}",
                remedy="say what the value is (docs/reference/kinds.md): property `hubKind`; or add it by --complete",
            )  # fmt: skip


def drawn(declared: Declarations, found: list[Draft]) -> list[Finding]:
    """Return what `hub check` would hold against the declarations with the contracts of *found* beside them, and does not yet."""
    complete = [draft for draft in found if draft.contract is not None]
    before = set(_checked(declared))
    contracts = declared.contracts | {draft.contract.dataset: draft.contract for draft in complete if draft.contract}
    written = declared.written | {("dataset", draft.dataset): draft.written for draft in complete}
    return sorted(set(_checked(replace(declared, contracts=contracts, written=written))) - before)


def _checked(declared: Declarations) -> Iterator[Finding]:
    for rule in CHECKS:
        if rule is not files_stand_where_their_names_say:  # a document may be called as its tool likes
            yield from rule(declared)
