"""The checks of a contract: which rule runs on which fields, and the verdicts they give.

A check is a rule bound to the fields of one contract.
A verdict is one byte per check and row: 1 holds, 0 fails, 2 not judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.conform import Conformed
from schemas.contract import Contract, Field, RuleUse, Severity
from schemas.declared import FieldType, Title
from schemas.rules.registry import RULES
from schemas.vocabulary import CodeList, Kind

if TYPE_CHECKING:
    import pandas as pd

FAILS, HOLDS, NOT_JUDGED = np.uint8(0), np.uint8(1), np.uint8(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """Which rows a check is about: those where ``field`` has one of ``values``."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule on fields of one contract.

    ``id`` is the field, a dot and the rule: stable as long as the contract keeps both.
    ``title`` is made for officers; it never contains a value.
    """

    id: str
    rule: str
    fields: tuple[str, ...]
    severity: Severity
    title: Title
    parameters: Mapping[str, object] = field(default_factory=dict)
    only: Only | None = None

    @property
    def set_level(self) -> bool:
        """Whether the check is about a set of rows, so that its verdicts are supplied by the key pass or SQL."""
        return RULES[self.rule].function is None


def set_check(rule: str, fields: tuple[str, ...], *, contract: Contract, severity: Severity = Severity.ERROR) -> Check:
    """Return a check whose verdicts the caller supplies (``duplicate_subject``, ``reference``, ``owner`` …)."""
    return _check(rule, fields, severity, contract)


def checks_of(contract: Contract, kinds: Mapping[str, Kind], codes: Mapping[str, CodeList]) -> tuple[Check, ...]:
    """Return every check of *contract*: what its fields imply, its own rules in order, then its key.

    Ids are unique and the order depends on the contract alone.
    A rule that the contract states for the same fields replaces the implied one, so its severity counts.
    The declarations must be free of mistakes: see `schemas.rules.uses.mistakes_of`.
    """
    own = [_stated(use, contract, codes) for use in contract.rules]
    stated = {(check.rule, check.fields) for check in own}
    implied = [check for one in contract.fields for check in _implied(one, contract, kinds, codes)]
    key = [_check(rule, contract.key, Severity.ERROR, contract) for rule in ("null_key", "unique_key")]
    kept = [check for check in (*implied, *own, *key) if check in own or (check.rule, check.fields) not in stated]
    return tuple(_numbered(kept))


def _implied(one: Field, contract: Contract, kinds: Mapping[str, Kind], codes: Mapping[str, CodeList]) -> Iterator[Check]:
    here = (one.name,)
    yield _check("readable", here, Severity.ERROR, contract)
    if one.required:
        yield _check("required", here, Severity.ERROR, contract)
    if one.codes:
        yield _check("in_codes", here, Severity.ERROR, contract, {"codes": codes[one.codes]})
    if one.length and one.type is FieldType.STRING:
        yield _check("length", here, Severity.ERROR, contract, {"max": one.length})
    if one.kind:
        for rule in kinds[one.kind].rules:
            yield _check(rule, here, RULES[rule].severity, contract)
    if one.kind_by:
        yield from _by_kind(one, contract, kinds)


def _by_kind(one: Field, contract: Contract, kinds: Mapping[str, Kind]) -> Iterator[Check]:
    """Yield the rules of each kind the field may have, each on the rows of that kind."""
    assert one.kind_by is not None  # noqa: S101 (the caller asked)
    selector, chosen = one.kind_by.field, one.kind_by.kinds
    among = {"among": tuple(chosen)}
    yield _check("kind_known", (one.name, selector), Severity.ERROR, contract, among)
    rows: dict[str, list[str]] = {}
    for value, kind in chosen.items():
        for rule in kinds[kind].rules:
            rows.setdefault(rule, []).append(value)
    for rule, values in rows.items():
        check = _check(rule, (one.name,), RULES[rule].severity, contract)
        yield replace(check, only=Only(field=selector, values=tuple(values)))


def _stated(use: RuleUse, contract: Contract, codes: Mapping[str, CodeList]) -> Check:
    given = {name: _frozen(value) for name, value in use.parameters.items()}
    if "codes" in given:
        given["codes"] = codes[str(given["codes"])]
    return _check(use.rule, use.fields, use.severity, contract, given)


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _check(
    rule: str,
    fields: tuple[str, ...],
    severity: Severity,
    contract: Contract,
    parameters: Mapping[str, object] | None = None,
) -> Check:
    said, of = RULES[rule].title, [contract.field(name).title for name in fields]
    title = Title(
        zh="、".join(one.zh for one in of) + ":" + said.zh,
        en=", ".join(one.en for one in of) + ": " + said.en,
    )
    return Check(
        id=f"{fields[0]}.{rule}",
        rule=rule,
        fields=fields,
        severity=severity,
        title=title,
        parameters=parameters or {},
    )


def _numbered(checks: Sequence[Check]) -> Iterator[Check]:
    """Yield *checks* with a number on every id after the first of its name."""
    seen: dict[str, int] = {}
    for check in checks:
        seen[check.id] = seen.get(check.id, 0) + 1
        yield check if seen[check.id] == 1 else replace(check, id=f"{check.id}_{seen[check.id]}")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What every check says of every row of one batch: ``matrix[check, row]``, in the order of ``checks``."""

    checks: tuple[Check, ...]
    matrix: npt.NDArray[np.uint8]

    def __getitem__(self, check_id: str) -> npt.NDArray[np.uint8]:
        """Return the verdicts of one check; ``KeyError`` if there is none of that id."""
        for place, check in enumerate(self.checks):
            if check.id == check_id:
                return self.matrix[place]
        raise KeyError(check_id)

    def failing_rows(self, severity: Severity = Severity.ERROR) -> pa.BooleanArray:
        """Return which rows fail at least one check of *severity*. Never null."""
        places = [place for place, check in enumerate(self.checks) if check.severity is severity]
        return pa.array((self.matrix[places] == FAILS).any(axis=0), pa.bool_())

    def frame(self, start: int) -> "pd.DataFrame":
        """Return the verdicts as a frame: one uint8 column per check id, indexed by the row's position in its batch.

        *start* is the position of the first row. The frame shares the matrix's memory.
        """
        import pandas as pd  # noqa: PLC0415 (slow to import, and only the gate needs it)

        rows = pd.RangeIndex(start, start + self.matrix.shape[1])
        return pd.DataFrame(self.matrix.T, index=rows, columns=[check.id for check in self.checks], copy=False)


