"""The rules by name: what each takes, and what breaking it means by default.

A rule is one function from Arrow columns to a boolean column: true where it holds, null where it does not judge.
Its positional parameters are columns, its keyword-only parameters are what a contract may set.
Two keyword-only names are not for contracts, ``judge`` supplies them:
``today`` and ``unreadable`` (which values of the first column could not be read).
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from schemas.contract import Severity
from schemas.declared import Title

Judgement = Callable[..., pa.BooleanArray]

SUPPLIED = ("today", "unreadable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter that a contract may set: the types it may have, and whether it must be set."""

    types: tuple[type, ...]
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. ``function`` is None for a rule about a set of rows, whose verdicts come from the key pass or SQL."""

    name: str
    title: Title
    severity: Severity
    function: Judgement | None
    columns: int
    more_columns: bool = False
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    supplied: tuple[str, ...] = ()


_RULES: dict[str, Rule] = {}
RULES: Mapping[str, Rule] = MappingProxyType(_RULES)


def rule(name: str, *, zh: str, en: str, severity: Severity = Severity.ERROR) -> Callable[[Judgement], Judgement]:
    """Register a function as the rule *name*. *severity* is used where a kind brings the rule."""

    def register(function: Judgement) -> Judgement:
        _add(_described(name, Title(zh=zh, en=en), severity, function))
        return function

    return register


def set_rule(name: str, *, zh: str, en: str, parameters: Mapping[str, Parameter] | None = None) -> None:
    """Register a rule about a set of rows: unique, referenced, owned."""
    _add(
        Rule(
            name=name,
            title=Title(zh=zh, en=en),
            severity=Severity.ERROR,
            function=None,
            columns=1,
            more_columns=True,
            parameters=parameters or {},
        )
    )


def _add(new: Rule) -> None:
    if new.name in _RULES:
        raise ValueError(f"two rules are called {new.name}")
    _RULES[new.name] = new


def _described(name: str, title: Title, severity: Severity, function: Judgement) -> Rule:
    signature = tuple(inspect.signature(function).parameters.values())
    return Rule(
        name=name,
        title=title,
        severity=severity,
        function=function,
        columns=sum(one.kind is one.POSITIONAL_OR_KEYWORD for one in signature),
        more_columns=any(one.kind is one.VAR_POSITIONAL for one in signature),
        parameters=dict(_settable(signature)),
        supplied=tuple(one.name for one in signature if one.kind is one.KEYWORD_ONLY and one.name in SUPPLIED),
    )


def _settable(signature: tuple[inspect.Parameter, ...]) -> Iterator[tuple[str, Parameter]]:
    for one in signature:
        if one.kind is one.KEYWORD_ONLY and one.name not in SUPPLIED:
            yield one.name, Parameter(types=_types(one.annotation), required=one.default is one.empty)


def _types(annotation: object) -> tuple[type, ...]:
    """Return the plain types in an annotation: ``int | None`` gives int and NoneType, ``tuple[str, ...]`` tuple."""
    members: tuple[Any, ...] = getattr(annotation, "__args__", ()) if _is_union(annotation) else (annotation,)
    return tuple(getattr(member, "__origin__", member) for member in members)


def _is_union(annotation: object) -> bool:
    return type(annotation).__name__ in {"UnionType", "Union"}
