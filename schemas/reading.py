"""Reading one YAML file into a declaration, with the line of every mistake.

YAML 1.2 scalars only: ``no`` is a word and ``2024-01-01`` is text,
because officers write codes and dates that must arrive as written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from hub.errors import Finding
from schemas.declared import Declared

Loc = tuple[str | int, ...]
Plain = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None
Model = TypeVar("Model", bound=Declared)

_INTEGER = re.compile(r"[-+]?(0|[1-9]\d*)\Z")
_NUMBER = re.compile(r"[-+]?\d+\.\d+([eE][-+]?\d+)?\Z")
_QUOTED = frozenset("'\"|>")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Where each part of one file stands, so that a mistake can name its line."""

    file: str
    lines: dict[Loc, int] = field(repr=False)

    def line(self, *loc: str | int) -> int:
        """Return the line of *loc*, or of the nearest part around it that was written."""
        for length in range(len(loc), -1, -1):
            if loc[:length] in self.lines:
                return self.lines[loc[:length]]
        return 1

    def finding(self, *loc: str | int, problem: str, remedy: str) -> Finding:
        """Return a finding at *loc* of this file."""
        return Finding(file=self.file, line=self.line(*loc), problem=problem, remedy=remedy)


def read(path: Path, model: type[Model], *, shown_as: str) -> tuple[Model | None, Written, list[Finding]]:
    """Read *path* as *model*: the declaration (``None`` if it has mistakes), its lines, its mistakes."""
    plain, written, findings = read_plain(path, shown_as=shown_as)
    if plain is None:
        return None, written, findings
    try:
        declaration = model.model_validate(plain)
    except ValidationError as error:
        return None, written, findings + list(findings_of(error, written, model))
    return (None if findings else declaration), written, findings


def read_plain(path: Path, *, shown_as: str) -> tuple[Plain, Written, list[Finding]]:
    """Read *path* as plain values (``None`` if it is no YAML), with the line of each part and what is wrong with its form."""
    written = Written(file=shown_as, lines={})
    findings: list[Finding] = []
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except UnicodeDecodeError:
        return None, written, [written.finding(problem="the file is not UTF-8", remedy="save it as UTF-8")]
    except yaml.YAMLError as error:
        return None, written, [_unreadable(written, error)]
    if node is None:
        return None, written, [written.finding(problem="the file is empty", remedy="write the declaration, or delete the file")]
    return _plain(node, (), written, findings), written, findings


def _unreadable(written: Written, error: yaml.YAMLError) -> Finding:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 1
    problem = getattr(error, "problem", None) or "this is not YAML"
    return Finding(
        file=written.file, line=line, problem=f"not readable as YAML: {problem}", remedy="check indentation, colons and quotes at this line"
    )


def _plain(node: yaml.Node, loc: Loc, written: Written, findings: list[Finding]) -> Plain:
    written.lines[loc] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(node, loc, written, findings))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*loc, index), written, findings) for index, item in enumerate(node.value)]
    return _scalar(node)  # type: ignore[arg-type]  # the third and last kind of node


def _pairs(node: yaml.MappingNode, loc: Loc, written: Written, findings: list[Finding]) -> Iterator[tuple[str, Plain]]:
    seen: set[str] = set()
    for key, value in node.value:
        name = str(key.value)
        inner = _plain(value, (*loc, name), written, findings)
        written.lines[(*loc, name)] = key.start_mark.line + 1
        if name in seen:
            findings.append(written.finding(*loc, name, problem=f"`{name}` is written twice", remedy="keep one of the two"))
        seen.add(name)
        yield name, inner


def _scalar(node: yaml.ScalarNode) -> Plain:
    return scalar(node.value, quoted=node.style in _QUOTED)


def scalar(text: str, *, quoted: bool = False) -> Plain:
    """Return what *text* means where it stands for a single value."""
    if quoted:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _NUMBER.match(text) else text


def findings_of(error: ValidationError, written: Written, model: type[Declared]) -> Iterator[Finding]:
    """Yield what *model* holds against a file, in words for the person who wrote it."""
    for detail in error.errors(include_url=False, include_input=False):
        yield finding_of(detail["loc"], detail["type"], detail["msg"], written, model)


def finding_of(loc: Loc, kind: str, message: str, written: Written, model: type[Declared]) -> Finding:
    """Return one thing that *model* holds against a file (pydantic's *kind* and *message*), in words for the person who wrote it."""
    where = ".".join(str(part) for part in loc) or "the file"
    problem, remedy = _in_words(kind, message, where, model)
    return written.finding(*loc, problem=problem, remedy=remedy)


def _in_words(kind: str, message: str, where: str, model: type[Declared]) -> tuple[str, str]:
    name = model.__name__.lower()
    match kind:
        case "extra_forbidden":
            return f"`{where}` is not a key of a {name}", "check the spelling, or remove it (the editor schema lists every key)"
        case "missing":
            return f"`{where}` is missing", "add it"
        case "value_error":
            return f"{where}: {message.removeprefix('Value error, ')}", "write what the message asks for"
        case _:
            return f"`{where}`: {message}", "write a value of that form"
