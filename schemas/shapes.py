"""The columns a source has, and what changed of them: pure, from names and types."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches

import pyarrow as pa

from schemas.contract import Contract, Field
from schemas.declared import FieldType
from schemas.drift import Reaction

Shape = dict[str, str]
_DECLARED = b"declared"
_WRITTEN = re.compile(r"(?P<base>[^()]+?)\s*(?:\((?P<first>\d+)(?:\s*,\s*(?P<second>\d+))?\)(?P<rest>[^()]*))?$")
_CHAINS = (
    ("int8", "int16", "int32", "int64"), ("tinyint", "smallint", "mediumint", "int", "bigint"), ("smallint", "integer", "bigint"),
    ("float", "double"), ("real", "double precision"), ("char", "varchar", "text"), ("character", "character varying", "text"),
    ("nchar", "nvarchar"), ("character", "character varying", "string"),
)  # fmt: skip
_DECIMALS = frozenset({"decimal", "decimal128", "numeric", "number"})
_WIDEST = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one column: ``added``, ``missing``, ``widened`` or ``retyped``, and what is done about it.

    ``known`` says that an officer accepted it, or an earlier published batch saw it. ``field`` is the contract's name for the column.
    """

    sort: str
    column: str
    field: str | None
    before: str | None
    after: str | None
    reaction: Reaction
    known: bool = False
    hint: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the batch waits for an officer because of it."""
        return self.reaction is Reaction.HOLD and not self.known

    def record(self) -> dict[str, object]:
        """Return the change as it is kept with its batch."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def told(change: Mapping[str, object]) -> str:
    """Say a recorded change in one line, in Chinese and English, with the hint there may be."""
    text = " · ".join(sentences(change))
    return f"{text}; {change['hint']}" if change.get("hint") else text


def sentences(change: Mapping[str, object]) -> tuple[str, str]:
    """Say a recorded change in Chinese, and in English."""
    column, before, after = (f"`{change.get(name)}`" for name in ("column", "before", "after"))
    field_zh = f"（字段 {change['field']}）" if change.get("field") else "（契约未用）"
    field_en = f" (field {change['field']})" if change.get("field") else " (not used)"
    match change["sort"]:
        case "added":
            return f"源端新增列 {column}（{after}）", f"the source has a new column {column} ({after})"
        case "missing":
            return f"源端缺少列 {column}{field_zh}", f"the source lacks column {column}{field_en}"
        case "widened":
            return f"源端列 {column} 类型放宽：{before} → {after}", f"column {column} became wider: {before} → {after}"
        case _ if change.get("before"):
            return f"源端列 {column} 类型变更：{before} → {after}", f"column {column} changed its type: {before} → {after}"
        case _:
            return f"源端列 {column}（{after}）读不成契约的类型{field_zh}", f"column {column} ({after}) is unreadable as its type{field_en}"


def shape_of(columns: pa.Schema, contract: Contract) -> Shape:
    """Return the type of each column, as the source declares it where it says so.

    A file without a header has somebody's values where its columns should be named: unless every column of the contract is there,
    only those that are of the contract are repeated.
    """
    asked = {field.source_column for field in contract.fields}
    repeated = contract.file is None or asked <= set(columns.names)
    return {column.name: _type(column) for column in columns if repeated or column.name in asked}


def _type(column: pa.Field) -> str:
    declared = (column.metadata or {}).get(_DECLARED)
    return declared.decode() if declared else str(column.type)


def indispensable(contract: Contract) -> frozenset[str]:
    """Return the fields no run can do without: of key and cursor, required ones, subjects and what decides between rows."""
    required = {field.name for field in contract.fields if field.required} | set(contract.key)
    required |= {contract.sync.cursor} if contract.sync.cursor else set()
    for given in contract.contributes:
        required |= set(given.subject) | ({given.pick} if given.pick else set())
    return frozenset(required)


