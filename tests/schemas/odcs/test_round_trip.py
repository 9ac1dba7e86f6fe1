"""What goes out as ODCS 3.1 comes back as the same contract, and is valid by the standard's own package."""

import json
import tempfile
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft201909Validator
from open_data_contract_standard.model import OpenDataContractStandard

from hub.settings import REPOSITORY
from schemas.contract import (
    Contract,
    Contribution,
    Field,
    Freshness,
    Gate,
    KindBy,
    Mode,
    Retention,
    RuleUse,
    Severity,
    Sharing,
    SharingClass,
    Sync,
    Volume,
)
from schemas.declarations import read_all
from schemas.declared import FieldType, Level, Title
from schemas.odcs import drafts, exported
from schemas.reading import Written, read
from schemas.rules import RULES
from schemas.schedule import Days, Schedule
from schemas.writing import written

SHIPPED = read_all(REPOSITORY)
JUDGE = Draft201909Validator(json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")))
NOTHING = Written(file="", lines={})


def back(document: str) -> Contract:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "contract.odcs.yaml"
        path.write_text(document, encoding="utf-8")
        (draft,), findings = drafts(path, shown_as="contract.odcs.yaml", completion={}, completed=NOTHING)
    assert findings == []
    assert draft.findings == ()
    assert draft.notes == ()
    assert draft.contract is not None
    return draft.contract


@pytest.mark.parametrize("dataset", sorted(SHIPPED.contracts))
class TestEveryShippedContract:
    def test_is_a_valid_document_of_the_standard(self, dataset):
        document = yaml.safe_load(written(exported(SHIPPED.contracts[dataset], SHIPPED)))

        assert document["apiVersion"] == "v3.1.0"
        assert [error.message for error in JUDGE.iter_errors(document)] == []
        assert OpenDataContractStandard.model_validate(document).schema_[0].name == dataset

    def test_comes_back_as_it_was(self, dataset):
        contract = SHIPPED.contracts[dataset]

        assert back(written(exported(contract, SHIPPED))) == contract

    def test_holds_no_reader_of_the_source(self, dataset):
        assert "city_reader" not in written(exported(SHIPPED.contracts[dataset], SHIPPED))

    def test_says_by_custom_properties_only_what_the_standard_cannot(self, dataset):
        document = exported(SHIPPED.contracts[dataset], SHIPPED)

        said = {one["property"] for table in document["schema"] for one in table["customProperties"]}
        assert said <= {
            "hubTitle",
            "hubContributes",
            "hubGate",
            "hubSharing",
            "hubSync",
            "hubSheet",
            "hubQuery",
            "hubRetention",
            "hubSchedule",
            "hubAbstract",
        }
        fields = {
            one["property"] for table in document["schema"] for each in table["properties"] for one in each.get("customProperties", [])
        }
        assert fields <= {"hubKind", "hubKindBy", "hubCodes", "hubTreatment", "hubPrecision", "hubScale", "hubTitle"}


def test_a_seal_is_told_to_the_reader():
    document = exported(SHIPPED.contracts["household_register"], SHIPPED)

    treated = {
        each["name"]: one["value"]
        for each in document["schema"][0]["properties"]
        for one in each.get("customProperties", [])
        if one["property"] == "hubTreatment"
    }
    assert treated["citizen_no"] == "token"
    assert treated["full_name"] == "seal"


def test_what_another_tool_changes_is_found_after_the_import():
    document = exported(SHIPPED.contracts["road"], SHIPPED)
    table = document["schema"][0]
    table["properties"][0]["businessName"], table["properties"][0]["required"] = "道路号", True
    table["properties"][1]["classification"] = "L2"
    table["quality"] = [one for one in table["quality"] if one["id"] == "key"]
    document["slaProperties"][0]["schedule"] = "5 6 * * *"

    changed = back(written(document))

    assert changed.fields[0].title.zh == "道路号"
    assert changed.fields[1].level is Level.L2
    assert str(changed.schedule) == "5 6 * * *"


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["no", "null", "2025-01-01", "001", "1.5e3", "~", "", " x ", "a: b", "# c", "'", "{", "line\nline", "1_000", "0x1F", "|", "true"]
)
TITLES = st.builds(Title, zh=WORDS, en=WORDS)
NUMBERS = st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9).map(lambda number: round(number, 4))
FIELDS = st.builds(
    Field,
    name=NAMES,
    title=TITLES,
    type=st.sampled_from(FieldType),
    level=st.sampled_from(Level),
    column=st.none() | WORDS,
    kind=st.none() | st.sampled_from(sorted(SHIPPED.kinds)),
    kind_by=st.none() | st.builds(KindBy, field=NAMES, kinds=st.dictionaries(WORDS, NAMES, max_size=2)),
    codes=st.none() | st.sampled_from(["sex", "ethnic"]) | NAMES,
    required=st.booleans(),
    length=st.none() | st.integers(1, 500),
    precision=st.integers(1, 38),
    scale=st.integers(0, 18),
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["pattern", "among", "min", "max", "codes"]), WORDS | NUMBERS | st.lists(WORDS | NUMBERS, max_size=3), max_size=2
)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    fields = draw(st.lists(FIELDS, min_size=1, max_size=5, unique_by=lambda field: field.name))
    own = st.sampled_from([field.name for field in fields]) | NAMES
    rules = st.builds(
        RuleUse,
        rule=st.sampled_from(sorted(RULES)) | NAMES,
        fields=st.lists(own, min_size=1, max_size=3).map(tuple),
        severity=st.sampled_from(Severity),
        parameters=PARAMETERS,
    )
    given_to = st.builds(
        Contribution,
        entity=st.just("population.person"),
        subject=st.lists(own, min_size=1, max_size=3).map(tuple),
        fields=st.dictionaries(NAMES, own, max_size=3),
        pick=st.none() | own,
    )
    place = draw(st.sampled_from(["table", "query", "file"]))
    cursor = draw(st.none() | own)
    return Contract.model_validate(
        {
            "dataset": draw(NAMES),
            "department": draw(st.sampled_from(sorted(SHIPPED.departments)) | NAMES),
            "version": draw(st.integers(1, 10**6)),
            "title": draw(TITLES),
            "abstract": draw(TITLES),
            "source": draw(st.sampled_from(sorted(SHIPPED.sources)) | NAMES),
            place: draw(WORDS),
            "sheet": draw(st.none() | WORDS),
            "key": draw(st.lists(st.sampled_from([field.name for field in fields]), min_size=1, max_size=3, unique=True)),
            "fields": fields,
            "rules": draw(st.lists(rules, max_size=4)),
            "contributes": draw(st.lists(given_to, min_size=1, max_size=2)),
            "sync": Sync(mode=draw(st.sampled_from(Mode)) if cursor else Mode.FULL, cursor=cursor, late_seconds=draw(st.integers(0, 9999))),
            "schedule": draw(
                st.none()
                | st.builds(
                    Schedule,
                    cron=st.sampled_from(["0 3 * * *", "*/5 * * * *", "@daily", "whenever"]),
                    days=st.sampled_from(Days),
                    hours=st.none() | st.just("08:00-18:00"),
                )
            ),
            "gate": draw(
                st.builds(
                    Gate,
                    failing=st.floats(0, 1),
                    at_least=st.integers(1, 999),
                    deletes=st.floats(0, 1),
                    volume=st.none() | st.builds(Volume, recent=st.integers(3, 100), share=st.floats(0.01, 9)),
                    freshness=st.none() | st.builds(Freshness, field=own, hours=st.integers(1, 999), ahead_minutes=st.integers(0, 99)),
                )
            ),
            "retention": Retention(history_days=draw(st.integers(1, 9999)), quarantine_days=draw(st.integers(1, 999))),
            "sharing": Sharing(class_=SharingClass.UNCONDITIONAL, use=draw(st.none() | WORDS), legal_basis=draw(st.none() | WORDS)),
        }
    )


@settings(deadline=None, max_examples=50)
@given(contract=contracts())
def test_any_contract_comes_back_as_it_was_and_is_valid_on_the_way(contract):
    document = written(exported(contract, SHIPPED))

    assert [error.message for error in JUDGE.iter_errors(yaml.safe_load(document))] == []
    assert back(document) == contract


@settings(deadline=None, max_examples=50)
@given(contract=contracts())
def test_a_contract_as_we_write_it_is_read_as_it_was(contract, tmp_path_factory):
    path = tmp_path_factory.mktemp("contract") / "contract.yaml"
    path.write_text(written(contract.model_dump(mode="json", by_alias=True, exclude_defaults=True)), encoding="utf-8")

    again, _, findings = read(path, Contract, shown_as="contract.yaml")

    assert findings == []
    assert again == contract
