"""What the registrars, the tax authority and social insurance each keep about the same organisations."""

import numpy as np

from demo.numbers import (
    Texts,
    compact,
    credit_codes,
    joined,
    padded,
    with_another_check,
)
from demo.organisations import department_code, department_name
from demo.places import CITY
from demo.register import Columns, Dataset, Register, iso
from demo.truth import City
from demo.words import FIRM_NAMES

_DAY = np.timedelta64(1, "D").astype(object)


def business_register(city: City) -> Dataset:
    """Return firms as the legacy register exports them: Chinese headers, dates without dashes, GB 18030."""
    draw, people, firms = city.draw(21), city.people, city.organisations
    rows = firms.of("9")
    bosses = firms.representatives[rows]
    register = Register(
        {
            "统一社会信用代码": firms.codes[rows],
            "企业名称": firms.names[rows],
            "机构类型": firms.types[rows],
            "法定代表人": people.names[bosses],
            "法定代表人证件号码": people.numbers[bosses],
            "住所": firms.seats(city.ground)[rows],
            "行政区划": firms.divisions[rows],
            "注册资本": joined(firms.capitals[rows].astype("<U8"), ".00"),
            "币种": np.full(len(rows), "CNY"),
            "经营范围": firms.scopes[rows],
            "行业门类": firms.sections[rows],
            "成立日期": compact(firms.established[rows]),
            "核准日期": compact(firms.approved[rows]),
            "营业期限至": _compact_or_empty(firms.valid_to[rows]),
            "是否长期": np.where(np.isnat(firms.valid_to[rows]), "是", "否"),
            "登记机关": np.full(len(rows), department_name("market_regulation")),
            "登记机关代码": np.full(len(rows), department_code("market_regulation")),
            "登记状态": firms.status[rows],
        },
        draw=draw,
        scale=city.scale,
    )
    register.spoil("credit_code:credit_code", 25, _bad_codes, None, "统一社会信用代码")
    register.spoil("citizen_number:legal_rep_no", 10, with_another_check, None, "法定代表人证件号码")
    register.spoil("not_before:approved_on", 8, lambda days: np.full(len(days), "19880101"), None, "核准日期")
    register.spoil("in_codes:registration_status", 5, lambda _: "7", None, "登记状态")
    register.spoil("required:organisation_name", 3, lambda _: None, None, "企业名称")
    register.repeat("unique_key:credit_code", 6)
    return register.dataset()


def _compact_or_empty(days: np.ndarray) -> Texts:
    return np.strings.replace(iso(days), "-", "")


def _bad_codes(codes: np.ndarray) -> list[str]:
    return [code[:-1] + ("0" if code[-1] != "0" else "1") for code in codes]


def institution_register(city: City) -> Dataset:
    """Return public institutions as the staffing office keeps them, in a spreadsheet."""
    register = Register(_spreadsheet(city, "1", "organisation_staffing"), draw=city.draw(22), scale=city.scale)
    register.spoil("credit_code:credit_code", 4, _bad_codes, None, "统一社会信用代码")
    register.spoil("required:organisation_name", 2, lambda _: None, None, "单位名称")
    return register.dataset()


def social_organisation_register(city: City) -> Dataset:
    """Return associations, foundations and private institutions as civil affairs keeps them, in a spreadsheet."""
    register = Register(_spreadsheet(city, "5", "civil_affairs"), draw=city.draw(23), scale=city.scale)
    register.spoil("not_before:valid_to", 3, lambda days: [day - 9000 * _DAY for day in days], None, "有效期至")
    register.repeat("unique_key:credit_code", 2)
    return register.dataset()


