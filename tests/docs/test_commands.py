"""The commands that documents mark to run do run, against a small demo city of this test."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub.settings import REPOSITORY

TUTORIALS = ("docs/tutorials/data-officer.en.md", "docs/tutorials/data-officer.zh.md")
_BLOCK = re.compile(r"^```sh run(?: exit (\d))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """Commands marked to run, and the exit code they are to end with."""

    commands: str
    code: int


def blocks(document: str) -> tuple[Block, ...]:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    return tuple(Block(commands, int(code or 0)) for code, commands in _BLOCK.findall(text))


@pytest.fixture(scope="module")
def city() -> Iterator[dict[str, str]]:
    """An environment of its own in which a small demo has run.

    In so small a city a single bad row is a large share, so some batches are held and the demo ends with 1.
    """
    place = Path(tempfile.mkdtemp(prefix="hub-docs-"))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "AIRFLOW"))}
    here = {
        "HUB_STATE": f"{place}/state",
        "HUB_KEYS": f"{place}/keys",
        "HOME": f"{place}/home",
        "PATH": f"{REPOSITORY}/.venv/bin:{os.environ['PATH']}",
    }
    environment = {**inherited, **here}
    (place / "home").mkdir()
    made = _run("hub demo --inline --scale 0.05", environment)
    assert made.returncode in {0, 1}, made.stderr
    yield environment
    _run("hub db down", environment)
    shutil.rmtree(place)


def _run(commands: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", f"set -o pipefail\n{commands}"]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=300)


def _run_in_turn(found: tuple[Block, ...], environment: dict[str, str]) -> None:
    """Run the blocks as one terminal would: what one exports, the next one sees."""
    exported = ""
    for block in found:
        checked = f"set -e\n{block.commands}" if block.code == 0 else block.commands
        ended = _run(exported + checked, environment)
        assert ended.returncode == block.code, f"{block.commands}\n{ended.stdout}\n{ended.stderr}"
        exported += "".join(f"{line}\n" for line in block.commands.splitlines() if line.startswith("export "))


@pytest.mark.campaign  # minutes: each command is a process of its own
class TestCommandsOfDocuments:
    def test_those_of_the_tutorial_run_in_turn(self, city: dict[str, str]) -> None:
        found = blocks(TUTORIALS[0])
        assert found
        _run_in_turn(found, city)

    def test_those_of_the_readme_run(self, city: dict[str, str]) -> None:
        found = blocks("README.md")
        assert found
        _run_in_turn(found, city)

    def test_those_of_the_backup_and_of_a_lost_root_run_in_turn(self, city: dict[str, str]) -> None:
        found = blocks("docs/how-to/back-up-and-restore.md")
        assert found
        _run_in_turn(found, city)
        _run("hub down", city)


def test_both_languages_of_the_tutorial_have_the_same_commands() -> None:
    english, chinese = ([(_calls(block), block.code) for block in blocks(document)] for document in TUTORIALS)
    assert english == chinese


def _calls(block: Block) -> list[str]:
    """Return the calls of the hub, without what is said in quotes: reasons are in the reader's language."""
    return [re.sub(r'".*?"', "", line) for line in block.commands.splitlines() if "hub " in line]
