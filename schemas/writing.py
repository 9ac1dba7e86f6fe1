"""Writing a declaration as YAML that ``schemas.reading`` reads back exactly, in the form people write by hand."""

from typing import Any

import yaml

from schemas.reading import scalar

_WIDTH = 4096  # one field, one line
_LONGEST = 240  # characters of a mapping that still reads well in one line


class _Row(dict[str, Any]):
    """A mapping that stands in one line."""


class _Line(list[Any]):
    """A list that stands in one line."""


class _Writer(yaml.SafeDumper):
    """Quotes what would be read as something else than text, and repeats instead of referring."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (PyYAML's signature)
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 (PyYAML's signature)
        super().increase_indent(flow, indentless=False)


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if not text.isprintable() else None if scalar(text) == text else "'"
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _row(writer: yaml.SafeDumper, row: _Row) -> yaml.MappingNode:
    return writer.represent_mapping("tag:yaml.org,2002:map", row.items(), flow_style=True)


def _line(writer: yaml.SafeDumper, line: _Line) -> yaml.SequenceNode:
    return writer.represent_sequence("tag:yaml.org,2002:seq", line, flow_style=True)


_Writer.add_representer(_Line, _line)
_Writer.add_representer(str, _text)
_Writer.add_representer(_Row, _row)


def written(declaration: dict[str, Any]) -> str:
    """Return *declaration* (plain values) as YAML, keys in their order; small mappings stand in one line."""
    return yaml.dump(_shaped(declaration, 0), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _shaped(value: object, depth: int) -> object:
    """Return *value* with each list of single values, and each mapping that holds nothing longer, marked to stand in one line."""
    if isinstance(value, dict):
        inner = {key: _shaped(one, depth + 1) for key, one in value.items()}
        return _Row(inner) if depth and _is_small(value) and len(str(value)) < _LONGEST else inner
    if isinstance(value, list):
        return _Line(value) if _is_line(value) else [_shaped(one, depth + 1) for one in value]
    return value


def _is_small(value: dict[str, Any]) -> bool:
    return all(_is_line(one) if isinstance(one, list) else not isinstance(one, dict) or _is_small(one) for one in value.values())


def _is_line(value: list[Any]) -> bool:
    return not any(isinstance(one, list | dict) for one in value)
