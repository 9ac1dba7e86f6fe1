"""Our rules and the standard's quality entries.

Where the standard has a metric of its own we use it; the others are entries of type ``custom`` for our engine,
whose ``implementation`` is the rule as a contract states it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schemas.contract import Contract, RuleUse, Severity
from schemas.rules import RULES
from schemas.vocabulary import CodeList

ENGINE = "exchange-hub"
KEY, CODES = "key", "codes"  # ids of entries that say what a contract says by `key` and `codes`
_NUMBERED = re.compile(r"rule-(\d+)\Z")
_MILD = frozenset({"warning", "warn", "info", "low", "minor"})

Entry = dict[str, Any]


def property_quality(contract: Contract, name: str, codes: CodeList | None) -> list[Entry]:
    """Return the quality entries of one field: its code list, and the rules about it alone."""
    listed = [_valid_values(CODES, [entry.code for entry in codes.entries]) | {"description": codes.title.en}] if codes else []
    return listed + [
        _entry(number, use, _by_metric(use) or _by_engine(use)) for number, use in enumerate(contract.rules) if use.fields == (name,)
    ]


def object_quality(contract: Contract) -> list[Entry]:
    """Return the quality entries of the whole table: its key, and the rules between fields."""
    fields = {field.name for field in contract.fields}
    key = {"id": KEY, "type": "library", "metric": "duplicateValues", "arguments": {"properties": list(contract.key)}, "mustBe": 0}
    here = [use for use in enumerate(contract.rules) if len(use[1].fields) > 1 or not fields.issuperset(use[1].fields)]
    return [key, *(_entry(number, use, _by_engine(use)) for number, use in here)]


def _entry(number: int, use: RuleUse, said: Entry) -> Entry:
    rule = RULES.get(use.rule)
    common = {"id": f"rule-{number}", "name": use.rule, "severity": use.severity.value}
    if rule is not None:
        common["description"] = rule.title.en
    return common | said


def _by_metric(use: RuleUse) -> Entry | None:
    match use.rule, use.parameters:
        case "required", {**rest} if not rest:
            return {"type": "library", "metric": "nullValues", "mustBe": 0}
        case "one_of", {"among": list(values), **rest} if not rest:
            return _valid_values(None, values)
        case "matches", {"pattern": str(pattern), **rest} if not rest:
            return {"type": "library", "metric": "invalidValues", "arguments": {"pattern": pattern}, "mustBe": 0}
    return None


def _by_engine(use: RuleUse) -> Entry:
    stated = {"rule": use.rule, "fields": list(use.fields), "parameters": dict(use.parameters)}
    return {"type": "custom", "engine": ENGINE, "implementation": stated}


def _valid_values(name: str | None, values: Sequence[object]) -> Entry:
    entry: Entry = {"type": "library", "metric": "invalidValues", "arguments": {"validValues": list(values)}, "mustBe": 0}
    return {"id": name, **entry} if name else entry


class UntranslatableError(Exception):
    """A quality entry the hub has no rule for; its text says why."""


def in_order(entries: Sequence[tuple[Entry, Any]]) -> Iterator[tuple[Entry, Any]]:
    """Yield entries (with whatever is beside them) in the order the contract had its rules; those of others last."""
    yield from sorted(entries, key=lambda pair: int(found[1]) if (found := _NUMBERED.match(str(pair[0].get("id")))) else len(entries))


def rule_of(entry: Mapping[str, Any], *, field: str | None, key: Sequence[str], has_codes: bool) -> Entry | None:
    """Return *entry* as a rule of a contract; ``None`` where key or code list say it already.

    Raise :class:`UntranslatableError` for what the hub does not do.
    """
    if entry.get("type") == "custom" and entry.get("engine") == ENGINE and isinstance(entry["implementation"], dict):
        return {"severity": _severity(entry), "parameters": {}, **entry["implementation"]}
    metric = entry.get("metric") or entry.get("rule")
    if metric is None:
        raise UntranslatableError(f"an entry of type {entry.get('type', 'library')} is not run by the hub")
    if metric == "rowCount":
        raise UntranslatableError("rowCount is the gate's: it compares a batch with those before it")
    if metric == "duplicateValues" and _about(entry, field) == list(key):
        return None
    if metric == "invalidValues" and has_codes and entry.get("id") == CODES:
        return None
    if not _none_may_fail(entry):
        raise UntranslatableError("the hub judges row by row; what share of rows may fail is `gate: {failing: …}`")
    if field is None:
        raise UntranslatableError(f"the hub has no rule for {metric} of a whole table")
    name, parameters = _of_metric(metric, entry.get("arguments") or {})
    return rule(name, field, parameters) | {"severity": _severity(entry)}


def rule(name: str, field: str, parameters: Entry) -> Entry:
    """Return the rule *name* on one field, as a contract states it in full."""
    return {"rule": name, "fields": [field], "severity": Severity.ERROR.value, "parameters": parameters}


def _about(entry: Mapping[str, Any], field: str | None) -> list[str]:
    return [field] if field else list((entry.get("arguments") or {}).get("properties") or [])


def _none_may_fail(entry: Mapping[str, Any]) -> bool:
    return any(type(entry.get(name)) in (int, float) and entry[name] == 0 for name in ("mustBe", "mustBeLessOrEqualTo"))


def _of_metric(metric: str, arguments: Mapping[str, Any]) -> tuple[str, Entry]:
    match metric, arguments:
        case "nullValues" | "missingValues", _:
            return "required", {}
        case "invalidValues", {"validValues": values}:
            return "one_of", {"among": values}
        case "invalidValues", {"pattern": pattern}:
            return "matches", {"pattern": pattern}
    raise UntranslatableError(f"the hub has no rule for {metric} with these arguments")


def _severity(entry: Mapping[str, Any]) -> str:
    return (Severity.WARNING if str(entry.get("severity", "")).lower() in _MILD else Severity.ERROR).value
