"""The checks of a contract, the mistakes in its rules, and the verdicts on a batch."""

from datetime import date

import pyarrow as pa
import pytest

from schemas.conform import conform
from schemas.contract import Contract, Contribution, Field, KindBy, RuleUse, Severity, Sharing, SharingClass
from schemas.declared import Title
from schemas.rules import checks_of, judge, mistakes_of, set_check
from schemas.rules.checks import FAILS, HOLDS, NOT_JUDGED, Check
from schemas.vocabulary import Code, CodeList, Kind

TODAY = date(2026, 8, 1)
TITLE = Title(zh="字段", en="field")
KINDS = {
    "citizen_id": Kind(kind="citizen_id", title=TITLE, level="L3", rules=("citizen_number", "citizen_age_plausible")),
    "credit_code": Kind(kind="credit_code", title=TITLE, level="L1", rules=("credit_code",)),
    "mobile": Kind(kind="mobile", title=TITLE, level="L3", rules=("mobile",)),
}
CODES = {
    "sex": CodeList(codes="sex", title=TITLE, standard="GB/T 2261.1", entries=(Code(code="1", title=TITLE), Code(code="2", title=TITLE)))
}


def field(name: str, type_: str = "string", **more: object) -> Field:
    """Return a field called *name*."""
    return Field(name=name, title=Title(zh=f"{name}字段", en=name), type=type_, level="L1", **more)


def contract(*fields: Field, rules: tuple[RuleUse, ...] = (), key: tuple[str, ...] = ()) -> Contract:
    """Return a contract with these fields and rules."""
    return Contract(
        dataset="register", department="office", version=1, title=TITLE, abstract=TITLE, source="system", table="t",
        key=key or (fields[0].name,), fields=fields, rules=rules,
        contributes=(Contribution(entity="population.person", subject=fields[0].name),),
        sharing=Sharing(class_=SharingClass.UNCONDITIONAL),
    )  # fmt: skip


def ids(*fields: Field, rules: tuple[RuleUse, ...] = ()) -> list[str]:
    """Return the ids of the checks of such a contract, without those of its key."""
    return [check.id for check in checks_of(contract(*fields, rules=rules), KINDS, CODES)][:-2]


class TestChecksOfAContract:
    def test_a_plain_text_field_implies_that_it_can_be_read(self) -> None:
        assert ids(field("note")) == ["note.readable"]

    def test_a_field_implies_what_it_declares(self) -> None:
        assert ids(field("sex", codes="sex", required=True, length=1), field("born", "date")) == [
            "sex.readable",
            "sex.required",
            "sex.in_codes",
            "sex.length",
            "born.readable",
        ]

    def test_a_kind_brings_its_rules_with_their_own_severity(self) -> None:
        checks = checks_of(contract(field("no", kind="citizen_id")), KINDS, CODES)

        assert [(check.id, check.severity) for check in checks] == [
            ("no.readable", Severity.ERROR),
            ("no.citizen_number", Severity.ERROR),
            ("no.citizen_age_plausible", Severity.WARNING),
            ("no.null_key", Severity.ERROR),
            ("no.unique_key", Severity.ERROR),
        ]

    def test_a_stated_rule_replaces_the_implied_one(self) -> None:
        use = RuleUse(rule="mobile", fields=("tel",), severity=Severity.ERROR)
        checks = checks_of(contract(field("no"), field("tel", kind="mobile"), rules=(use,)), KINDS, CODES)

        assert [check.severity for check in checks if check.rule == "mobile"] == [Severity.ERROR]

    def test_two_uses_of_one_rule_have_two_ids(self) -> None:
        uses = tuple(RuleUse(rule="matches", fields=("a",), parameters={"pattern": one}) for one in ("x", "y"))

        assert ids(field("a"), rules=uses) == ["a.readable", "a.matches", "a.matches_2"]

    def test_a_title_speaks_both_languages(self) -> None:
        check = checks_of(contract(field("tel", kind="mobile")), KINDS, CODES)[1]

        assert check.title.zh == "tel字段:移动电话号码格式正确"
        assert check.title.en == "tel: The mobile number has the right form"

    def test_the_code_list_is_found_by_its_name(self) -> None:
        use = RuleUse(rule="in_codes", fields=("a",), parameters={"codes": "sex"})
        checks = checks_of(contract(field("a"), rules=(use,)), KINDS, CODES)

        assert checks[1].parameters == {"codes": CODES["sex"]}


def judged(fields: tuple[Field, ...], rows: dict[str, list[object]], **more: object) -> dict[str, list[int]]:
    """Return the verdicts on *rows* by check id."""
    made = contract(*fields, **more)
    checks = checks_of(made, KINDS, CODES)
    verdicts = judge(conform(pa.record_batch(rows), fields, timezone="Asia/Shanghai"), checks, today=TODAY)
    return {check.id: verdicts[check.id].tolist() for check in checks}


