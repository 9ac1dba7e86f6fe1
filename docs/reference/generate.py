"""The reference pages, written from the code they describe.

``python docs/reference/generate.py`` writes them; ``tests/docs`` fails if one is not what the code says.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import EnumType
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import typer
import yaml
from pydantic import StringConstraints
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from audit.events import FIELDS, Event
from connectors.registry import connector_names
from hub import errors
from hub.cli import app
from hub.settings import SETTINGS
from schemas.declarations import read_all
from schemas.declared import Declared, Name, Title
from schemas.editor import DECLARATIONS
from schemas.rules import RULES
from schemas.rules.registry import Parameter

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
Lines = Iterator[str]

WHERE = {
    "contract": "schemas/contracts/<department>/<dataset>.yaml",
    "source": "connectors/sources/<source>.yaml",
    "library": "schemas/libraries/<library>.yaml",
    "codes": "schemas/codes/<codes>.yaml",
    "kinds": "masking/kinds.yaml",
    "policy": "masking/policies/<policy>.yaml",
    "departments": "catalog/departments.yaml",
    "workdays": "schemas/workdays.yaml",
}


def pages() -> dict[str, str]:
    """Return each page's text by file name, as the code is now."""
    made: dict[str, tuple[str, Callable[[], Lines]]] = {
        "settings.md": ("Settings", _settings),
        "cli.md": ("Command line", _cli),
        "rules.md": ("Rules", _rules),
        "kinds.md": ("Kinds and their treatment", _kinds),
        "declarations.md": ("Declarations", _declarations),
        "events.md": ("Audit events", _events),
        "errors.md": ("Errors and exit codes", _errors),
    }
    return {name: "\n".join([f"# {title}", "", *body(), ""]) for name, (title, body) in made.items()}


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Lines:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"


def _settings() -> Lines:
    yield "Environment variables, read once by each process. A setting never holds a secret: it names the folder that does."
    yield ""
    yield from _table(["variable", "default", "meaning"], [(f"`{one.name}`", one.default, one.meaning) for one in SETTINGS])


# The command line


def _cli() -> Lines:
    yield "Every command has `--help`; those that list or show take `--json`."
    yield "Exit codes: 0 done · 1 refused or rejected · 2 your mistake · 3 try again later ([errors](errors.md))."
    for path, command in commands():
        yield ""
        yield f"## `{' '.join(path)}`"
        yield ""
        yield str(command.help).strip()
        parameters = [(_spelled(one), one.help or "", _standard(one)) for one in command.params if one.name != "help"]
        if parameters:
            yield ""
            yield from _table(["argument or option", "meaning", "default"], parameters)


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command of the command line with the words that call it."""
    yield from _below(typer.main.get_command(app), ("hub",))


def _below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 (typer's own click)
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        yield from _below(one, (*path, name))


def _spelled(parameter: Any) -> str:  # noqa: ANN401 (typer's own click)
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return " / ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _standard(parameter: Any) -> str:  # noqa: ANN401 (typer's own click)
    if parameter.required:
        return "asked for" if getattr(parameter, "prompt", None) else "required"
    if parameter.default is None:
        return "none"
    if isinstance(parameter.default, bool) and not parameter.secondary_opts:
        return "on" if parameter.default else "off"
    if isinstance(parameter.default, bool):
        return f"`{(parameter.opts if parameter.default else parameter.secondary_opts)[0]}`"
    return f"`{parameter.default}`"


# Rules and kinds


def _rules() -> Lines:
    yield "A rule judges whole columns: it holds, fails, or does not judge (a null value, unless the rule is about nulls)."
    yield "Severity is the one used where a kind or field brings the rule; a contract that states a rule decides itself (default `error`)."
    yield "Rules about a set of rows get their verdicts from the key pass and from SQL."
    yield ""
    rows = [
        (
            f"`{one.name}`",
            one.title.zh,
            one.title.en,
            _columns(one.columns, more=one.more_columns),
            _parameters(one.parameters),
            one.severity.value,
            "row" if one.function else "set of rows",
        )
        for _, one in sorted(RULES.items())
    ]
    yield from _table(["rule", "名称", "title", "fields", "parameters", "severity", "about"], rows)


def _columns(count: int, *, more: bool) -> str:
    return f"{count} or more" if more else str(count)


_WORDS = {"tuple": "list", "CodeList": "name of a code list", "str": "text", "int": "whole number", "float": "number"}


def _parameters(parameters: Mapping[str, Parameter]) -> str:
    return "<br>".join(f"`{name}`: {_types(given)}{' (required)' if given.required else ''}" for name, given in parameters.items())


def _types(given: Parameter) -> str:
    return " or ".join(_WORDS[one.__name__] for one in given.types if one is not NoneType)


def _kinds() -> Lines:
    found = read_all(REPOSITORY)
    yield "What a value is, and how it enters a library (`masking/kinds.yaml`, `masking/policies/library.yaml`)."
    yield "A kind without a treatment that is not sensitive (L1, L2) is kept as it is."
    yield ""
    rows = []
    for name, kind in sorted(found.kinds.items()):
        treat = found.treatments.get(name)
        shown = (treat.treatment.value + (f" ({treat.how})" if treat.how else "")) if treat else "keep"
        rules = ", ".join(f"[`{rule}`](rules.md)" for rule in kind.rules)
        row = (
            f"`{name}`",
            kind.title.zh,
            kind.title.en,
            kind.level.value,
            "yes" if kind.sensitive_pi else "",
            kind.domain or "",
            shown,
            rules,
        )
        rows.append(row)
    yield from _table(["kind", "名称", "title", "level", "sensitive PI", "domain", "treatment", "rules"], rows)


# Declarations


def _declarations() -> Lines:
    yield "Every key of every file that people write. Unknown keys are mistakes. `hub check` names file, line and remedy;"
    yield "`hub check --schemas FOLDER` writes these tables as JSON Schemas for editors."
    yield ""
    yield f"A *name* is lower-case letters, digits and `_`, at most 40. Connectors: {', '.join(f'`{one}`' for one in connector_names())}."
    meanings = yaml.safe_load((HERE / "meanings.yaml").read_text(encoding="utf-8"))
    seen: set[str] = set()
    for name, model in DECLARATIONS.items():
        yield ""
        yield f"## {model.__name__}: `{WHERE[name]}`"
        for one in models(model):
            if one.__name__ not in seen:
                seen.add(one.__name__)
                yield from _model(one, meanings[one.__name__], top=one is model)


def models(model: type[Declared]) -> Iterator[type[Declared]]:
    """Yield *model* and the models its keys hold, outer ones first."""
    yield model
    for info in model.model_fields.values():
        for inner in _inner(info.annotation):
            yield from models(inner)


def keys(model: type[Declared]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield each key of *model* as it is written, with what is declared of it."""
    for name, info in model.model_fields.items():
        yield info.alias or name, info


