"""What the folders promise one another, and the machine they share with other distributions."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

from importlinter.cli import lint_imports

from hub.settings import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
PEERS = {"dlt"}  # what `bench` compares with, in an environment of its own
OURS = PROJECT["tool"]["importlinter"]["root_packages"]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed(*lists: list[str]) -> set[str]:
    return {_normal(re.split(r"[\[<>=]", one)[0]) for listed in lists for one in listed}


def _imported(folder: str) -> dict[str, str]:
    """Each top-level module that *folder* imports, with one file that does."""
    found: dict[str, str] = {}
    for file in sorted((REPOSITORY / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            found |= {name.split(".")[0]: str(file.relative_to(REPOSITORY)) for name in names}
    return found


def _unlisted(folders: list[str], listed: set[str]) -> dict[str, str]:
    brought = packages_distributions()
    known = {*sys.stdlib_module_names, *OURS, *PEERS, "tests", "airflow"}  # apache-airflow holds no code: it pins those that bring it
    return {
        module: file
        for folder in folders
        for module, file in _imported(folder).items()
        if module not in known and not listed & {_normal(name) for name in brought.get(module, ())}
    }


def test_layers_and_contracts_hold():
    assert lint_imports(str(REPOSITORY / "pyproject.toml"), no_cache=True, no_logo=True) == 0


def test_every_folder_with_code_is_under_the_contracts():
    folders = {file.parent.name for file in REPOSITORY.glob("*/__init__.py")}
    assert folders == set(OURS)


def test_nobody_else_brings_a_module_of_our_names():
    ours = _normal(PROJECT["project"]["name"])
    others = {name: {_normal(one) for one in packages_distributions().get(name, ())} - {ours} for name in OURS}
    assert {name: brought for name, brought in others.items() if brought} == {}


def test_every_imported_distribution_is_listed():
    assert _unlisted(OURS, _listed(PROJECT["project"]["dependencies"])) == {}


def test_every_distribution_that_tests_import_is_listed():
    assert _unlisted(["tests", "docs"], _listed(PROJECT["project"]["dependencies"], PROJECT["dependency-groups"]["dev"])) == {}


def test_the_lock_names_no_index_and_hashes_everything():
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9].*$", lock, re.MULTILINE)
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==\S+( ; .+)? \\", pin)] == []
    assert "://" not in lock
    assert "--index" not in lock


def test_help_imports_nothing_heavy():
    code = (
        "import contextlib, io, json, sys\n"
        "sys.argv = ['hub', '--help']\n"
        "from hub.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):\n"
        "    main()\n"
        "assert 'library' in shown.getvalue()\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    heavy = {"pyarrow", "numpy", "pandas", "great_expectations", "airflow", "sqlalchemy", "psycopg"}
    assert set(json.loads(printed)) & heavy == set()
