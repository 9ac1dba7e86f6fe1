"""Documents agree with the code and with one another."""

import importlib.util
import re
import subprocess
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from audit.events import Event
from hub.settings import REPOSITORY, SETTINGS
from schemas.editor import DECLARATIONS
from schemas.rules import RULES

FOLDERS = ("dags", "connectors", "schemas", "masking", "libraries", "catalog", "audit", "hub", "demo", "bench", "tests", "docs", "deploy")
REFERENCE = REPOSITORY / "docs" / "reference"
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return [file for name in listed.stdout.splitlines() if (file := REPOSITORY / name).exists()]


@cache
def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_generator", REFERENCE / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _dead_links(document: Path) -> list[str]:
    return [
        link for link in _LINK.findall(document.read_text(encoding="utf-8")) if "://" not in link and not _leads_somewhere(document, link)
    ]


def _leads_somewhere(document: Path, link: str) -> bool:
    path, _, fragment = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return False
    return not fragment or fragment in {_anchor(one.split(":")[0]) for one in _HEADING.findall(target.read_text(encoding="utf-8"))}


def test_every_link_leads_somewhere() -> None:
    dead = {str(one.relative_to(REPOSITORY)): links for one in _documents() if (links := _dead_links(one))}
    assert dead == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_says_what_lives_in_it(folder: str) -> None:
    assert (REPOSITORY / folder / "README.md").is_file()


@pytest.mark.parametrize("name", ["settings.md", "cli.md", "rules.md", "kinds.md", "declarations.md", "events.md", "errors.md"])
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == _generator().pages()[name], "run python docs/reference/generate.py"


def test_everything_there_is_stands_in_the_reference() -> None:
    pages = _generator().pages()
    assert all(f"`{one.name}`" in pages["settings.md"] for one in SETTINGS)
    assert all(f"`{name}`" in pages["rules.md"] for name in RULES)
    assert all(f"`{one.value}`" in pages["events.md"] for one in Event)
    assert all(f"`{' '.join(path)}`" in pages["cli.md"] for path, _ in _generator().commands())


def test_every_key_of_a_declaration_has_its_sentence_and_no_sentence_lacks_its_key() -> None:
    meanings = yaml.safe_load((REFERENCE / "meanings.yaml").read_text(encoding="utf-8"))
    models = {one.__name__: one for model in DECLARATIONS.values() for one in _generator().models(model)}
    declared = {name: {key for key, _ in _generator().keys(model)} for name, model in models.items()}
    assert {name: set(keys) for name, keys in meanings.items()} == declared


def test_no_document_names_a_place_of_one_machine_or_a_package_index() -> None:
    forbidden = re.compile(rf"{re.escape(str(REPOSITORY))}|/work/|/home/\w|/root/|pypi\.\w|index-url|/simple/")
    found = {str(one.relative_to(REPOSITORY)): hits for one in _documents() if (hits := forbidden.findall(one.read_text(encoding="utf-8")))}
    assert found == {}


def test_the_readme_names_only_commands_that_make_has() -> None:
    targets = set(re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`?make (\w+)`?", (REPOSITORY / "README.md").read_text(encoding="utf-8"))) - {"alone"}
    assert named <= targets


def test_decisions_have_the_four_parts() -> None:
    parts = ["Context", "Options", "Choice", "What would change our mind"]
    for page in (REPOSITORY / "docs" / "decisions").glob("*.md"):
        headings = _HEADING.findall(page.read_text(encoding="utf-8"))
        assert [one for one in headings if one in parts] == parts, page.name
