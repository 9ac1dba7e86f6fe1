"""What the issuers of licenses keep: business licenses, driver's licenses, health licenses."""

import numpy as np

from demo.licenses import (
    BUSINESS,
    DOCTOR,
    DRIVER,
    HYGIENE,
    ISSUERS,
    TYPE_NAMES,
    Licenses,
    definer_code,
    type_code,
)
from demo.numbers import Texts, compact, with_another_check
from demo.organisations import department_code, department_name
from demo.places import CITY
from demo.register import Columns, Dataset, Register, iso
from demo.truth import City

_ITEMS = ("市场主体设立登记", "机动车驾驶证核发", "公共场所卫生许可", "医师执业注册")


def _columns(licenses: Licenses) -> Columns:
    """Return the columns that all licenses share (GB/T 36903-2018)."""
    count, kind = len(licenses), licenses.kind
    return {
        "license_identifier": licenses.identifiers,
        "type_code": np.full(count, type_code(kind)),
        "type_name": np.full(count, TYPE_NAMES[kind]),
        "license_no": licenses.numbers,
        "license_version": licenses.versions,
        "issuer_name": np.full(count, department_name(ISSUERS[kind])),
        "issuer_code": np.full(count, department_code(ISSUERS[kind])),
        "definer_code": np.full(count, definer_code(kind)),
        "issued_on": iso(licenses.issued),
        "valid_from": iso(licenses.issued),
        "valid_to": iso(licenses.valid_to),
        "division_code": np.full(count, CITY),
        "license_status": licenses.status,
        "related_item": np.full(count, _ITEMS[kind]),
        "previous_identifier": licenses.previous,
    }


def _organisations(city: City, licenses: Licenses) -> Columns:
    return {
        "holder_type_code": np.full(len(licenses), "001"),
        "holder_code": city.organisations.codes[licenses.holders],
        "holder_name": city.organisations.names[licenses.holders],
    }


def _persons(city: City, licenses: Licenses) -> Columns:
    return {
        "holder_type_code": np.full(len(licenses), "111"),
        "holder_code": city.people.numbers[licenses.holders],
        "holder_name": city.people.names[licenses.holders],
    }


def business_license(city: City) -> Dataset:
    """Return business licenses: the holder is a firm, most without end."""
    licenses = city.licenses[BUSINESS]
    columns = _columns(licenses) | _organisations(city, licenses)
    for name in ("issued_on", "valid_from"):
        columns[name] = compact(licenses.issued)
    register = Register(columns, draw=city.draw(31), scale=city.scale)
    register.spoil("license_identifier:license_identifier", 30, _bad_identifiers)
    register.spoil("not_before:valid_to", 10, lambda _: "19990101")
    register.repeat("unique_key:license_identifier", 5)
    return register.dataset()


def driver_license(city: City) -> Dataset:
    """Return driver's licenses: the number of the license is the citizen number of its holder."""
    licenses = city.licenses[DRIVER]
    columns = _columns(licenses) | _persons(city, licenses)
    for name, days in (("issued_on", licenses.issued), ("valid_from", licenses.issued), ("valid_to", licenses.valid_to)):
        columns[name] = days
    columns["vehicle_class"] = city.draw(33).choice(["C1", "C2", "B2", "A1"], len(licenses), p=[0.7, 0.2, 0.07, 0.03])
    register = Register(columns, draw=city.draw(32), scale=city.scale)
    register.spoil("citizen_number:holder_code", 30, with_another_check)
    register.spoil("license_identifier:license_identifier", 20, _bad_identifiers)
    register.spoil("in_codes:license_status", 6, lambda _: "77")
    return register.dataset()


def health_license(city: City) -> Dataset:
    """Return hygiene licenses of firms and practice licenses of doctors in one table: the row says which."""
    hygiene, doctors = city.licenses[HYGIENE], city.licenses[DOCTOR]
    both = [_columns(hygiene) | _organisations(city, hygiene), _columns(doctors) | _persons(city, doctors)]
    columns = {name: np.concatenate([each[name] for each in both]) for name in both[0]}
    register = Register(columns, draw=city.draw(34), scale=city.scale)
    persons = columns["holder_type_code"] == "111"
    register.spoil("credit_code:holder_code", 15, lambda codes: _citizens(city, len(codes)), ~persons)
    register.spoil("kind_known:holder_code", 4, lambda _: "099", persons, "holder_type_code")
    register.spoil("not_before:valid_to", 6, lambda _: "1999-01-01", ~persons)
    for name in ("holder_name", "license_no"):  # whose kind the same selector tells
        register.faults[f"kind_known:{name}"] = register.faults["kind_known:holder_code"]
    return register.dataset()


def _citizens(city: City, count: int) -> Texts:
    """Return citizen numbers where a credit code belongs: the clerk typed the owner instead of the firm."""
    return city.people.numbers[:count]


def _bad_identifiers(identifiers: np.ndarray) -> list[str]:
    return [text[:-1] + ("0" if text[-1] != "0" else "1") for text in identifiers]
