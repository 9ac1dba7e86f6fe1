"""The standard's own JSON Schema as the judge of a document, in the hub's words and with lines."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft201909Validator
from jsonschema.exceptions import ValidationError

from hub.errors import Finding
from schemas.reading import Written


@cache
def _judge() -> Draft201909Validator:
    return Draft201909Validator(json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")))


def breaches(document: Mapping[str, Any], written: Written) -> Iterator[Finding]:
    """Yield everything in which *document* is not valid by the standard. No value is quoted: examples may be data."""
    for error in _judge().iter_errors(document):
        yield from _breaches(error, written)


def _breaches(error: ValidationError, written: Written) -> Iterator[Finding]:
    if error.validator in {"allOf", "if", "$ref"} and error.context:
        for inner in error.context:
            yield from _breaches(inner, written)
        return
    loc = tuple(error.absolute_path)
    where = ".".join(str(part) for part in loc) or "the document"
    problem = f"`{where}` {_in_words(error)} (ODCS 3.1)"
    yield written.finding(*loc, problem=problem, remedy="see the standard, or let the tool that wrote the document check it")


def _in_words(error: ValidationError) -> str:
    match error.validator:
        case "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            return f"lacks {', '.join(f'`{name}`' for name in missing)}"
        case "enum":
            return f"is none of: {', '.join(str(one) for one in error.validator_value)}"
        case "type":
            return f"is not of type {error.validator_value}; text that looks like a number or a date is to be quoted"
        case "additionalProperties" | "unevaluatedProperties":
            return f"has a key the standard does not know, among: {', '.join(sorted(error.instance))}"
        case "const":
            return f"is not {error.validator_value}"
        case _:
            return f"breaks `{error.validator}` of the standard's schema"
