"""No sensitive value of a marked person rests anywhere but at its source, after all that can happen to a row."""

import io
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from hub import cli
from tests.flows.conftest import Row, Town
from tests.leaks.conftest import Marked, born, person
from tests.leaks.search import databases_of, dumped, search, settled


class Said:
    """Runs commands of the command line in this process and keeps what they say."""

    def __init__(self, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capture, self._patch = capture, patch
        self.texts: dict[str, str] = {}

    def __call__(self, *arguments: str, stdin: str = "") -> int:
        """Run `hub` with *arguments* and return its exit code."""
        self._patch.setattr(sys, "argv", ["hub", *arguments])
        self._patch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capture.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        out = self._capture.readouterr()
        self.texts[f"{len(self.texts)}: hub {' '.join(arguments)}"] = out.out + out.err
        return code

    @property
    def last(self) -> str:
        """What the last command said."""
        return list(self.texts.values())[-1]


def write_csv(town: Town, rows: Sequence[Row], *, encoding: str = "utf-8") -> None:
    lines = ["citizen_no,full_name,born,phone", *(",".join(value or "" for value in row) for row in rows)]
    (town.home / "permits.csv").write_bytes("\n".join(lines).encode(encoding))


def lived_through(town: Town, hub: Said, marked: Marked, keep: Callable[[str], None]) -> None:
    """Let everything happen that happens to rows: loads, changes, deletes, faults of every kind, an officer's looks."""
    first, second, third = person(marked, "r1"), person(marked, "r2"), person(marked, "r3")
    wrong_number = ("r4", marked.number("wrong number", right=False), marked.name(), "1", "1980-01-01", None, "2026-01-01 00:00:00")
    number = marked.number()
    unreadable = ("r5", number, marked.name(), "1", marked.garbage("date"), marked.garbage("phone"), marked.garbage("time"))
    no_number = ("r6", marked.garbage("number"), marked.name(), "1", None, None, None)
    doubled = [person(marked, "r7"), person(marked, "r7")]
    town.fill("police", [first, second, third, person(marked, "r8"), person(marked, "r9"), wrong_number, unreadable, no_number, *doubled])
    assert hub("sync", "register") == 0, hub.last
    keep("first load")

    changed = (second[0], second[1], marked.name("changed name"), *second[3:])
    corrected = ("r3", marked.number("corrected number"), *third[2:])
    mended = (wrong_number[0], first_of(marked), *wrong_number[2:4], born(list(marked.values.values())[-1]), *wrong_number[5:])
    town.fill("police", [first, changed, corrected, person(marked, "r8"), mended, unreadable])  # r9 is gone
    assert hub("sync", "register") == 0, hub.last

    town.fill(
        "welfare", [(first[1], marked.name("disputed name"), None), (marked.number("unanchored"), marked.name(), marked.garbage("phone"))]
    )
    assert hub("sync", "insurance") == 0, hub.last
    town.fill(
        "civil",
        [
            (marked.certificate(), first[1], changed[1], "2015-05-20"),
            (marked.certificate(), marked.garbage("number"), marked.garbage("spouse"), "x"),
        ],
    )
    assert hub("sync", "marriages") in {0, 1}, hub.last

    town.fill(
        "police", [first, *((f"h{place}", marked.number("held", right=False), marked.name(), "1", None, None, None) for place in range(8))]
    )
    assert hub("sync", "register") == 1, hub.last
    keep("held")
    held = str(town.all("SELECT max(id) AS id FROM hub.batch WHERE state = 'held' AND dataset = 'register'")[0]["id"])
    for command in (("batch", "show", held), ("batch", "show", held, "--json"), ("batch", "list"), ("quarantine", "show", "register")):
        assert hub(*command) == 0, hub.last
    assert hub("batch", "discard", held, "--reason", "the source sends it again") == 0, hub.last

    broken_files(town, hub, marked)
    an_officer_looks(hub, marked, first)


def first_of(marked: Marked) -> str:
    return marked.number("mended number")


def broken_files(town: Town, hub: Said, marked: Marked) -> None:
    row = lambda: (number := marked.number("file"), marked.name("file"), born(number), "13800000001")  # noqa: E731
    write_csv(town, [row(), row(), (marked.number("file", right=False), marked.name("file"), marked.garbage("date"), None)])
    assert hub("sync", "permits") == 0, hub.last
    write_csv(town, [row(), row()], encoding="gb18030")  # declared as UTF-8
    assert hub("sync", "permits") == 1, hub.last
    write_csv(town, [row(), (*row(), marked.garbage("column"))])  # ragged
    assert hub("sync", "permits") == 1, hub.last
    write_csv(town, [row(), (f'"{marked.number("file")}', marked.name("file"), "2000-01-01", None)])  # a quote is not closed
    assert hub("sync", "permits") == 1, hub.last
    (town.home / "permits.csv").write_bytes(
        b"citizen_no,full_name,born,phone\n" + f"{marked.number('file')},{marked.name('file')}".encode() + b"\x00\xff\xfe,,\n"
    )
    assert hub("sync", "permits") != 0, hub.last
    (town.home / "police.sqlite").rename(town.home / "police.away")
    (town.home / "police.sqlite").write_text(f"{marked.number('no database')} {marked.name('no database')}", encoding="utf-8")
    assert hub("sync", "register") != 0, hub.last
    (town.home / "police.away").replace(town.home / "police.sqlite")


def an_officer_looks(hub: Said, marked: Marked, somebody: Row) -> None:
    for identifier in (str(somebody[1]), marked.number("nobody's number"), marked.garbage("identifier"), marked.name("as identifier")):
        assert hub("explain", "population", "person", "--json", stdin=identifier + "\n") in {0, 1}, hub.last
    for command in (
        ("quarantine", "list"), ("quarantine", "list", "--json"), ("quarantine", "show", "register", "--json"), ("quarantine", "show", "permits"),
        ("library", "list"), ("library", "disputes"), ("library", "unanchored"), ("library", "versions", "population"), ("job", "list", "--json"),
    ):  # fmt: skip
        assert hub(*command) == 0, hub.last


@pytest.fixture
def hub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """The command line."""
    return Said(capsys, monkeypatch)


@pytest.fixture
def unblinded(administrator: str) -> Iterator[None]:
    """The write-ahead log without compression, which would hide values from the search (not from a thief)."""
    with psycopg.connect(administrator, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_compression = off")
        connection.execute("SELECT pg_reload_conf()")
        yield
        connection.execute("ALTER SYSTEM RESET wal_compression")
        connection.execute("SELECT pg_reload_conf()")


def test_no_marked_value_rests_outside_its_source(
    hub_database: Path, administrator: str, unblinded: None, marked_town: Town, hub: Said, tmp_path: Path
) -> None:
    marked = Marked()
    databases = databases_of(administrator)

    def keep(moment: str) -> None:
        """Keep the tables as they are now: staging of a held batch will be gone, compressed, from the files."""
        for place, data in (found for database in databases for found in dumped(database)):
            if data:
                path = tmp_path / "dumps" / moment / place.replace("/", "_")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    lived_through(marked_town, hub, marked, keep)
    settled(administrator)

    assert len(marked.values) > 60
    found = search([hub_database, tmp_path / "dumps"], databases, marked.values, texts=hub.texts)
    assert [str(one) for one in found] == []
    assert search([marked_town.home], [], marked.values) != []  # they were there all the time, at their source
    shutil.rmtree(tmp_path / "dumps")


def test_a_file_without_a_header_is_refused_without_its_first_row(marked_town: Town, hub: Said) -> None:
    marked = Marked()
    number = marked.number()
    (marked_town.home / "permits.csv").write_text(f"{number},{marked.name()},{born(number)},13800000001\n", encoding="utf-8")

    assert hub("sync", "permits") != 0

    assert search([], [], marked.values, texts=hub.texts) == []


def test_the_same_search_finds_what_somebody_lets_slip(hub_database: Path, administrator: str, marked_town: Town) -> None:
    marked = Marked()
    slipped = {"log": marked.number(), "reason": marked.name(), "details": marked.garbage("detail")}
    log = hub_database / "logs" / "slipped.log"
    log.write_text(f"could not convert {slipped['log']!r}", encoding="utf-16")
    with psycopg.connect(administrator, dbname="hub", autocommit=True) as connection:
        connection.execute(
            "INSERT INTO hub.job (dataset, paused, changed_by, reason) VALUES ('slipped', true, 'test', %s)", [slipped["reason"]]
        )
        connection.execute(
            "INSERT INTO audit.entry (event, actor, details) VALUES ('slipped', 'test', jsonb_build_object('why', %s::text))",
            [slipped["details"]],
        )
        settled(administrator)
        found = search([hub_database], databases_of(administrator), marked.values)
        connection.execute("DELETE FROM hub.job WHERE dataset = 'slipped'")
    log.unlink()

    places = {(one.value.split()[0], one.place.split("/")[-1] if one.place.endswith("log") else one.place.split(":")[0]) for one in found}
    assert {("citizen", "slipped.log"), ("name", "hub"), ("detail", "hub")} <= places
    assert any("/postgres/data/" in one.place for one in found)
