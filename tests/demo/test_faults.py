"""What was planted in the departments' systems is what the hub's rules find there, read by the hub's connectors."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from connectors.protocol import Window
from demo import city
from demo.somebody import somebody
from hub.flows.sources import open_source
from schemas.conform import conform
from schemas.contract import Contract, Severity
from schemas.declarations import declarations
from schemas.rules import RULES, checks_of, judge

TODAY = date(2026, 9, 1)
SET_LEVEL = {"unique_key", "duplicate_subject"}  # found by the key pass and by SQL, not in the stream


@pytest.fixture(scope="module")
def summary(hub_database):
    return city.build(hub_database, city.administrator(), scale=0.02)


def found(contract: Contract) -> tuple[int, Counter[str]]:
    declared = declarations()
    checks = checks_of(contract, declared.kinds, declared.codes)
    rows, failing = 0, Counter[str]()
    with open_source(declared, contract, now=datetime.now(UTC)) as source:
        for batch in source.read([field.source_column for field in contract.fields], Window()):
            verdicts = judge(conform(batch, contract.fields, timezone="Asia/Shanghai"), checks, today=TODAY)
            rows += batch.num_rows
            for place, check in enumerate(checks):
                if check.severity is Severity.ERROR or check.rule == "mobile":
                    failing[f"{check.rule}:{check.fields[0]}"] += int((verdicts.matrix[place] == 0).sum())
    return rows, +failing


@pytest.mark.parametrize("dataset", sorted(declarations.__wrapped__().contracts))
def test_the_rules_find_exactly_what_was_planted(summary, dataset):
    rows, failing = found(declarations().contract(dataset))

    truth = summary.datasets[dataset]
    assert rows == truth.rows
    assert failing == {fault: count for fault, count in truth.faults.items() if fault.partition(":")[0] not in SET_LEVEL}


def test_every_planted_fault_names_a_rule(summary):
    assert {fault.partition(":")[0] for each in summary.datasets.values() for fault in each.faults} <= set(RULES)


def test_a_standing_city_is_left_untouched(summary, hub_database):
    files = {path: path.stat().st_mtime_ns for path in (hub_database / "demo").rglob("*") if path.is_file()}

    again = city.build(hub_database, city.administrator(), scale=0.02)

    assert again == summary
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_somebody_is_known_to_register_registry_and_insurance(summary):
    number = somebody()

    assert len(number) == 18
    assert number not in summary.label