def _spreadsheet(city: City, registrar: str, department: str) -> Columns:
    all_of_them = city.organisations
    rows = all_of_them.of(registrar)
    bosses = all_of_them.representatives[rows]
    return {
        "统一社会信用代码": all_of_them.codes[rows],
        "单位名称": all_of_them.names[rows],
        "机构类型": all_of_them.types[rows],
        "法定代表人": city.people.names[bosses],
        "法定代表人证件号码": city.people.numbers[bosses],
        "住所": all_of_them.seats(city.ground)[rows],
        "行政区划": all_of_them.divisions[rows],
        "开办资金": all_of_them.capitals[rows],
        "业务范围": all_of_them.scopes[rows],
        "行业门类": all_of_them.sections[rows],
        "设立日期": all_of_them.established[rows],
        "有效期自": all_of_them.approved[rows],
        "有效期至": all_of_them.approved[rows] + 1826,
        "登记机关": np.full(len(rows), department_name(department)),
        "登记状态": all_of_them.status[rows],
    }


def tax_register(city: City) -> Dataset:
    """Return taxpayers: nearly all organisations, often with the representative or address of last year."""
    draw, people, known = city.draw(24), city.people, city.organisations
    rows = np.sort(draw.permutation(len(known))[: int(len(known) * 0.93)])
    bosses = known.representatives[rows]
    register = Register(
        {
            "credit_code": known.codes[rows],
            "taxpayer_name": known.names[rows],
            "legal_rep_name": people.names[bosses],
            "legal_rep_no": people.numbers[bosses],
            "address": known.seats(city.ground)[rows],
            "industry_section": known.sections[rows],
            "tax_status": np.where(known.status[rows] == "3", "07", "03"),
            "credit_grade": draw.choice(list("ABMCD"), len(rows), p=[0.2, 0.5, 0.2, 0.06, 0.04]),
            "registered_on": iso(known.established[rows] + 15),
        },
        draw=draw,
        scale=city.scale,
    )
    _other_representatives(city, register)
    register.differ("address", 80, lambda addresses: [f"{address}（旧址）" for address in addresses])
    register.differ("taxpayer_name", 20, lambda names: [f"{name}（原名）" for name in names])
    register.spoil("in_codes:tax_credit_grade", 6, lambda _: "E", None, "credit_grade")
    _unknown_elsewhere(register, "credit_code", 25, first=70_000)
    return register.dataset()


def _other_representatives(city: City, register: Register) -> None:
    """Let the tax authority name another representative, by name and number together."""
    rows = register.rows(60)
    others = (np.arange(len(rows)) * 7 + 1) % len(city.people)
    register.columns["legal_rep_name"][rows] = city.people.names[others]
    register.columns["legal_rep_no"][rows] = city.people.numbers[others]
    register.disagreements["legal_rep_no"] = len(rows)


def _unknown_elsewhere(register: Register, name: str, count: int, *, first: int) -> None:
    """Give rows codes that no registrar has issued: right in form, known to this department alone."""
    rows = register.rows(count)
    codes = credit_codes(np.full(len(rows), "91"), np.full(len(rows), "330105"), first + np.arange(len(rows)))
    register.columns[name][rows] = codes
    register.disagreements["unanchored"] = len(rows)


def insured_unit(city: City) -> Dataset:
    """Return employers as social insurance counts them, in a spreadsheet."""
    draw, known = city.draw(25), city.organisations
    rows = np.sort(draw.permutation(len(known))[: int(len(known) * 0.6)])
    register = Register(
        {
            "社会保险登记号": joined(CITY, padded(np.arange(len(rows)) + 1, 8)),
            "统一社会信用代码": known.codes[rows],
            "单位名称": known.names[rows],
            "参保人数": draw.integers(1, 400, len(rows)),
            "登记日期": known.established[rows] + 20,
        },
        draw=draw,
        scale=city.scale,
    )
    register.spoil("range:insured_count", 5, lambda counts: -counts, None, "参保人数")
    register.differ("单位名称", 12, lambda names: [f"{FIRM_NAMES[place % 40]}{name[-4:]}" for place, name in enumerate(names)])
    _unknown_elsewhere(register, "统一社会信用代码", 10, first=80_000)
    return register.dataset()
