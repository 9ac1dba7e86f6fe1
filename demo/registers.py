"""Every dataset of the demo: who writes it, and into which system."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from demo import (
    license_registers,
    organisation_registers,
    place_registers,
    population_registers,
    public_registers,
)
from demo.register import Dataset
from demo.truth import City


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Where a dataset rests: a table of the PostgreSQL database or of an SQLite file, a sheet, or a file."""

    form: str
    file: str = ""
    table: str = ""
    encoding: str = "utf-8"
    delimiter: str = ","


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One dataset: how it is written down, and where."""

    write: Callable[[City], Dataset]
    system: System


def _postgres(table: str) -> System:
    return System(form="postgres", table=table)


def _sqlite(file: str, table: str) -> System:
    return System(form="sqlite", file=file, table=table)


ORIGINS: Mapping[str, Origin] = {
    "household_register": Origin(write=population_registers.household_register, system=_postgres("public_security.household_register")),
    "residence_permit": Origin(write=population_registers.residence_permit, system=_postgres("public_security.residence_permit")),
    "driver_license": Origin(write=license_registers.driver_license, system=_postgres("public_security.driver_license")),
    "marriage_register": Origin(write=population_registers.marriage_register, system=_postgres("civil_affairs.marriage_entry")),
    "birth_certificate": Origin(write=population_registers.birth_certificate, system=_sqlite("health/health.sqlite", "birth_certificate")),
    "death_certificate": Origin(write=population_registers.death_certificate, system=_sqlite("health/health.sqlite", "death_certificate")),
    "health_license": Origin(write=license_registers.health_license, system=_sqlite("health/health.sqlite", "health_license")),
    "social_insurance": Origin(
        write=population_registers.social_insurance, system=_sqlite("human_resources/social_insurance.sqlite", "social_insurance")
    ),
    "insured_unit": Origin(
        write=organisation_registers.insured_unit, system=System(form="excel", file="human_resources/insured_units.xlsx", table="参保单位")
    ),
    "business_register": Origin(
        write=organisation_registers.business_register,
        system=System(form="csv", file="market_regulation/business_register.csv", encoding="gb18030"),
    ),
    "business_license": Origin(
        write=license_registers.business_license,
        system=System(form="csv", file="market_regulation/business_license.csv", encoding="gb18030"),
    ),
    "institution_register": Origin(
        write=organisation_registers.institution_register,
        system=System(form="excel", file="organisation_staffing/institutions.xlsx", table="台账"),
    ),
    "social_organisation_register": Origin(
        write=organisation_registers.social_organisation_register,
        system=System(form="excel", file="civil_affairs/social_organisations.xlsx", table="台账"),
    ),
    "tax_register": Origin(
        write=organisation_registers.tax_register, system=System(form="csv", file="tax/tax_register.csv", delimiter="|")
    ),
    "division": Origin(write=place_registers.division, system=System(form="csv", file="civil_affairs/divisions.csv")),
    "division_boundary": Origin(
        write=place_registers.division_boundary, system=System(form="geojson", file="natural_resources/division_boundary.geojson")
    ),
    "standard_address": Origin(
        write=place_registers.standard_address, system=System(form="geojson", file="natural_resources/standard_address.geojson")
    ),
    "road": Origin(write=place_registers.road, system=System(form="geojson", file="transport/road.geojson")),
    "economic_statistics": Origin(
        write=public_registers.economic_statistics, system=_sqlite("statistics/statistics.sqlite", "observation")
    ),
    "fiscal_statistics": Origin(write=public_registers.fiscal_statistics, system=System(form="csv", file="finance/fiscal_statistics.csv")),
    "administrative_penalty": Origin(
        write=public_registers.administrative_penalty, system=System(form="csv", file="development_reform/administrative_penalty.csv")
    ),
    "power_list": Origin(write=public_registers.power_list, system=System(form="csv", file="organisation_staffing/power_list.csv")),
    "service_implementation": Origin(
        write=public_registers.service_implementation, system=System(form="csv", file="government_services/service_implementation.csv")
    ),
}


def registers(city: City) -> dict[str, Dataset]:
    """Return what every department has written down on the first day, by dataset."""
    return {name: origin.write(city) for name, origin in ORIGINS.items()}
