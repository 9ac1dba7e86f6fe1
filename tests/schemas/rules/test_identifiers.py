"""Identifiers against published vectors.

Provenance: values marked [V] in the project's domain notes (sections 3.1 to 3.6 and 3.10), which name the standard
each comes from; check characters were computed there with an implementation of its own.
The second witness here is python-stdnum (LGPL, not used by the rules).
"""

from datetime import date

import pyarrow as pa
import pytest
from stdnum import luhn
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_10, mod_37_36

from schemas.rules import RULES

TODAY = date(2026, 8, 1)


def holds(rule: str, *values: str | None, **parameters: object) -> list[bool | None]:
    """Return the verdicts of *rule* on *values*."""
    known = RULES[rule]
    given = {"today": TODAY} if "today" in known.supplied else {}
    return known.function(pa.array(values, pa.string()), **given, **parameters).to_pylist()


VALID_CITIZENS = (
    "11010519491231002X",  # GB 11643-1999, example
    "440524188001010014",  # GB 11643-1999, example: born 1880
    "110101199003077475",
    "11010119900307109X",
    "110101200002290018",  # a leap day
)
RESIDENCE_PERMITS = (
    "810000199408230021",  # Hong Kong, specimen
    "820000199301010012",  # Macao, computed
    "830000199201300022",  # Taiwan, specimen
    "911124198108030024",  # foreigner's permanent residence card of 2023, specimen
)


@pytest.mark.parametrize("number", VALID_CITIZENS + RESIDENCE_PERMITS)
def test_a_published_number_holds(number: str) -> None:
    assert holds("citizen_number", number) == [True]


@pytest.mark.parametrize("number", VALID_CITIZENS)
def test_stdnum_agrees_on_the_check_character(number: str) -> None:
    assert ric.calc_check_digit(number) == number[-1]


def test_a_lower_case_check_character_holds() -> None:
    assert holds("citizen_number", "11010519491231002x") == [True]


def test_a_wrong_check_character_fails() -> None:
    assert holds("citizen_number", "310101198001010012") == [False]  # 8 would be right


def test_a_day_that_does_not_exist_fails_although_its_check_is_right() -> None:
    number = "11010119000229001"
    number += ric.calc_check_digit(number + "0")

    assert holds("citizen_number", number) == [False]


def test_a_birth_after_today_fails() -> None:
    number = "11010120260802001"
    number += ric.calc_check_digit(number + "0")

    assert holds("citizen_number", number) == [False]


def test_a_number_of_before_1999_holds() -> None:
    assert holds("citizen_number", "110105491231002") == [True]


@pytest.mark.parametrize("sequence", ["996", "997", "998", "999"])
def test_the_centenarians_of_the_short_form_fail(sequence: str) -> None:
    assert holds("citizen_number", "110105491231" + sequence) == [False]


@pytest.mark.parametrize("text", ["", "1", "11010519491231002", "11010519491231002XX", "A1010519491231002X", "１１０１０５194912310"])
def test_other_text_fails(text: str) -> None:
    assert holds("citizen_number", text) == [False]


def test_a_control_character_is_not_a_check_digit() -> None:
    assert holds("citizen_number", "44052418800101001" + chr(ord("4") & 0xDF)) == [False]


def test_a_missing_number_is_not_judged() -> None:
    assert holds("citizen_number", None) == [None]


def test_an_age_of_more_than_150_years_is_not_plausible() -> None:
    assert holds("citizen_age_plausible", "110105187507310020", "440524188001010014", "nonsense", None) == [
        False,
        True,
        None,
        None,
    ]


def test_a_division_that_never_was_is_noticed_and_an_abolished_one_is_not() -> None:
    numbers = ("990199199003077475", "199999199003077475", "110103199003077475", "810000199408230021", "911124198108030024")

    assert holds("citizen_division_known", *numbers) == [None, False, True, True, None]


VALID_CREDIT_CODES = (
    "91350100M000100Y43",  # GB 32100-2015, example
    "91110000600037341L",
    "91440300708461136T",
    "91330106673959654P",
    "91230184MA1BUFLT44",
    "92371000MA3MXH0E3W",  # an individual business
    "11100000000013338W",  # a ministry
    "11110000000021135M",
    "11220000013544541J",
    "11430000006122244L",
)


@pytest.mark.parametrize("code", VALID_CREDIT_CODES)
def test_a_published_credit_code_holds(code: str) -> None:
    assert holds("credit_code", code) == [True]
    assert uscc.calc_check_digit(code) == code[-1]


@pytest.mark.parametrize("code", ["91310000MA1K35XW6N", "12100000400012222A", "91350100m000100y43", "91350100I000100Y43", "9135010", ""])
def test_a_wrong_credit_code_fails(code: str) -> None:
    assert holds("credit_code", code) == [False]


