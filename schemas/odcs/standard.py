"""What the standard's own keys say of one table, in the words of a contract, and where each word stands."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.errors import Finding
from schemas.odcs import cycles, quality
from schemas.odcs.residue import Mapped
from schemas.odcs.types import field_type
from schemas.reading import Loc, Written

API_VERSION = "v3.1.0"
READ = Written(file="", lines={})  # for documents that were never a file
_UNFIT = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LEVELS = {"L1": "L1", "L2": "L2", "L3": "L3", "L4": "L4", "public": "L1", "internal": "L2"}
_NAMED = re.compile(r"^[a-z][a-z0-9_]*\Z")


@dataclass(slots=True, kw_only=True)
class Recovered:
    """One table in the words of a contract.

    ``plain`` may lack what a contract needs. ``origins`` says from which part of the document a part of ``plain`` was taken.
    ``findings`` are what no contract can be made of, ``notes`` what was left out and why.
    """

    written: Written
    plain: Mapped = field(default_factory=dict)
    origins: dict[Loc, Loc] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, value: object, at: Loc, *into: str | int) -> None:
        """Let the key *into* of the contract be *value*, which stands in the document *at*; null says nothing."""
        if value is None:
            return
        for length in range(1, len(into)):
            self.origins.setdefault(into[:length], at)
        self.origins[into] = at
        inner = self.plain
        for part in into[:-1]:
            inner = inner.setdefault(str(part), {})
        inner[str(into[-1])] = value

    def note(self, text: str, at: Loc) -> None:
        """Note what was left out of the document *at*."""
        self.notes.append(f"{self.written.file}:{self.written.line(*at)}: {text}")


def table_of(document: Mapping[str, Any], number: int, written: Written) -> Recovered:
    """Return what the standard's keys of a valid *document* say of its table *number*."""
    found = Recovered(written=written)
    table, at = document["schema"][number], ("schema", number)
    found.origins[()] = at
    _heading(found, document, table, at)
    _place(found, document, table, at)
    found.plain["fields"] = list(_fields(found, table, at))
    found.origins[("fields",)] = (*at, "properties")
    found.take(_key(table) or None, (*at, "properties"), "key")
    rules = list(_rules(found, table, at))
    found.take(rules or None, at, "rules")
    _levels(found, document)
    return found


def name_of(written_name: str) -> str:
    """Return *written_name* as the hub writes names: lower case, Latin letters and digits; empty if nothing is left."""
    if _NAMED.match(written_name):
        return written_name
    return _UNFIT.sub("_", _CAMEL.sub("_", written_name).lower()).strip("_")


def _heading(found: Recovered, document: Mapping[str, Any], table: Mapping[str, Any], at: Loc) -> None:
    description, team = document.get("description") or {}, document.get("team")
    found.take(name_of(table["name"]), (*at, "name"), "dataset")
    found.take(team.get("name") if isinstance(team, dict) else None, ("team", "name"), "department")
    major = re.match(r"\d+", document["version"])
    found.take(max(1, int(major[0])) if major else None, ("version",), "version")
    found.take(table.get("businessName") or table["name"], (*at, "businessName"), "title", "zh")
    found.take(table["name"], (*at, "name"), "title", "en")
    purpose = description.get("purpose") or table.get("description") or description.get("usage")
    found.take(purpose, ("description", "purpose"), "abstract", "zh")
    found.take(table.get("description") or purpose, (*at, "description"), "abstract", "en")
    found.take(description.get("usage"), ("description", "usage"), "sharing", "use")


def _place(found: Recovered, document: Mapping[str, Any], table: Mapping[str, Any], at: Loc) -> None:
    servers = document.get("servers") or []
    if servers:
        found.take(servers[0].get("server"), ("servers", 0, "server"), "source")
    if len(servers) > 1:
        found.note("several servers: the first is taken as the source", ("servers", 1))
    kind = table.get("physicalType")
    if kind != "query":
        where = "physicalName" if table.get("physicalName") else "name"
        found.take(table[where], (*at, where), "file" if kind == "file" else "table")