class TestVerdicts:
    def test_a_kind_by_field_is_judged_as_the_kind_of_its_row(self) -> None:
        holder = field("holder", kind_by=KindBy(field="type", kinds={"001": "credit_code", "111": "citizen_id"}))
        rows = {
            "holder": ["91350100M000100Y43", "11010519491231002X", "11010519491231002X", "x", None],
            "type": ["001", "111", "001", "999", "111"],
        }

        verdicts = judged((holder, field("type")), rows)

        assert verdicts["holder.kind_known"] == [HOLDS, HOLDS, HOLDS, FAILS, NOT_JUDGED]
        assert verdicts["holder.credit_code"] == [HOLDS, NOT_JUDGED, FAILS, NOT_JUDGED, NOT_JUDGED]
        assert verdicts["holder.citizen_number"] == [NOT_JUDGED, HOLDS, NOT_JUDGED, NOT_JUDGED, NOT_JUDGED]

    def test_an_unreadable_value_fails_once(self) -> None:
        verdicts = judged((field("born", "date", required=True),), {"born": ["2000-02-30", "2000-02-29", ""]})

        assert verdicts["born.readable"] == [FAILS, HOLDS, NOT_JUDGED]
        assert verdicts["born.required"] == [NOT_JUDGED, HOLDS, FAILS]

    def test_rules_about_sets_take_the_verdicts_they_are_given(self) -> None:
        made = contract(field("a"))
        checks = (*checks_of(made, KINDS, CODES), set_check("duplicate_subject", ("a",), contract=made))
        conformed = conform(pa.record_batch({"a": ["x", "y"]}), made.fields, timezone="Asia/Shanghai")

        verdicts = judge(conformed, checks, today=TODAY, supplied={"a.unique_key": pa.array([True, False])})

        assert verdicts["a.unique_key"].tolist() == [HOLDS, FAILS]
        assert verdicts["a.duplicate_subject"].tolist() == [NOT_JUDGED, NOT_JUDGED]

    def test_warnings_fail_no_row(self) -> None:
        made = contract(field("no"), field("tel", kind="mobile"))
        checks = checks_of(made, KINDS, CODES)
        conformed = conform(pa.record_batch({"no": ["1", "2"], "tel": ["x", "13800138000"]}), made.fields, timezone="Asia/Shanghai")

        verdicts = judge(conformed, checks, today=TODAY)

        assert verdicts.failing_rows().to_pylist() == [False, False]
        assert verdicts.failing_rows(Severity.WARNING).to_pylist() == [True, False]

    def test_the_frame_has_a_byte_per_check_and_row_at_absolute_positions(self) -> None:
        made = contract(field("a", required=True))
        conformed = conform(pa.record_batch({"a": ["x", ""]}), made.fields, timezone="Asia/Shanghai")

        frame = judge(conformed, checks_of(made, KINDS, CODES), today=TODAY).frame(100)

        assert list(frame.columns) == ["a.readable", "a.required", "a.null_key", "a.unique_key"]
        assert list(frame.index) == [100, 101]
        assert frame["a.required"].tolist() == [HOLDS, FAILS]
        assert set(map(str, frame.dtypes)) == {"uint8"}

    def test_an_unknown_check_has_no_verdicts(self) -> None:
        made = contract(field("a"))
        verdicts = judge(conform(pa.record_batch({"a": ["x"]}), made.fields, timezone="Asia/Shanghai"), (), today=TODAY)

        with pytest.raises(KeyError):
            verdicts["a.required"]

    def test_a_check_knows_whether_it_is_about_a_set(self) -> None:
        checks = checks_of(contract(field("a", required=True)), KINDS, CODES)

        assert [check.set_level for check in checks] == [False, False, True, True]
        assert all(isinstance(check, Check) for check in checks)


HERE = contract(field("a"), field("b", "date"), field("n", "integer"), field("d", "decimal"))


@pytest.mark.parametrize(
    "use",
    [
        {"rule": "range", "fields": ("n",), "parameters": {"min": 1, "max": 2}},
        {"rule": "range", "fields": ("b",), "parameters": {"min": "2000-01-01"}},
        {"rule": "range", "fields": ("d",), "parameters": {"max": 1.5}},
        {"rule": "one_of", "fields": ("n",), "parameters": {"among": [1, 2]}},
        {"rule": "in_codes", "fields": ("a",), "parameters": {"codes": "sex"}},
        {"rule": "reference", "fields": ("a",), "parameters": {"entity": "population.person"}},
        {"rule": "birth_agrees", "fields": ("b", "a")},
        {"rule": "citizen_number", "fields": ("a",), "severity": "warning"},
    ],
)
def test_a_rule_that_can_run_has_no_mistakes(use: dict[str, object]) -> None:
    assert mistakes_of(RuleUse(**use), HERE) == []


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ({"rule": "nope", "fields": ("a",)}, "there is no rule 'nope'"),
        ({"rule": "mobile", "fields": ("z",)}, "names the field 'z', which the contract does not have"),
        ({"rule": "mobile", "fields": ("a", "b")}, "takes 1 field(s) and was given 2"),
        ({"rule": "birth_agrees", "fields": ("a", "a")}, "cannot judge these fields (a: string, a: string)"),
        ({"rule": "citizen_number", "fields": ("b",)}, "cannot judge these fields (b: date)"),
        ({"rule": "not_before", "fields": ("b", "n")}, "cannot judge these fields"),
        ({"rule": "range", "fields": ("a",), "parameters": {"min": 1}}, "cannot judge these fields"),
        ({"rule": "range", "fields": ("n",), "parameters": {"least": 1}}, "has no parameter 'least'; it has: min, max"),
        ({"rule": "length", "fields": ("a",), "parameters": {"max": True}}, "must be a whole number"),
        ({"rule": "matches", "fields": ("a",)}, "needs the parameter 'pattern': text"),
        ({"rule": "matches", "fields": ("a",), "parameters": {"pattern": "("}}, "with these parameters (pattern: '(')"),
        ({"rule": "one_of", "fields": ("n",), "parameters": {"among": ["x"]}}, "cannot judge these fields"),
        ({"rule": "reference", "fields": ("a",)}, "needs the parameter 'entity': text"),
    ],
)
def test_a_mistake_in_a_rule_is_told_before_data_is_read(use: dict[str, object], said: str) -> None:
    [mistake] = mistakes_of(RuleUse(**use), HERE)

    assert said in mistake
