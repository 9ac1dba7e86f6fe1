"""A document of another tool: taken for what it says, asked for what it lacks, and never half written."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hub.errors import Mistake, Mistakes
from hub.flows import contracts
from hub.settings import REPOSITORY, settings
from schemas.checks import check
from schemas.declarations import declarations, read_all

DOCUMENT = Path(__file__).with_name("foreign.odcs.yaml")
LIBRARY = """
library: labour
title: {zh: 就业, en: Labour}
entities:
  - entity: market
    title: {zh: 市场, en: Market}
    form: collected
    subject: [division_code, period]
    fields:
      - {name: division, title: {zh: 区划, en: Division}, type: string, level: L1, kind: division_code}
      - {name: seekers, title: {zh: 求职人数, en: Seekers}, type: integer, level: L2}
"""
COMPLETION = """
job_market:
  title: {zh: 就业市场, en: Job market}
  fields:
    district_code: {kind: division_code, title: {zh: 区划}}
    month: {kind: period}
  contributes:
    - {entity: labour.market, subject: [district_code, month], fields: {division: district_code, seekers: seekers}}
  sharing: {class: unconditional}
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    for folder in ("connectors/sources", "schemas/contracts", "catalog"):
        shutil.copytree(REPOSITORY / folder, home / folder)
    (home / "schemas" / "libraries").mkdir()
    (home / "schemas" / "libraries" / "labour.yaml").write_text(LIBRARY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUB_HOME", str(home))
        settings.cache_clear()
        declarations.cache_clear()
        yield home
    settings.cache_clear()
    declarations.cache_clear()


def files(home: Path) -> dict[str, str]:
    return {str(path.relative_to(home)): path.read_text(encoding="utf-8") for path in sorted(home.rglob("*")) if path.is_file()}


def changed(tmp_path: Path, **changes: object) -> Path:
    """The foreign document, with the parts at some paths (a__0__b) replaced, or removed by None."""
    document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    document["contractCreatedTs"] = "2025-11-15T02:59:43Z"
    for path, value in changes.items():
        *way, last = [int(part) if part.isdigit() else part for part in path.split("__")]
        inner = document
        for part in way:
            inner = inner[part]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    made = tmp_path / "changed.odcs.yaml"
    made.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return made


def completed(tmp_path: Path, text: str = COMPLETION) -> Path:
    path = tmp_path / "completion.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(*documents: Path, **options: object) -> list[tuple[int, str]]:
    with pytest.raises(Mistakes) as raised:
        contracts.take_in(documents, **options)
    return [(one.line, one.problem) for one in raised.value.findings]


def test_what_it_lacks_is_named_at_once_with_its_line_and_nothing_is_written(home):
    before = files(home)

    found = mistakes(DOCUMENT)

    assert found == [(13, "`job_market` still needs `sharing.class`"), (32, "`job_market` still needs `contributes`")]
    assert files(home) == before


def test_completed_it_is_a_contract_of_ours_that_the_check_accepts(home, tmp_path):
    (made,) = contracts.take_in([DOCUMENT], complete=completed(tmp_path))

    declared = read_all(home)
    contract = declared.contracts["job_market"]
    assert check(declared) == []
    assert made.file == home / "schemas/contracts/human_resources/job_market.yaml"
    assert (contract.version, contract.table, contract.source, str(contract.schedule)) == (
        2,
        "job_market_v2",
        "civil_affairs_files",
        "0 4 2 * *",
    )
    assert contract.key == ("district_code", "month")
    assert contract.retention.history_days == 730
    assert contract.sharing.use == "Planning of placement offices."
    assert {field.name: (field.type.value, field.level.value, field.source_column) for field in contract.fields} == {
        "district_code": ("string", "L1", "district_code"),
        "month": ("string", "L1", "month"),
        "seekers": ("integer", "L2", "seekers"),
        "ratio": ("decimal", "L1", "ratio"),
        "sector": ("string", "L1", "sector"),
    }
    ratio = contract.field("ratio")
    assert (ratio.precision, ratio.scale, contract.field("district_code").length) == (8, 3, 6)
    assert {(use.rule, use.fields, use.severity.value) for use in contract.rules} == {
        ("matches", ("district_code",), "error"),
        ("length", ("district_code",), "error"),
        ("range", ("seekers",), "error"),
        ("required", ("seekers",), "warning"),
        ("one_of", ("sector",), "error"),
    }


def test_what_was_left_out_is_said_with_its_line(home, tmp_path):
    (made,) = contracts.take_in([DOCUMENT], complete=completed(tmp_path))

    said = [note.partition(": ")[2] for note in made.notes]
    assert all(note.startswith(f"{DOCUMENT}:") for note in made.notes)
    for expected in (
        "several servers",
        "`format` of `seekers`",
        "share of rows",
        "rowCount",
        "type text",
        "type sql",
        "type custom",
        "`latency`",
    ):
        assert sum(expected in note for note in said) == 1, expected
    assert len(said) == 8


def test_a_standing_contract_is_replaced_only_when_asked(home, tmp_path):
    contracts.take_in([DOCUMENT], complete=completed(tmp_path))
    before = files(home)

    assert [problem for _, problem in mistakes(DOCUMENT, complete=completed(tmp_path))] == ["`job_market` has a contract already"]
    assert files(home) == before
    (again,) = contracts.take_in([DOCUMENT], complete=completed(tmp_path), replace=True)
    assert again.replaced
    assert files(home) == before


def test_a_dry_run_writes_nothing(home, tmp_path):
    before = files(home)

    contracts.take_in([DOCUMENT], complete=completed(tmp_path), dry_run=True)

    assert files(home) == before


def test_of_several_documents_all_are_taken_or_none(home, tmp_path):
    before = files(home)
    broken = changed(tmp_path, schema__0__name="other", schema__0__properties__0__logicalType="array")

    assert mistakes(DOCUMENT, broken, complete=completed(tmp_path))
    assert files(home) == before


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"apiVersion": "v4.0.0"}, "`apiVersion` is none of"),
        ({"version": 2}, "`version` is not of type string"),
        ({"kind": None}, "lacks `kind`"),
        ({"surprise": 1}, "a key the standard does not know"),
        ({"schema__0__properties__2__quality__0__metric": "magic"}, "is none of: nullValues"),
        ({"schema": []}, "describes no table"),
        (
            {"schema__0__properties__2__logicalType": "array", "schema__0__properties__2__logicalTypeOptions": {}},
            "still needs `fields.seekers.type`",
        ),
        (
            {f"schema__0__properties__2__{key}": None for key in ("logicalType", "physicalType", "logicalTypeOptions")},
            "still needs `fields.seekers.type`",
        ),
        ({"schema__0__properties__2__classification": "restricted"}, "still needs `fields.seekers.level`"),
        ({"schema__0__properties__2__classification": "L3"}, "is L3 and has no kind"),
        ({"team": None}, "still needs `department`"),
        ({"team__name": "Labour Insights"}, "department"),
        ({"servers": None}, "still needs `source`"),
        ({"servers__0__server": "production"}, "there is no source `production`"),
        ({"description": None, "schema__0__description": None}, "still needs `abstract`"),
        ({"schema__0__properties__1__name": "月份"}, "fields.1.name"),
        ({"schema__0__name": "standard_address"}, "is a dataset of natural_resources"),
        ({"schema__0__properties__0__primaryKey": False, "schema__0__properties__1__primaryKey": False}, "still needs `key`"),
        ({"slaProperties__2__schedule": "0 4 2 * 99"}, None),
    ],
)
def test_every_mistake_is_named_before_anything_is_written(home, tmp_path, changes, problem):
    before = files(home)
    document = changed(tmp_path, **changes)
    completion = completed(
        tmp_path, COMPLETION + COMPLETION.replace("job_market:", "standard_address:") if "schema__0__name" in changes else COMPLETION
    )
    if problem is None:
        assert contracts.take_in([document], complete=completion)
        return

    found = mistakes(document, complete=completion)

    assert any(problem in one for _, one in found), found
    assert all(line > 1 or "lacks" in one or "does not know" in one or "no table" in one or "apiVersion" in one for line, one in found), (
        found
    )
    assert files(home) == before


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "just words"])
def test_what_is_no_document_is_a_mistake_and_no_crash(home, tmp_path, text):
    path = tmp_path / "none.yaml"
    path.write_text(text, encoding="utf-8")

    assert mistakes(path)