def _inner(annotation: object) -> Iterator[type[Declared]]:
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        yield annotation
    for part in get_args(annotation):
        yield from _inner(part)


def _model(model: type[Declared], meanings: Mapping[str, str], *, top: bool) -> Lines:
    yield ""
    if not top:
        yield f"### {model.__name__}"
        yield ""
    yield str(model.__doc__).strip().replace("\n    ", "\n")
    yield ""
    rows = [(f"`{key}`", _type(info.annotation, info.metadata), _default(info), meanings[key]) for key, info in keys(model)]
    yield from _table(["key", "type", "default", "meaning"], rows)


_PLAIN: dict[object, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
_NAME = next(one.pattern for one in get_args(Name) if isinstance(one, StringConstraints))


def _type(annotation: Any, metadata: Sequence[object] = ()) -> str:  # noqa: ANN401 (any annotation)
    if annotation in _PLAIN:
        return _constrained(_PLAIN[annotation], metadata)
    if annotation is Title:
        return "`{zh: …, en: …}`"
    if isinstance(annotation, EnumType):
        values: Iterable[object] = annotation.__members__.values()
        return " · ".join(f"`{value}`" for value in values)
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0], parts[1:])
    if origin is tuple:
        return f"list of {_type(parts[0])}"
    if origin is dict:
        return f"map of {_type(parts[0])} to {_type(parts[1])}"
    return " or ".join(_type(part) for part in parts if part is not NoneType)


def _constrained(word: str, metadata: Sequence[object]) -> str:
    for one in metadata:
        if isinstance(one, StringConstraints) and one.pattern == _NAME:
            return "name"
    limits = {name: getattr(one, name) for one in metadata for name in ("ge", "le") if getattr(one, name, None) is not None}
    if not limits:
        return word
    return f"{word}, {limits['ge']} to {limits['le']}" if "le" in limits else f"{word}, at least {limits['ge']}"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True)
    if default is None or default is PydanticUndefined or default in ((), {}):
        return "none"
    if isinstance(default, Declared):
        return f"that of [{type(default).__name__}](#{type(default).__name__.lower()})"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


# Events and errors


def _events() -> Lines:
    yield "The closed list of what can be recorded. Entries hold identifiers of records and counts, never values of people."
    yield "Each entry also carries its instant and the actor. It is written in the transaction of its effect."
    yield ""
    yield from _table(["event", "fields"], [(f"`{one.value}`", ", ".join(f"`{name}`" for name in FIELDS[one])) for one in Event])


EXITS = (
    (0, "done", ""),
    (1, "refused or rejected: you may not, not now, or the data broke its contract", "read the reason; settle what it names"),
    (2, "your mistake: a declaration, an argument or a setting is wrong", "mend it; trying again does not help"),
    (3, "a system did not answer, or the source may not be read at this hour", "try again later; Airflow does so by itself"),
)


def _errors() -> Lines:
    yield "Every failure is a sentence that says what happened and one that says what to do."
    yield "No message contains a value of a sensitive field: it names the field, the row's position and the rule."
    yield ""
    yield from _table(["exit code", "meaning", "what to do"], EXITS)
    yield ""
    classes = [
        one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.HubError) and one is not errors.HubError
    ]
    rows = [(f"`{one.__name__}`", one.exit_code, str(one.__doc__).split("\n")[0]) for one in classes]
    yield from _table(["error", "exit code", "meaning"], rows)


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
