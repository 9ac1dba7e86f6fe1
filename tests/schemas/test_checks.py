"""What `hub check` finds: every mistake of every file at once, each with its line and a remedy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.errors import Finding
from hub.settings import REPOSITORY
from schemas.checks import check
from schemas.declarations import read_all

REGISTER = "schemas/contracts/public_security/household_register.yaml"
POPULATION = "schemas/libraries/population.yaml"
LICENSE = "schemas/libraries/license.yaml"
FOLDERS = ("connectors/sources", "schemas/contracts", "schemas/libraries")

Edit = Callable[[str, str, str], None]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the shipped declarations, to be spoiled."""
    for folder in FOLDERS:
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    (tmp_path / "catalog").mkdir()
    shutil.copy(REPOSITORY / "catalog/departments.yaml", tmp_path / "catalog")
    return tmp_path


@pytest.fixture
def replace(home: Path) -> Edit:
    """Replace one piece of one file, which must be there."""

    def edit(file: str, old: str, new: str) -> None:
        text = (home / file).read_text(encoding="utf-8")
        assert old in text
        (home / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return edit


def found(home: Path) -> list[Finding]:
    return check(read_all(home))


def line_of(home: Path, file: str, piece: str) -> int:
    lines = (home / file).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if piece in line)


def test_the_shipped_declarations_have_no_mistakes():
    assert found(REPOSITORY) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (REGISTER, "department: public_security", "departement: public_security", "`departement` is not a key of a contract"),
        (REGISTER, "version: 1", "version: one", "`version`: "),
        (REGISTER, "codes: ethnic}", "codes: tribe}", "there is no code list `tribe`"),
        (REGISTER, "level: L3, kind: household_no}", "level: L3}", "`household_no` is L3 and has no kind"),
        (REGISTER, "kind: household_no}", "kind: hausnummer}", "there is no kind `hausnummer`"),
        (REGISTER, "source: public_security_register", "source: nowhere", "there is no source `nowhere`"),
        (REGISTER, "key: [record_no]", "key: [recordno]", "the contract has no field `recordno`"),
        (REGISTER, "rule: birth_agrees", "rule: birth_agree", "birth_agree"),
        (REGISTER, "      sex_code: sex", "      sex_cod: sex", "`population.person` has no field `sex_cod`"),
        (REGISTER, "      sex_code: sex", "      sex_code: ethnic", "uses code list ethnic"),
        (REGISTER, "      sex_code: sex", "      sex_code: birth_date", "`birth_date` is date, `sex_code` is string"),
        (REGISTER, "      sex_code: sex", "      sex_code: household_no", "would keep it in clear"),
        (REGISTER, "    subject: citizen_no", "    subject: record_no", "is not of kind `citizen_id`"),
        (REGISTER, "  scope: ", "  reach: ", "`sharing.reach` is not a key"),
        (REGISTER, "mode: incremental, cursor: updated_at", "mode: incremental", "incremental sync needs `cursor`"),
        (REGISTER, "schedule: '30 1 * * *'", "schedule: nightly", "`nightly` is not a timetable"),
        (REGISTER, "schedule: '30 1 * * *'", "schedule: {cron: nightly, days: working}", "`nightly` is not a timetable"),
        (
            REGISTER,
            "schedule: '30 1 * * *'",
            "schedule: {cron: '30 1 * * *', hours: '22:00-01:00'}",
            "never falls into the hours 22:00-01:00",
        ),
        (
            REGISTER,
            "schedule: '30 1 * * *'",
            "schedule: {cron: '30 1 * * *', days: holidays}",
            "Input should be 'all', 'working' or 'rest'",
        ),
        (REGISTER, "cursor: updated_at", "cursor: birth_date", "would be kept as the watermark"),
        (POPULATION, "{rank: 2, dataset: residence_permit", "{rank: 1, dataset: residence_permit", "2 authorities of rank 1"),
        (
            POPULATION,
            "kind: household_no}",
            "kind: household_no, authority: [{rank: 1, dataset: social_insurance, basis: x}]}",
            "which has no rank",
        ),
        (POPULATION, "- {name: citizen_no,", "- {name: citizen_no, was: [full_name],", "is named elsewhere in the entity too"),
        (POPULATION, "- {name: citizen_no,", "- {name: citizen_no, type_was: date,", "`type_was` of `citizen_no` says nothing"),
        (POPULATION, "parent: person", "parent: persona", "`persona` is not an entity that can have children"),
        (POPULATION, "- {name: citizen_no,", "- {name: subject,", "`subject` is a name the hub uses itself"),
        (POPULATION, "kind: household_no}", "kind: household_no, on_erasure: row}", "nobody can be found in it"),
        (LICENSE, "kind: driver_license_no, on_erasure: row}", "kind: driver_license_no, on_erasure: clear}", "is emptied when the person"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(home: Path, replace: Edit, file: str, old: str, new: str, says: str):
    replace(file, old, new)

    findings = found(home)

    assert any(says in one.problem for one in findings), [str(one) for one in findings]
    assert all(one.remedy and one.line > 0 for one in findings)


def test_the_line_is_where_the_mistake_stands(home: Path, replace: Edit):
    replace(REGISTER, "codes: ethnic}", "codes: tribe}")

    assert [(one.file, one.line) for one in found(home)] == [(REGISTER, line_of(home, REGISTER, "codes: tribe")), *_elsewhere(home)]


def _elsewhere(home: Path) -> list[tuple[str, int]]:
    """The contribution that no longer fits its entity's code list."""
    return [(REGISTER, line_of(home, REGISTER, "ethnic_code: ethnic"))]


def test_mistakes_of_several_files_come_together(home: Path, replace: Edit):
    replace(REGISTER, "codes: ethnic}", "codes: tribe}")
    replace(POPULATION, "parent: person", "parent: persona")

    assert {one.file for one in found(home)} == {REGISTER, POPULATION}


def test_a_table_name_over_63_bytes_is_found_before_postgresql_cuts_it(home: Path):
    old, new = "standard_address.yaml", "addresses_of_the_whole_city_and_suburbs.yaml"
    contract = home / "schemas/contracts/natural_resources" / old
    text = contract.read_text(encoding="utf-8").replace("dataset: standard_address", f"dataset: {new.removesuffix('.yaml')}")
    contract.with_name(new).write_text(text, encoding="utf-8")

    assert any("bytes, PostgreSQL takes 63" in one.problem for one in found(home))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("dataset: [", "not readable as YAML"),
        ("dataset: a\ndataset: b\n", "`dataset` is written twice"),
    ],
)
def test_a_file_that_is_no_declaration_is_a_mistake_of_its_own(home: Path, text: str, says: str):
    (home / "schemas/contracts/tax/other.yaml").write_text(text, encoding="utf-8")

    assert any(says in one.problem for one in found(home))