def test_a_value_of_the_document_is_never_quoted(home, tmp_path):
    document = changed(tmp_path, schema__0__properties__0__examples="11010519491231002X", price="13800000000")

    with pytest.raises(Mistakes) as raised:
        contracts.take_in([document])

    assert "11010519491231002X" not in str(raised.value)
    assert "13800000000" not in str(raised.value)


def test_mistakes_in_what_completes_it_are_at_its_own_lines(home, tmp_path):
    completion = completed(
        tmp_path, COMPLETION.replace("month: {kind", "moon: {kind").replace("class: unconditional", "class: secret") + "elsewhere: {}\n"
    )

    with pytest.raises(Mistakes) as raised:
        contracts.take_in([DOCUMENT], complete=completion)

    here = {one.problem: one.line for one in raised.value.findings if one.file == str(completion)}
    assert here["the document has no field `moon`"] == 6
    assert here["no document has a table `elsewhere`"] == 10
    assert any("sharing.class" in problem and line == 9 for problem, line in here.items())


def test_a_contribution_to_what_is_not_there_is_found_by_the_check_of_the_whole(home, tmp_path):
    found = mistakes(DOCUMENT, complete=completed(tmp_path, COMPLETION.replace("labour.market", "labour.markets")))

    assert [(line, problem) for line, problem in found] == [(8, "there is no entity `labour.markets`")]


def test_a_missing_file_is_said(home, tmp_path):
    with pytest.raises(Mistake, match="no file"):
        contracts.take_in([tmp_path / "nowhere.yaml"])


def test_all_shipped_contracts_go_out_and_come_home(home, tmp_path):
    before = read_all(home)
    written = contracts.export_to(tmp_path / "out", [], everything=True)
    shutil.rmtree(home / "schemas" / "contracts")
    declarations.cache_clear()

    made = contracts.take_in(written)

    after = read_all(home)
    assert after.contracts == before.contracts
    assert check(after) == []
    assert {one.dataset for one in made} == set(before.contracts)
    assert not any(one.replaced for one in made)
    assert [one.notes for one in made] == [()] * len(made)


@pytest.mark.parametrize(("datasets", "everything"), [([], False), (["road"], True), (["nothing"], False)])
def test_what_is_to_go_out_is_named_once(home, datasets, everything):
    with pytest.raises(Mistake):
        contracts.export(datasets, everything=everything)
