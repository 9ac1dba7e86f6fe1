"""The shipped code lists, kinds and policy fit one another, the rules and the conversions."""

from pathlib import Path

import pytest
import yaml

from schemas.conversions.texts import IDENTIFIERS, NAMES
from schemas.declared import Level
from schemas.rules import RULES
from schemas.vocabulary import CodeList, Kinds, Policy, Treatment

ROOT = Path(__file__).resolve().parents[2]
CODES = sorted((ROOT / "schemas/codes").glob("*.yaml"))
KINDS = Kinds.model_validate(yaml.safe_load((ROOT / "masking/kinds.yaml").read_text(encoding="utf-8"))).kinds
POLICY = Policy.model_validate(yaml.safe_load((ROOT / "masking/policies/library.yaml").read_text(encoding="utf-8")))
TREATMENTS = {treat.kind: treat.treatment for treat in POLICY.treatments}


@pytest.mark.parametrize("path", CODES, ids=lambda path: path.stem)
def test_a_code_list_is_called_like_its_file_and_has_no_code_twice(path: Path) -> None:
    listed = CodeList.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    codes = [entry.code for entry in listed.entries]

    assert listed.codes == path.stem
    assert len(set(codes)) == len(codes)


def test_all_ethnic_groups_are_listed() -> None:
    listed = CodeList.model_validate(yaml.safe_load((ROOT / "schemas/codes/ethnic.yaml").read_text(encoding="utf-8")))

    assert [entry.code for entry in listed.entries] == [*(f"{code:02d}" for code in range(1, 57)), "81", "97", "98"]


def test_every_kind_is_treated_once() -> None:
    assert sorted(TREATMENTS) == sorted(kind.kind for kind in KINDS)
    assert len(TREATMENTS) == len(POLICY.treatments)


def test_no_sensitive_kind_is_kept_in_clear() -> None:
    assert [kind.kind for kind in KINDS if kind.level.sensitive and TREATMENTS[kind.kind] is Treatment.KEEP] == []


def test_relatives_are_sealed_and_never_tokens() -> None:
    relative = next(kind for kind in KINDS if kind.kind == "kinship_citizen_id")

    assert relative.level is Level.L4
    assert TREATMENTS["kinship_citizen_id"] is Treatment.SEAL


def test_every_token_has_a_domain_and_a_document_type() -> None:
    tokens = [kind for kind in KINDS if TREATMENTS[kind.kind] is Treatment.TOKEN]

    assert all(kind.domain and kind.document_type for kind in tokens)
    assert len({kind.document_type for kind in tokens}) == len(tokens)


def test_the_rules_of_kinds_exist_and_take_one_field_and_no_parameter() -> None:
    rules = [RULES[name] for kind in KINDS for name in kind.rules]

    assert all(rule.columns == 1 and not any(one.required for one in rule.parameters.values()) for rule in rules)


def test_the_kinds_that_conversions_name_exist() -> None:
    assert {kind.kind for kind in KINDS} >= IDENTIFIERS | NAMES