def test_a_sum_of_zero_gives_the_check_character_zero() -> None:
    code = _with_check_zero()

    assert code[-1] == uscc.calc_check_digit(code) == "0"
    assert holds("credit_code", code) == [True]


def _with_check_zero() -> str:
    """Find a code whose weighted sum is divisible by 31: implementations without the second modulus fail on it."""
    subject = "000000019"  # organisation code 00000001 with its check
    for place in range(110_000, 120_000):
        body = f"91{place:06d}{subject}"
        if uscc.calc_check_digit(body + "?") == "0":
            return body + "0"
    raise AssertionError


def test_an_organisation_code_inside_a_credit_code_is_checked_too() -> None:
    body = "91350100M000100Y5"  # its own check is 4
    assert holds("credit_code", body + uscc.calc_check_digit(body + "?")) == [False]


def test_an_unknown_class_of_organisation_is_noticed() -> None:
    assert holds("credit_code_class", "91350100M000100Y43", "Z9350100M000100Y43", "91", None) == [True, False, None, None]


@pytest.mark.parametrize("code", ["D2143569-X", "D2143569X", "00001250-3", "73591069-7", "12345678-8"])
def test_a_published_organisation_code_holds(code: str) -> None:
    assert holds("organisation_code", code) == [True]


@pytest.mark.parametrize("code", ["D2143569-0", "D2143569+X", "d2143569-X", "é143569-X", ""])
def test_a_wrong_organisation_code_fails(code: str) -> None:
    assert holds("organisation_code", code) == [False]


@pytest.mark.parametrize("number", ["110108000000016", "110000000000017"])
def test_a_published_registration_number_holds(number: str) -> None:
    assert holds("business_registration_number", number) == [True]
    assert mod_11_10.is_valid(number)


def test_a_wrong_registration_number_fails() -> None:
    assert holds("business_registration_number", "110108000000017", "11010800000001X", "1") == [False, False, False]


VALID_LICENSES = (
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    "1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0",
    "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9",  # the issuer is a division's code
    "1.2.156.3005.2.11100000000013338W032.11220000013544541J.2430599.001.F",
)


@pytest.mark.parametrize("identifier", VALID_LICENSES)
def test_a_published_license_identifier_holds(identifier: str) -> None:
    assert holds("license_identifier", identifier) == [True]
    assert mod_37_36.is_valid(identifier.removeprefix("1.2.156.3005.2.").replace(".", ""))


def test_license_identifiers_of_several_lengths_hold_together() -> None:
    assert holds("license_identifier", *VALID_LICENSES, None, "x") == [True, True, True, True, None, False]


def test_a_hard_coded_license_identifier_from_the_wild_fails() -> None:
    stub = "1.2.156.3005.2.11100000000013661B006.113700000045046442.209FA4E88F9E4C878F3E9BED2CE7EA49.001.M"
    assert holds("license_identifier", stub, stub[:-1] + "D") == [False, True]


def test_bank_cards_are_checked_by_luhn() -> None:
    cards = ("6225880137706868", "6222020200112233445", "62258801377068", "6225880137706868000000", "622588013770686a", None)

    assert holds("bank_card", *cards) == [luhn.is_valid(cards[0]), False, False, False, False, None]


def test_divisions_of_the_past_hold_and_are_marked_as_abolished() -> None:
    codes = ("110105", "110103", "999999", "110105001", "110105001001", "1101", "11010X", None)

    assert holds("division_code", *codes) == [True, True, False, True, True, False, False, None]
    assert holds("division_current", *codes) == [True, False, None, True, True, None, None, None]


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        ("mobile", ["13800138000", "19912345678"], ["12800138000", "1380013800", "138001380000", "1380013800x"]),
        ("landline", ["010-12345678", "02112345678", "0571-1234567-801"], ["12345678", "10-12345678"]),
        ("phone", ["13800138000", "010-12345678"], ["12345678"]),
        ("postal_code", ["100000", "518000", "810000"], ["000000", "99", "900000"]),
        (
            "passport",
            ["E12345678", "EA1234567", "G12345678", "D12345678", "PE1234567", "K12345678", "KJ1234567", "MA1234567"],
            ["EI1234567", "E1"],
        ),
        ("foreign_passport", ["AB123456", "123456789"], ["A", "A-123456"]),
        ("hk_macao_permit", ["H12345678", "M1234567801"], ["X12345678", "H123"]),
        ("taiwan_permit", ["12345678", "1234567890A"], ["1234567", "A2345678"]),
        ("permanent_residence", ["911124198108030024", "CAN310100012345"], ["811124198108030024", "911124198108030025", "CA310100012345"]),
        ("license_type_code", ["11100000000013338W011"], ["11100000000013338W01"]),
    ],
)
def test_shapes_of_documents_and_telephones(rule: str, right: list[str], wrong: list[str]) -> None:
    assert holds(rule, *right) == [True] * len(right)
    assert holds(rule, *wrong) == [False] * len(wrong)
