"""What the city publishes of itself: figures, penalties, powers and service items. Everything in them is invented."""

import numpy as np

from demo.numbers import Texts, joined, padded
from demo.organisations import DEPARTMENTS, department_code, department_name
from demo.people import TODAY
from demo.places import CITY, district_codes
from demo.register import Dataset, Register, iso
from demo.truth import City

STATISTICS = {"GDP": 900.0, "FAI": 5.0, "RET": 350.0, "POP": 80.0, "INC": 61_000.0, "REV": 70.0}
ACCOUNTS = {"REV": 70.0, "EXP": 85.0}
PERIODS = ("2022", "2023", "2024", "2025-Q1", "2025-S1")
POWERS = {"01": "经营许可", "02": "违法行为处罚", "06": "日常检查", "07": "资格确认"}


def economic_statistics(city: City) -> Dataset:
    """Return the indicators of each district; a few figures of revenue differ from the accounts."""
    register = Register(_figures(city, STATISTICS), draw=city.draw(61), scale=city.scale)
    register.spoil("code_in_force:indicator_code", 2, lambda _: "PFR", None, "indicator_code")
    revenue = register.columns["indicator_code"] == "REV"
    register.differ("value", 6, lambda values: np.array([f"{float(value) + 1:.2f}" for value in values]), revenue)
    return register.dataset()


def fiscal_statistics(city: City) -> Dataset:
    """Return the final accounts of each district; one period is written in a form of its own."""
    register = Register(_figures(city, ACCOUNTS), draw=city.draw(62), scale=city.scale)
    register.spoil("period:period", 1, lambda _: "2024年", None, "period")
    return register.dataset()


def _figures(city: City, indicators: dict[str, float]) -> dict[str, Texts]:
    """Return a figure for each district, indicator and period; who asks for the same figure gets the same."""
    districts, periods = district_codes(), np.array(PERIODS)
    codes = np.array(list(indicators))
    each = np.meshgrid(np.arange(len(districts)), np.arange(len(codes)), np.arange(len(periods)), indexing="ij")
    places, kinds, times = (axis.ravel() for axis in each)
    grown = np.array(list(indicators.values()))[kinds] * (1 + places / 20) * (1 + times / 25) + city.seed % 7
    return {
        "division_code": districts[places],
        "indicator_code": codes[kinds],
        "period": periods[times],
        "value": np.array([f"{value:.2f}" for value in grown]),
        "preliminary": np.where(np.char.str_len(periods[times]) > len("2025"), "是", "否"),
        "published_on": np.full(len(places), "2026-03-01"),
    }


def administrative_penalty(city: City) -> Dataset:
    """Return published penalties of firms; a few codes are mistyped and a few types unknown."""
    draw, firms = city.draw(63), city.organisations
    rows = draw.choice(firms.of("9"), max(150, int(300 * city.scale)))
    decided = TODAY - draw.integers(1, 900, len(rows))
    kinds = draw.choice(np.array(["1", "2", "3", "4"]), len(rows), p=[0.3, 0.5, 0.1, 0.1])
    fines = np.char.add(draw.integers(1, 50, len(rows)).astype("<U4"), ".5")
    authorities = draw.choice(np.array(["market_regulation", "tax", "health", "transport"]), len(rows))
    register = Register(
        {
            "decision_no": joined("市罚字〔", iso(decided).astype("<U4"), "〕第", padded(np.arange(len(rows)), 5), "号"),
            "credit_code": firms.codes[rows],
            "organisation_name": firms.names[rows],
            "penalty_type": kinds,
            "legal_basis": np.full(len(rows), "《中华人民共和国行政处罚法》"),
            "fine": np.where(kinds == "2", fines, ""),
            "decided_on": iso(decided),
            "published_until": iso(decided + 365),
            "authority_name": np.array([department_name(one) for one in authorities]),
            "authority_code": np.array([department_code(one) for one in authorities]),
        },
        draw=draw,
        scale=city.scale,
    )
    register.spoil("in_codes:penalty_type", 3, lambda _: "9", None, "penalty_type")
    register.repeat("unique_key:decision_no", 2)
    return register.dataset()


def power_list(city: City) -> Dataset:
    """Return the powers of every department, without a fault: such lists are proof-read."""
    holders, kinds = _each_department(len(POWERS))
    types = np.array(list(POWERS))[kinds]
    columns = {
        "power_code": joined(types, padded(holders + 1, 3), padded(kinds + 1, 4)),
        "power_name": np.array(list(POWERS.values()))[kinds],
        "power_type": types,
        "legal_basis": np.full(len(holders), "《中华人民共和国行政许可法》《中华人民共和国行政处罚法》"),
        **_names(holders, "holder"),
        "duties": np.full(len(holders), "受理、审查、决定、送达、事后监管"),
        "accountability": np.full(len(holders), "不履行或者不正确履行职责的，依法追究责任"),
        "valid_from": np.full(len(holders), "2024-01-01"),
    }
    columns["valid_to"] = np.full(len(holders), "")
    return Register(columns, draw=city.draw(64), scale=city.scale).dataset()


def service_implementation(city: City) -> Dataset:
    """Return the service items of every department; a few promise more time than the law gives."""
    holders, kinds = _each_department(6)
    codes = np.array([department_code(name) for name in DEPARTMENTS])[holders]
    types = np.array(["01", "05", "07", "08", "10", "20"])[kinds]
    items = joined(CITY[:2], types, padded(holders + 1, 3), padded(kinds + 1, 3), "00")
    register = Register(
        {
            "implementation_code": joined(codes, "3", items),
            "item_code": items,
            "item_name": joined(np.array([department_name(name) for name in DEPARTMENTS])[holders], "事项", padded(kinds + 1, 2)),
            "item_type": types,
            "handling": np.where(kinds % 2 == 0, "1", "2"),
            **_names(holders, "authority"),
            "statutory_days": np.full(len(holders), "20"),
            "promised_days": np.where(kinds % 2 == 0, "0", "5"),
            "online": np.full(len(holders), "是"),
            "fee": np.full(len(holders), "否"),
        },
        draw=city.draw(65),
        scale=city.scale,
    )
    register.spoil("not_before:statutory_days", 2, lambda _: "30", None, "promised_days")
    return register.dataset()


def _each_department(items: int) -> tuple[np.ndarray, np.ndarray]:
    return np.divmod(np.arange(len(DEPARTMENTS) * items), items)


def _names(holders: np.ndarray, role: str) -> dict[str, Texts]:
    return {
        f"{role}_name": np.array([department_name(name) for name in DEPARTMENTS])[holders],
        f"{role}_code": np.array([department_code(name) for name in DEPARTMENTS])[holders],
    }
