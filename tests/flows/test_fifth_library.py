"""A library the hub has never heard of, carried by declaration files alone: nothing here but YAML, a source, and questions."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.database.engine import engine
from hub.errors import Rejected
from hub.flows import bases, explaining, keys, sync
from hub.settings import settings
from libraries.changes import changes, state_at
from libraries.layout import layout_of
from schemas.checks import check
from schemas.declarations import declarations, read_all

FILES = {
    "catalog/departments.yaml": """
departments:
  - {department: bureau, title: {zh: 统计局, en: Statistics}, credit_code: 11100000000013338W}
  - {department: treasury, title: {zh: 财政局, en: Finance}, credit_code: 11100000000013338W}
""",
    "masking/kinds/economy.yaml": """
kinds:
  - {kind: series_code, title: {zh: 指标代码, en: Code of a series}, level: L1}
""",
    "schemas/codes/series.yaml": """
codes: series
title: {zh: 指标, en: Series}
standard: local
entries:
  - {code: gdp, title: {zh: 地区生产总值, en: Gross regional product}}
  - {code: revenue, title: {zh: 一般公共预算收入, en: General public budget revenue}, since: 2015}
  - {code: budget, title: {zh: 地方财政预算内收入, en: Local budgetary revenue}, until: 2015}
""",
    "schemas/libraries/economy.yaml": """
library: economy
title: {zh: 宏观经济库, en: Macro-economy}
domain: economy
entities:
  - entity: observation
    title: {zh: 指标数据, en: Observation}
    form: composed
    subject: [division_code, series_code, period]
    exists_by: [yearbook]
    authority:
      - {rank: 2, dataset: yearbook, basis: 统计法}
      - {rank: 1, dataset: accounts, basis: 预算法}
    fields:
      - {name: division, title: {zh: 区划, en: Division}, type: string, level: L1, kind: division_code, indexed: true}
      - {name: series, title: {zh: 指标, en: Series}, type: string, level: L1, kind: series_code, codes: series}
      - {name: period, title: {zh: 期间, en: Period}, type: string, level: L1, kind: period}
      - {name: value, title: {zh: 数值, en: Value}, type: decimal, level: L1}
  - entity: revision
    title: {zh: 修订, en: Revision}
    form: collected
    parent: observation
    subject: [division_code, series_code, period]
    fields:
      - {name: edition, title: {zh: 版次, en: Edition}, type: integer, level: L1}
      - {name: value, title: {zh: 数值, en: Value}, type: decimal, level: L1}
""",
    "connectors/sources/bureau.yaml": """
source: bureau
department: bureau
title: {zh: 统计库, en: Statistics}
connector: sqlite
path: HOME/economy.sqlite
""",
    "connectors/sources/treasury.yaml": """
source: treasury
department: treasury
title: {zh: 财政库, en: Accounts}
connector: sqlite
path: HOME/economy.sqlite
""",
    "schemas/contracts/bureau/yearbook.yaml": """
dataset: yearbook
department: bureau
version: 1
title: {zh: 年鉴, en: Yearbook}
abstract: {zh: 年鉴, en: Yearbook}
source: bureau
table: yearbook
key: [number]
fields:
  - {name: number, title: {zh: 序号, en: Number}, type: integer, level: L1, required: true}
  - {name: division, title: {zh: 区划, en: Division}, type: string, level: L1, kind: division_code, required: true}
  - {name: series, title: {zh: 指标, en: Series}, type: string, level: L1, kind: series_code, codes: series, required: true}
  - {name: period, title: {zh: 期间, en: Period}, type: string, level: L1, kind: period, required: true}
  - {name: value, title: {zh: 数值, en: Value}, type: decimal, level: L1, scale: 2}
rules:
  - {rule: code_in_force, fields: [series, period], parameters: {codes: series}}
contributes:
  - {entity: economy.observation, subject: [division, series, period], fields: {division: division, series: series, period: period, value: value}}
gate: {failing: 0.6, deletes: 0.6}
sharing: {class: unconditional}
""",
    "schemas/contracts/bureau/editions.yaml": """
dataset: editions
department: bureau
version: 1
title: {zh: 版次, en: Editions}
abstract: {zh: 版次, en: Editions}
source: bureau
table: editions
key: [division, series, period, edition]
fields:
  - {name: division, title: {zh: 区划, en: Division}, type: string, level: L1, kind: division_code, required: true}
  - {name: series, title: {zh: 指标, en: Series}, type: string, level: L1, kind: series_code, required: true}
  - {name: period, title: {zh: 期间, en: Period}, type: string, level: L1, kind: period, required: true}
  - {name: edition, title: {zh: 版次, en: Edition}, type: integer, level: L1, required: true}
  - {name: value, title: {zh: 数值, en: Value}, type: decimal, level: L1, scale: 2}
