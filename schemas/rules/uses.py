"""What can be wrong with a rule as a contract uses it, found before any data is read."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa

from schemas.conform import arrow_type
from schemas.contract import Contract, RuleUse
from schemas.declared import FieldType, Title
from schemas.rules.registry import RULES, Parameter, Rule
from schemas.vocabulary import Code, CodeList

_SAMPLES: dict[FieldType, object] = {
    FieldType.STRING: "sample",
    FieldType.INTEGER: 1,
    FieldType.DECIMAL: Decimal(1),
    FieldType.NUMBER: 1.0,
    FieldType.BOOLEAN: True,
    FieldType.DATE: date(2000, 1, 1),
    FieldType.TIMESTAMP: datetime(2000, 1, 1, tzinfo=UTC),
    FieldType.GEOMETRY: b"",
}
_SAMPLE_TITLE = Title(zh="示例", en="sample")
_SAMPLE_CODES = CodeList(codes="sample", title=_SAMPLE_TITLE, standard="-", entries=(Code(code="0", title=_SAMPLE_TITLE),))


def mistakes_of(use: RuleUse, contract: Contract) -> list[str]:
    """Return what is wrong with *use*, in plain sentences; empty if it can run.

    Unknown rule, unknown field, too few or too many fields, a parameter that is unknown, missing or of the wrong type,
    and whatever else keeps the rule from judging a made-up row of the fields' types.
    Whether a code list exists is for the caller, who has them.
    """
    rule = RULES.get(use.rule)
    if rule is None:
        return [f"there is no rule {use.rule!r}; there are: {', '.join(sorted(RULES))}"]
    mistakes = [*_field_mistakes(use, rule, contract), *_parameter_mistakes(use, rule)]
    return mistakes or list(_failed_rehearsal(use, rule, contract))


def _field_mistakes(use: RuleUse, rule: Rule, contract: Contract) -> Iterator[str]:
    known = {field.name for field in contract.fields}
    for name in use.fields:
        if name not in known:
            yield f"rule {use.rule} names the field {name!r}, which the contract does not have"
    fits = len(use.fields) >= rule.columns if rule.more_columns else len(use.fields) == rule.columns
    if not fits:
        yield f"rule {use.rule} takes {rule.columns} field(s) and was given {len(use.fields)}"


def _parameter_mistakes(use: RuleUse, rule: Rule) -> Iterator[str]:
    for name, value in use.parameters.items():
        if name not in rule.parameters:
            known = ", ".join(rule.parameters) or "none"
            yield f"rule {use.rule} has no parameter {name!r}; it has: {known}"
        elif not _is_of(value, rule.parameters[name]):
            yield f"parameter {name} of rule {use.rule} must be {_wanted(rule.parameters[name])}"
    for name, parameter in rule.parameters.items():
        if parameter.required and name not in use.parameters:
            yield f"rule {use.rule} needs the parameter {name!r}: {_wanted(parameter)}"


def _is_of(value: object, parameter: Parameter) -> bool:
    if isinstance(value, bool) and bool not in parameter.types:
        return False
    return isinstance(value, tuple(_written(one) for one in parameter.types))


def _written(one: type) -> type:
    """Return the type a parameter has in YAML: a list for a tuple, a name for a code list."""
    return _IN_YAML.get(one, one)


_IN_YAML: dict[type, type] = {tuple: list, CodeList: str}


_WORDS = {tuple: "a list", CodeList: "the name of a code list", str: "text", int: "a whole number", float: "a number"}


def _wanted(parameter: Parameter) -> str:
    return " or ".join(_WORDS[one] for one in parameter.types if one in _WORDS)


def _failed_rehearsal(use: RuleUse, rule: Rule, contract: Contract) -> Iterator[str]:
    """Run the rule on one made-up row: types and parameters that do not go together show themselves."""
    if rule.function is None:
        return
    fields = [contract.field(name) for name in use.fields]
    columns = [pa.array([_SAMPLES[field.type]], arrow_type(field)) for field in fields]
    given = {name: _rehearsed(value, rule.parameters[name]) for name, value in use.parameters.items()}
    surroundings = {"today": date(2000, 1, 1), "unreadable": pa.array([False])}
    try:
        rule.function(*columns, **given, **{name: surroundings[name] for name in rule.supplied})
    except (pa.ArrowException, TypeError, ValueError):
        types = ", ".join(f"{field.name}: {field.type}" for field in fields)
        yield f"rule {use.rule} cannot judge these fields ({types}) with these parameters ({_shown(use)})"


def _rehearsed(value: object, parameter: Parameter) -> object:
    if CodeList in parameter.types:
        return _SAMPLE_CODES
    return tuple(value) if isinstance(value, list) else value


def _shown(use: RuleUse) -> str:
    return ", ".join(f"{name}: {value!r}" for name, value in use.parameters.items()) or "none"
