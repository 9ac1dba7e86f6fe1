"""The licenses the departments have issued, to persons and to organisations."""

from dataclasses import dataclass

import numpy as np

from demo.numbers import (
    Days,
    Integers,
    Texts,
    credit_codes,
    joined,
    license_identifiers,
    padded,
)
from demo.organisations import Organisations, department_code
from demo.people import TODAY, People
from demo.places import CITY

BUSINESS, DRIVER, HYGIENE, DOCTOR = range(4)
_DEFINERS = ("market_regulation", "public_security", "health", "health")
TYPE_NAMES = ("营业执照", "机动车驾驶证", "公共场所卫生许可证", "医师执业证书")
ISSUERS = ("market_regulation", "public_security", "health", "health")


def definer_code(kind: int) -> str:
    """Return the invented credit code of the national body that defines licenses of *kind*."""
    order = 60 + ("market_regulation", "public_security", "health").index(_DEFINERS[kind])
    return str(credit_codes(np.array(["11"]), np.array(["100000"]), np.array([order]))[0])


def type_code(kind: int) -> str:
    """Return the type code of *kind*: the definer's credit code and three digits (GB/T 36904-2018)."""
    return f"{definer_code(kind)}{kind + 1:03d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licenses:
    """One entry per license of one kind; ``holders`` are positions among people or organisations."""

    kind: int
    identifiers: Texts
    previous: Texts
    numbers: Texts
    versions: Texts
    holders: Integers
    issued: Days
    valid_to: Days
    status: Texts

    def __len__(self) -> int:
        """Return how many licenses there are."""
        return len(self.identifiers)


def licenses(seed: int, people: People, organisations: Organisations) -> tuple[Licenses, ...]:
    """Issue the city's licenses: a business license to each firm, driver's licenses, health licenses; some renewed."""
    draw = np.random.default_rng([seed, 4])
    firms = organisations.of("9")
    grown = np.flatnonzero((people.ages >= 20) & (people.ages < 76))
    drivers = np.sort(draw.choice(grown, int(len(grown) * 0.84), replace=False))
    eaters = firms[np.isin(organisations.sections[firms], ["H", "F", "C"])]
    doctors = np.sort(draw.choice(grown, int(len(grown) * 0.07), replace=False))
    given = ((BUSINESS, firms), (DRIVER, drivers), (HYGIENE, eaters), (DOCTOR, doctors))
    return tuple(_issued(draw, kind, holders, people) for kind, holders in given)


def _issued(draw: np.random.Generator, kind: int, holders: Integers, people: People) -> Licenses:
    count = len(holders)
    issuer, types = department_code(ISSUERS[kind]), np.full(count, type_code(kind))
    serials = joined("DEM", str(kind), padded(np.arange(count) + 1, 8))
    versions = np.where(draw.random(count) < 0.12, "002", "001")
    issued = TODAY - draw.integers(60, 3000, count)
    years = {BUSINESS: 0, DRIVER: 10, HYGIENE: 4, DOCTOR: 0}[kind]
    valid_to = issued + 365 * years if years else np.full(count, np.datetime64("NaT", "D"))
    first = license_identifiers(types, np.full(count, issuer), serials, np.full(count, "001"))
    return Licenses(
        kind=kind,
        identifiers=license_identifiers(types, np.full(count, issuer), serials, versions),
        previous=np.where(versions == "002", first, ""),
        numbers=people.numbers[holders] if kind == DRIVER else _numbers(kind, serials),
        versions=versions,
        holders=holders,
        issued=issued,
        valid_to=valid_to,
        status=np.where(valid_to < TODAY, "05", np.where(draw.random(count) < 0.02, "04", "01")),
    )


def _numbers(kind: int, serials: Texts) -> Texts:
    words = {BUSINESS: "G", HYGIENE: "卫公证字", DOCTOR: "Y"}
    return joined(words[kind], CITY, np.strings.slice(serials, 4, 12))