rules:
  - {rule: reference, fields: [division, series, period], severity: warning, parameters: {entity: economy.observation}}
contributes:
  - {entity: economy.revision, subject: [division, series, period], fields: {edition: edition, value: value}}
gate: {failing: 0.6, deletes: 0.6}
sharing: {class: unconditional}
""",
    "schemas/contracts/treasury/accounts.yaml": """
dataset: accounts
department: treasury
version: 1
title: {zh: 决算, en: Accounts}
abstract: {zh: 决算, en: Accounts}
source: treasury
table: accounts
key: [division, series, period]
fields:
  - {name: division, title: {zh: 区划, en: Division}, type: string, level: L1, kind: division_code, required: true}
  - {name: series, title: {zh: 指标, en: Series}, type: string, level: L1, kind: series_code, codes: series, required: true}
  - {name: period, title: {zh: 期间, en: Period}, type: string, level: L1, kind: period, required: true}
  - {name: value, title: {zh: 数值, en: Value}, type: decimal, level: L1, scale: 2}
contributes:
  - {entity: economy.observation, subject: [division, series, period], fields: {value: value}}
gate: {failing: 0.6, deletes: 0.6}
sharing: {class: unconditional}
""",
}
TABLES = {
    "yearbook": "number INTEGER, division TEXT, series TEXT, period TEXT, value TEXT",
    "editions": "division TEXT, series TEXT, period TEXT, edition INTEGER, value TEXT",
    "accounts": "division TEXT, series TEXT, period TEXT, value TEXT",
}
GDP_2023, GDP_2024 = (1, "110101", "gdp", "2023", "3675.5"), (2, "110101", "gdp", "2024", "3812.1")
REVENUE = (3, "110102", "revenue", "2024-Q1", "98")


class Economy:
    def __init__(self, home: Path) -> None:
        self.home = home

    def fill(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        with sqlite3.connect(self.home / "economy.sqlite") as database:
            database.execute(f"DELETE FROM {table}")
            database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(TABLES[table].split(',')))})", rows)
        database.close()

    def sync(self, dataset: str) -> sync.Published:
        return sync.sync(dataset, started_by="test")

    def all(self, query: str) -> list[tuple[object, ...]]:
        with engine("hub_owner").connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def observations(self, relation: str = "economy.observation") -> list[tuple[str, ...]]:
        return [
            tuple(map(str, row))
            for row in self.all(f"SELECT division, series, period, trim_scale(value) FROM {relation} o ORDER BY 1, 2, 3")
        ]


@pytest.fixture
def economy(hub_database: Path, tmp_path: Path, forget) -> Iterator[Economy]:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("HOME", str(tmp_path)), encoding="utf-8")
    with sqlite3.connect(tmp_path / "economy.sqlite") as database:
        for table, columns in TABLES.items():
            database.execute(f"CREATE TABLE {table} ({columns})")
    database.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUB_HOME", str(tmp_path))
        settings.cache_clear()
        declarations.cache_clear()
        keys.keyring.cache_clear()
        keys.ensure_keys()
        forget()
        bases.applied(by="test")
        yield Economy(tmp_path)
    settings.cache_clear()
    declarations.cache_clear()


def test_the_files_are_without_mistake_and_the_tables_agree(economy):
    assert check(read_all(economy.home)) == []
    assert bases.planned() == ()


def test_a_first_load_and_a_second_without_change(economy):
    economy.fill("yearbook", [GDP_2023, GDP_2024, REVENUE])

    first, second = economy.sync("yearbook"), economy.sync("yearbook")

    assert first.versions == {"economy": 2}
    assert second.versions == {}
    assert economy.observations() == [
        ("110101", "gdp", "2023", "3675.5"),
        ("110101", "gdp", "2024", "3812.1"),
        ("110102", "revenue", "2024-Q1", "98"),
    ]


def test_two_rows_for_one_division_indicator_and_period_are_quarantined(economy):
    economy.fill("yearbook", [GDP_2023, GDP_2024, (9, *GDP_2024[1:4], "1.00"), REVENUE])

    economy.sync("yearbook")

    assert economy.all("SELECT DISTINCT checks FROM hub.quarantine") == [(["division.duplicate_subject"],)]
    assert [row[:3] for row in economy.observations()] == [("110101", "gdp", "2023"), ("110102", "revenue", "2024-Q1")]


def test_a_row_that_differs_in_one_part_of_the_key_is_another_subject(economy):
    economy.fill("yearbook", [GDP_2024, (8, "110102", *GDP_2024[2:]), (9, *GDP_2024[1:3], "2024-S1", "1.00")])

    economy.sync("yearbook")

    assert economy.all("SELECT count(*), count(DISTINCT subject) FROM economy.observation") == [(3, 3)]


def test_a_code_outside_its_years_and_a_broken_period_are_quarantined(economy):
    economy.fill("yearbook", [GDP_2023, GDP_2024, (7, "110101", "budget", "2016", "5"), (8, "110101", "gdp", "2024-13", "5")])

    economy.sync("yearbook")

    assert economy.all("SELECT unnest(checks) FROM hub.quarantine ORDER BY 1") == [("period.period",), ("series.code_in_force",)]


def test_another_departments_word_counts_where_it_has_the_authority_and_is_a_dispute(economy):
    economy.fill("yearbook", [GDP_2024, REVENUE])
    economy.fill("accounts", [(*REVENUE[1:4], "99.1"), ("110102", "revenue", "2030", "7")])
    economy.sync("yearbook")
    economy.sync("accounts")

    assert [row[3] for row in economy.observations()] == ["3812.1", "99.1"]
    assert [(one.field, one.stands, one.differs, one.subjects) for one in bases.all_disputes("economy")] == [
        ("value", "accounts", "yearbook", 1)
    ]
    assert [(one.dataset, one.rows) for one in bases.all_unanchored("economy")] == [("accounts", 1)]


def test_a_corrected_figure_is_a_change_and_the_older_version_stays_as_it_was(economy):
    economy.fill("yearbook", [GDP_2023, GDP_2024])
    economy.sync("yearbook")
    economy.fill("yearbook", [GDP_2023, (*GDP_2024[:4], "3900"), REVENUE])
    economy.sync("yearbook")
    layout = layout_of(declarations(), "economy.observation")

    with engine("hub_reader").connect() as connection:
        earlier, feed = state_at(connection, layout, 2), changes(connection, layout, after=2, until=3)

    assert [row[3] for row in economy.observations(f"({earlier})")] == ["3675.5", "3812.1"]
    assert economy.all(f"SELECT change, series FROM ({feed}) f ORDER BY 1") == [("insert", "revenue"), ("update", "gdp")]
    assert bases.changed("economy.observation", after=2, until=None) == (3, {"insert": 1, "update": 1})


def test_children_of_one_period_follow_it_and_a_reference_to_none_is_counted(economy):
    economy.fill("yearbook", [GDP_2024])
    economy.fill("editions", [(*GDP_2024[1:4], 1, "3700"), (*GDP_2024[1:4], 2, "3812.1"), ("110101", "gdp", "1999", 1, "1")])
    economy.sync("yearbook")

    economy.sync("editions")

    joined = "SELECT r.edition, trim_scale(r.value)::text FROM economy.revision r JOIN economy.observation o USING (subject) ORDER BY 1"
    assert economy.all(joined) == [(1, "3700"), (2, "3812.1")]
    assert economy.all("SELECT judged, failing FROM hub.batch_check WHERE rule = 'reference'") == [(3, 1)]
    assert [(one.entity, one.rows) for one in bases.all_unanchored("economy")] == [("revision", 1)]


def test_a_row_without_a_part_of_its_key_is_quarantined_and_a_batch_of_them_is_held(economy):
    economy.fill("yearbook", [(1, "110101", "gdp", None, "1"), (2, None, "gdp", "2024", "1")])

    with pytest.raises(Rejected, match="held"):
        economy.sync("yearbook")

    assert economy.observations() == []


def test_where_a_figure_comes_from_is_explained_by_its_whole_key(economy):
    economy.fill("yearbook", [REVENUE])
    economy.fill("accounts", [(*REVENUE[1:4], "99.1")])
    economy.sync("yearbook")
    economy.sync("accounts")

    _, found = explaining.explain("economy", "observation", "110102 | revenue | 2024-q1", by="test")

    assert [(one.dataset, one.shown, one.stands) for one in found if one.field.name == "value"] == [
        ("accounts", "99.1", True),
        ("yearbook", "98", False),
    ]


@pytest.mark.parametrize(
    ("file", "written", "instead", "problem"),
    [
        (
            "schemas/contracts/treasury/accounts.yaml",
            "subject: [division, series, period]",
            "subject: division",
            "by 3 value(s), and 1 field(s)",
        ),
        (
            "schemas/contracts/treasury/accounts.yaml",
            "subject: [division, series, period]",
            "subject: [series, division, period]",
            "not of kind",
        ),
        (
            "schemas/libraries/economy.yaml",
            "[division_code, series_code, period]\n    exists",
            "[citizen_id, period]\n    exists",
            "names a person",
        ),
        ("masking/kinds/economy.yaml", "kind: series_code", "kind: citizen_id", "declared already"),
        ("schemas/codes/series.yaml", "until: 2015", "until: soon", "until"),
    ],
)
def test_a_key_of_several_parts_is_checked_before_anything_runs(economy, file, written, instead, problem):
    path = economy.home / file
    path.write_text(path.read_text(encoding="utf-8").replace(written, instead), encoding="utf-8")

    assert any(problem in one.problem for one in check(read_all(economy.home)))