def test_a_file_in_another_encoding_is_told_to_be_saved_as_utf_8(home: Path):
    (home / "schemas/contracts/tax/other.yaml").write_bytes("dataset: 税务登记信息".encode("gb18030"))

    assert any(one.problem == "the file is not UTF-8" for one in found(home))


def test_words_of_yaml_1_1_are_words(tmp_path: Path):
    from schemas.reading import read
    from schemas.vocabulary import Code

    (tmp_path / "code.yaml").write_text("code: no\ntitle: {zh: '01', en: on}\nsince: 2024-01-01\n", encoding="utf-8")

    code, _, findings = read(tmp_path / "code.yaml", Code, shown_as="code.yaml")

    assert findings == []
    assert code is not None
    assert (code.code, code.title.zh, code.title.en, code.since) == ("no", "01", "on", "2024-01-01")


def test_an_organisation_keeps_its_own_library_before_the_shipped_one(home: Path, replace: Edit):
    replace(POPULATION, "title: {zh: 人口库, en: Population}", "title: {zh: 本市人口库, en: Our population}")

    declared = read_all(home)

    assert declared.libraries["population"].title.zh == "本市人口库"
    assert "sex" in declared.codes  # shipped code lists are the fallback


def test_a_pick_needs_every_row(home: Path, replace: Edit):
    replace(
        "schemas/contracts/human_resources/social_insurance.yaml", "sync: {mode: full}", "sync: {mode: incremental, cursor: updated_at}"
    )

    assert any("`pick` needs all rows of a subject" in one.problem for one in found(home))


def test_a_misspelt_code_list_is_met_with_the_nearest(home: Path, replace: Edit):
    replace(REGISTER, "codes: ethnic}", "codes: etnic}")

    assert any("did you mean `ethnic`?" in one.remedy for one in found(home))