def judge(
    conformed: Conformed,
    checks: Sequence[Check],
    *,
    today: date,
    supplied: Mapping[str, pa.BooleanArray] | None = None,
) -> Verdicts:
    """Run *checks* over one conformed batch; *supplied* holds the verdicts of set-level checks by check id.

    A set-level check without a supplied column judges nothing.
    No row's verdict depends on another row, so slices and whole batches agree.
    """
    matrix = np.full((len(checks), conformed.batch.num_rows), NOT_JUDGED, dtype=np.uint8)
    for place, check in enumerate(checks):
        held = (supplied or {}).get(check.id) if check.set_level else _held(check, conformed, today)
        if held is not None:
            _write(held, matrix[place])
    return Verdicts(tuple(checks), matrix)


def _held(check: Check, conformed: Conformed, today: date) -> pa.BooleanArray:
    rule = RULES[check.rule]
    assert rule.function is not None  # noqa: S101 (set-level checks never come here)
    surroundings = {"today": today, "unreadable": conformed.failures[check.fields[0]]}
    given = {name: surroundings[name] for name in rule.supplied}
    columns = [conformed.batch.column(name) for name in check.fields]
    held = rule.function(*columns, **check.parameters, **given)
    return held if check.only is None else _only(held, check.only, conformed)


def _only(held: pa.BooleanArray, rows: Only, conformed: Conformed) -> pa.BooleanArray:
    chosen = pc.is_in(conformed.batch.column(rows.field), value_set=pa.array(rows.values, pa.string()))
    return pc.if_else(chosen, held, pa.scalar(None, pa.bool_()))


def _write(held: pa.BooleanArray, row: npt.NDArray[np.uint8]) -> None:
    """Write a verdict column as bytes: true 1, false 0, null 2."""
    row[:] = pc.fill_null(held.cast(pa.uint8()), 2).to_numpy(zero_copy_only=False)