def _fields(found: Recovered, table: Mapping[str, Any], at: Loc) -> Iterator[Mapped]:
    for place, one in enumerate(table.get("properties") or []):
        here = (*at, "properties", place)
        found.origins |= {("fields", place): here, ("fields", place, "level"): (*here, "classification")}
        found.origins |= {("fields", place, "type"): (*here, "logicalType"), ("fields", place, "name"): (*here, "name")}
        yield fields_of(one)


def fields_of(one: Mapping[str, Any]) -> Mapped:
    """Return what the standard's keys of a property say of a field."""
    name = name_of(one["name"])
    label = one.get("businessName") or one["name"]
    column = one.get("physicalName") or (one["name"] if one["name"] != name else None)
    length = (one.get("logicalTypeOptions") or {}).get("maxLength") if one.get("logicalType") == "string" else None
    said = {
        "name": name,
        "title": {"zh": label, "en": one.get("description") or label},
        **field_type(one),
        "level": _LEVELS.get(str(one.get("classification"))),
        "column": column,
        "length": length or None,
        "required": True if one.get("required") else None,
    }
    return {key: value for key, value in said.items() if value is not None}


def _key(table: Mapping[str, Any]) -> list[str]:
    parts = [(one.get("primaryKeyPosition", 0), name_of(one["name"])) for one in table.get("properties") or [] if one.get("primaryKey")]
    return [name for _, name in sorted(parts, key=lambda part: part[0])]


def _rules(found: Recovered, table: Mapping[str, Any], at: Loc) -> Iterator[Mapped]:
    key = _key(table)
    for place, one in enumerate(table.get("properties") or []):
        yield from _limits(found, one, name_of(one["name"]), (*at, "properties", place, "logicalTypeOptions"))
    for entry, (name, has_codes, here) in quality.in_order(list(_entries(table, at))):
        try:
            rule = quality.rule_of(entry, field=name, key=key, has_codes=has_codes)
        except quality.UntranslatableError as reason:
            found.note(f"left out: {reason}", here)
            continue
        if rule is not None:
            yield rule


def _entries(table: Mapping[str, Any], at: Loc) -> Iterator[tuple[Mapped, tuple[str | None, bool, Loc]]]:
    """Yield each quality entry with the field it is about, whether that field has a code list of ours, and its place."""
    for number, entry in enumerate(table.get("quality") or []):
        yield entry, (None, False, (*at, "quality", number))
    for place, one in enumerate(table.get("properties") or []):
        has_codes = any(custom["property"] == "hubCodes" for custom in one.get("customProperties") or [])
        for number, entry in enumerate(one.get("quality") or []):
            yield entry, (name_of(one["name"]), has_codes, (*at, "properties", place, "quality", number))


def _limits(found: Recovered, one: Mapping[str, Any], name: str, at: Loc) -> Iterator[Mapped]:
    """Yield the rules in a property's ``logicalTypeOptions``; the longest text is the field's own ``length``."""
    options = dict(one.get("logicalTypeOptions") or {})
    if one.get("logicalType") == "string":
        options.pop("maxLength", None)
    if "pattern" in options:
        yield quality.rule("matches", name, {"pattern": options.pop("pattern")})
    if "minLength" in options:
        yield quality.rule("length", name, {"min": options.pop("minLength")})
    bounds = {mine: options.pop(theirs) for theirs, mine in (("minimum", "min"), ("maximum", "max")) if theirs in options}
    if bounds:
        yield quality.rule("range", name, bounds)
    for left in options:
        found.note(f"left out: the hub has no rule for `{left}` of `{name}`", (*at, left))


def _levels(found: Recovered, document: Mapping[str, Any]) -> None:
    for number, level in enumerate(document.get("slaProperties") or []):
        at = ("slaProperties", number)
        match str(level["property"]).lower():
            case "frequency" | "updatefrequency" if schedule := cycles.schedule_of(level):
                found.take(schedule, (*at, "schedule"), "schedule", "cron")
            case "latency" | "freshness" if age := cycles.age_of(level):
                found.take(name_of(age[0]), (*at, "element"), "gate", "freshness", "field")
                found.take(age[1], (*at, "value"), "gate", "freshness", "hours")
            case "retention" if days := cycles.days_of(level):
                found.take(days, (*at, "value"), "retention", "history_days")
            case name:
                found.note(f"left out: service level `{name}`; the hub keeps frequency (as cron), latency of an element, and retention", at)