def changes(contract: Contract, columns: pa.Schema, accepted: Shape | None) -> Iterator[Change]:
    """Yield what of *columns* differs from the contract and from the *accepted* shape (``None`` before the first published batch)."""
    now = shape_of(columns, contract)
    of_field = {field.source_column: field for field in contract.fields}
    new = [name for name in now if accepted is not None and name not in accepted and name not in of_field]
    for name in new:
        yield Change(sort="added", column=name, field=None, before=None, after=now[name], reaction=contract.drift.added)
    for name, field in of_field.items():
        if name not in now:
            yield _missing(contract, field, accepted, new)
        else:
            yield from _retyped(contract, field, columns.field(name), now[name], accepted)
    for name in sorted(set(accepted or {}) - set(now) - set(of_field)):
        before = (accepted or {})[name]
        yield Change(sort="missing", column=name, field=None, before=before, after=None, reaction=Reaction.IGNORE)


def _missing(contract: Contract, field: Field, accepted: Shape | None, new: list[str]) -> Change:
    name = field.source_column
    needed = field.name in indispensable(contract)
    near = get_close_matches(name, new, n=1) or (new if len(new) == 1 else [])
    return Change(
        sort="missing",
        column=name,
        field=field.name,
        before=(accepted or {}).get(name),
        after=None,
        reaction=Reaction.FAIL if needed else contract.drift.missing,
        known=accepted is not None and name not in accepted and not needed,
        hint=f"若已改名，请写 `column: {near[0]}` · if it was renamed, write `column: {near[0]}`" if near else None,
    )


def _retyped(contract: Contract, field: Field, column: pa.Field, now: str, accepted: Shape | None) -> Iterator[Change]:
    name, before = field.source_column, (accepted or {}).get(field.source_column)
    if before is None and _readable(column.type, field.type):
        return
    if before == now:
        return
    sort = "widened" if before is not None and wider(before, now) else "retyped"
    reaction = contract.drift.widened if sort == "widened" else contract.drift.retyped
    yield Change(sort=sort, column=name, field=field.name, before=before, after=now, reaction=reaction)


def wider(before: str, after: str) -> bool:
    """Whether every value of the type *before* fits into *after*, as far as the names of the types tell."""
    old, new = _WRITTEN.match(before.strip().lower()), _WRITTEN.match(after.strip().lower())
    if old is None or new is None or (old["rest"] or "") != (new["rest"] or ""):
        return False
    if old["base"] == new["base"]:
        return _fits(old, new)
    in_chain = any(old["base"] in chain and new["base"] in chain[chain.index(old["base"]) :] for chain in _CHAINS)
    return in_chain and _fits(old, new)


def _fits(old: re.Match[str], new: re.Match[str]) -> bool:
    if old["base"] in _DECIMALS:
        whole = [int(one["first"] or _WIDEST) - int(one["second"] or 0) for one in (old, new)]
        scale = [int(one["second"] or (0 if one["first"] else _WIDEST)) for one in (old, new)]
        return whole[0] <= whole[1] and scale[0] <= scale[1]
    return int(old["first"] or _WIDEST) <= int(new["first"] or _WIDEST)


def _readable(found: pa.DataType, wanted: FieldType) -> bool:
    """Whether a column of the Arrow type *found* can be read as *wanted* at all; text may hold anything."""
    if pa.types.is_string(found) or pa.types.is_large_string(found) or wanted is FieldType.STRING:
        return True
    number = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found)
    time = pa.types.is_date(found) or pa.types.is_timestamp(found)
    match wanted:
        case FieldType.GEOMETRY:
            return pa.types.is_binary(found) or pa.types.is_large_binary(found) or pa.types.is_fixed_size_binary(found)
        case FieldType.DATE | FieldType.TIMESTAMP:
            return time or pa.types.is_integer(found)
        case FieldType.BOOLEAN | FieldType.INTEGER:
            return number or pa.types.is_boolean(found)
        case _:
            return number
