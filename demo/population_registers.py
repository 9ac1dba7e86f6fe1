"""What public security, civil affairs, health and human resources each keep about the same people."""

from dataclasses import dataclass, replace

import numpy as np

from demo.numbers import (
    FIRST_SEQUENCE,
    Days,
    Flags,
    Integers,
    Texts,
    citizen_numbers,
    fifteen_digits,
    joined,
    mobile_numbers,
    padded,
    with_another_check,
)
from demo.organisations import employers
from demo.people import NOBODY, TODAY
from demo.places import CITY
from demo.register import Columns, Dataset, Register, iso, moments
from demo.truth import City
from demo.words import FOREIGN, GIVEN_MEN, people_names


def divorced(city: City) -> Flags:
    """Return who is divorced: both of every sixteenth couple."""
    people = city.people
    leads = np.where(people.spouse == NOBODY, NOBODY, np.minimum(np.arange(len(people)), people.spouse))
    chosen: Flags = (leads != NOBODY) & (leads % 16 == 3)
    return chosen


def household_register(city: City) -> Dataset:
    """Return the household register: everyone, with the faults that years of typing leave."""
    draw, people, ground, count = city.draw(11), city.people, city.ground, len(city.people)
    homes = people.homes(ground)
    moved = draw.random(count) < 0.08
    other_homes = joined(draw.choice(ground.address_texts, count), people.rooms)
    dead = ~np.isnat(people.died)
    register = Register(
        {
            "record_no": joined("H", padded(np.arange(count) + 1, 9)),
            "citizen_no": people.numbers,
            "full_name": people.names,
            "former_name": np.where(draw.random(count) < 0.02, people_names(draw, people.women, people.ethnic), ""),
            "sex": np.where(people.women, "2", "1"),
            "ethnic": people.ethnic,
            "birth_date": people.births,
            "birth_place": people.prefixes,
            "native_place": people.prefixes,
            "division_code": ground.address_codes[people.addresses],
            "address": homes,
            "household_no": joined("HH", CITY, padded(people.households + 1, 7)),
            "household_type": np.where(people.households % 40 == 0, "20", "10"),
            "relation": people.relations,
            "residence_address": np.where(moved, other_homes, homes),
            "phone": people.phones,
            "marital": np.select([divorced(city), people.spouse != NOBODY], ["40", "20"], "10"),
            "education": people.educations,
            "death_date": people.died,
            "cancelled_on": people.died + 10,
            "cancel_reason": np.where(dead, "1", ""),
            "updated_at": np.maximum(people.registered.astype("datetime64[s]"), moments(draw, count, TODAY, 3000)),
        },
        draw=draw,
        scale=city.scale,
    )
    alive = ~dead
    register.spoil("citizen_number:citizen_no", 40, with_another_check, alive)
    register.spoil("birth_agrees:birth_date", 30, lambda births: births - np.timedelta64(1, "D").astype(object), alive)
    register.spoil("sex_agrees:sex", 15, lambda codes: np.where(codes == "1", "2", "1"), alive)
    register.spoil("mobile:phone", 20, lambda phones: np.array([f"0{phone[2:]}" for phone in phones], dtype=object))
    register.spoil("in_codes:ethnic", 10, lambda _: "66")
    register.spoil("required:full_name", 5, lambda _: None)
    register.differ("marital", 60, lambda _: "10", divorced(city))
    _forget_deaths(register, 25, dead)
    register.repeat("unique_key:record_no", 12)
    register.repeat("duplicate_subject:citizen_no", 8, _as_new_records)
    return register.dataset()


def _forget_deaths(register: Register, count: int, dead: np.ndarray) -> None:
    """Leave people alive in the register of whom health holds a certificate of death."""
    rows = register.rows(count, dead)
    for name in ("death_date", "cancelled_on", "cancel_reason"):
        register.columns[name][rows] = None
    register.disagreements["death_date"] = len(rows)


def _as_new_records(columns: Columns) -> None:
    columns["record_no"] = np.array(["X" + number[1:] for number in columns["record_no"]], dtype=object)


def residence_permit(city: City) -> Dataset:
    """Return residents without a household register: Hong Kong, Macao, Taiwan (81, 82, 83) and foreigners (9)."""
    draw = city.draw(12)
    count = max(8, int(120 * city.scale))
    first = np.array(["810000", "820000", "830000", "933840", "933826", "933250", "933392"])
    prefixes = first[np.arange(count) % len(first)]
    women = draw.random(count) < 0.5
    births = np.datetime64("1955-01-01") + draw.integers(0, 365 * 45, count)
    sequences = FIRST_SEQUENCE + 2 * (np.arange(count) % 140) + np.where(women, 0, 1)
    foreign = np.strings.startswith(prefixes, "9")
    issued = TODAY - draw.integers(30, 1500, count)
    register = Register(
        {
            "permit_no": joined("R", CITY, padded(np.arange(count) + 1, 6)),
            "document_type": np.where(foreign, "553", "990"),
            "person_no": citizen_numbers(prefixes, births, sequences),
            "person_name": np.where(foreign, draw.choice(FOREIGN, count), people_names(draw, women, np.full(count, "01"))),
            "sex": np.where(women, "2", "1"),
            "birth_date": births,
            "division_code": draw.choice(city.ground.address_codes, count),
            "address": draw.choice(city.ground.address_texts, count),
            "phone": mobile_numbers(draw, count),
            "valid_from": issued,
            "valid_to": issued + 1825,
            "updated_at": issued.astype("datetime64[s]"),
        },
        draw=draw,
        scale=city.scale,
    )
    register.spoil("citizen_number:person_no", 3, with_another_check)
    register.spoil("not_before:valid_to", 2, lambda days: days - np.timedelta64(4000, "D").astype(object))
    return register.dataset()


def marriage_register(city: City) -> Dataset:
    """Return entries of marriage and divorce, one row for each party as the contract's query reads them."""
    draw, people = city.draw(13), city.people
    husbands = np.flatnonzero((people.spouse != NOBODY) & ~people.women)
    parted = husbands[divorced(city)[husbands]]
    men = np.concatenate([husbands, parted])
    wives, count = people.spouse[men], len(men)
    days = np.concatenate([people.married[husbands], _partings(draw, people.married[parted])])
    kinds = np.repeat(["1", "2"], [len(husbands), len(parted)])
    numbers = padded(np.arange(count) + 1, 8)
    register = Register(
        {
            "entry_no": joined("M", numbers),
            "entry_type": kinds,
            "man_no": people.numbers[men],
            "man_name": people.names[men],
            "woman_no": people.numbers[wives],
            "woman_name": people.names[wives],
            "certificate_no": joined(np.where(kinds == "1", "J", "L"), CITY, "-", np.strings.slice(days.astype("<U10"), 4), "-", numbers),
            "registered_on": days,
            "registry": np.full(count, "杭州市民政局婚姻登记处"),
            "phone": people.phones[men],
        },
        draw=draw,
        scale=city.scale,
    )
    register.spoil("citizen_number:man_no", 6, with_another_check)
    register.spoil("not_in_future:registered_on", 4, lambda _: np.datetime64("2062-05-20").astype(object))
    old = (people.births[men] < np.datetime64("2000-01-01")) & (people.births[men] >= np.datetime64("1900-01-01"))
    rows = register.rows(20, old)
    register.columns["man_no"][rows] = fifteen_digits(register.columns["man_no"][rows].astype(str))
    register.repeat("unique_key:entry_no", 4)
    return _read_by_party(register.dataset())


def _read_by_party(entries: Dataset) -> Dataset:
    """Restate the faults of entries as faults of the rows that the contract's query makes: one for each party."""
    planted = entries.faults
    faults = {
        "citizen_number:citizen_no": planted["citizen_number:man_no"],
        "citizen_number:spouse_no": planted["citizen_number:man_no"],
        "not_in_future:registered_on": 2 * planted["not_in_future:registered_on"],
        "unique_key:party_no": 2 * planted["unique_key:entry_no"],
    }
    return replace(entries, faults=faults, quarantined=2 * entries.quarantined, rows_read_each=2)


def _partings(draw: np.random.Generator, married: Days) -> Days:
    return np.minimum(married + draw.integers(400, 6000, len(married)), TODAY - 20)


def birth_certificate(city: City) -> Dataset:
    """Return certificates of the last twelve years; the newest children have no number yet and contribute nothing."""
    draw, people = city.draw(14), city.people
    children = np.flatnonzero((people.mother != NOBODY) & (people.ages < 12))
    count = len(children)
    births = people.births[children]
    register = Register(
        {
            "certificate_no": joined(np.array(list("ABCDEF"))[np.arange(count) % 6], "33", padded(np.arange(count) + 1, 7)),
            "child_no": people.numbers[children],
            "child_name": people.names[children],
            "sex": np.where(people.women[children], "2", "1"),
            "birth_date": iso(births),
            "birth_place": people.prefixes[children],
            "mother_no": people.numbers[people.mother[children]],
            "father_no": people.numbers[people.father[children]],
            "weight_g": draw.normal(3300, 380, count).astype(int).clip(1500, 5000),
            "issued_on": iso(np.minimum(births + 5, TODAY)),
        },
        draw=draw,
        scale=city.scale,
    )
    register.spoil("birth_agrees:birth_date", 8, lambda days: [_day_before(day) for day in days])
    register.spoil("range:weight_g", 6, lambda weights: weights * 10)
    register.spoil("sex_agrees:sex", 3, lambda codes: np.where(codes == "1", "2", "1"))
    register.differ("child_name", 30, lambda names: [f"{name[0]}宝宝" for name in names])
    register.differ("birth_place", 20, lambda codes: np.where(codes == "330102", "330106", "330102"))
    register.columns["child_no"][register.rows(30)] = None
    return register.dataset()


def _day_before(day: str) -> str:
    return str(np.datetime64(day) - 1)


def death_certificate(city: City) -> Dataset:
    """Return certificates of death: some of people whom the household register still holds alive."""
    draw, people = city.draw(15), city.people
    dead = np.flatnonzero(~np.isnat(people.died))
    count = len(dead)
    register = Register(
        {
            "certificate_no": joined("D", CITY, padded(np.arange(count) + 1, 7)),
            "citizen_no": people.numbers[dead],
            "full_name": people.names[dead],
            "sex": np.where(people.women[dead], "2", "1"),
            "death_date": iso(people.died[dead]),
            "issued_on": iso(people.died[dead] + 2),
        },
        draw=draw,
        scale=city.scale,
    )
    register.spoil("not_in_future:death_date", 3, lambda _: "2062-01-01")
    register.differ("death_date", 15, lambda days: [_day_before(day) for day in days])
    register.spoil("citizen_number:citizen_no", 4, with_another_check)
    return register.dataset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What people told social insurance: not always what they told the police."""

    numbers: Texts
    names: Texts
    phones: Texts
    homes: Texts
    employers: Integers


def social_insurance(city: City) -> Dataset:
    """Return who is insured: old numbers of 15 digits, other telephones and spellings, and people from elsewhere."""
    draw, people = city.draw(16), city.people
    told = _Told(
        numbers=people.numbers.astype("<U18"),
        names=people.names.copy(),
        phones=people.phones.copy(),
        homes=people.homes(city.ground),
        employers=employers(draw, people, city.organisations),
    )
    insured = np.flatnonzero(told.employers != NOBODY)
    disagreements = _told_otherwise(city, draw, insured, told)
    old = insured[people.births[insured] < np.datetime64("2000-01-01")][: max(2, int(40 * city.scale))]
    told.numbers[old] = fifteen_digits(told.numbers[old])
    rows = np.concatenate([insured, insured, insured[::3]])
    types = np.repeat(["110", "310", "410"], [len(insured), len(insured), len(insured[::3])])
    register = Register(_insurance_columns(city, draw, rows, told) | {"insurance_type": types}, draw=draw, scale=city.scale)
    register.disagreements |= disagreements
    _spoil_insurance(register)
    return register.dataset()


def _told_otherwise(city: City, draw: np.random.Generator, insured: Integers, told: _Told) -> dict[str, int]:
    """Change what some people told, and return how many differ by field; all rows of a person say the same."""

    def chosen(count: int) -> Integers:
        return draw.choice(insured, max(1, round(count * city.scale)), replace=False)

    names, phones, homes = chosen(40), chosen(400), chosen(300)
    told.names[names] = joined(np.strings.slice(told.names[names], 1), draw.choice(GIVEN_MEN, len(names)), "某")
    told.phones[phones] = mobile_numbers(draw, len(phones))
    told.homes[homes] = joined(draw.choice(city.ground.address_texts, len(homes)), "东侧")
    return {"full_name": len(names), "contact_phone": len(phones), "residence_address": len(homes)}


def _insurance_columns(city: City, draw: np.random.Generator, rows: Integers, told: _Told) -> Columns:
    people, count = city.people, len(rows)
    started = np.maximum(people.births[rows] + 22 * 366, TODAY - draw.integers(100, 5000, count))
    started = np.minimum(started, TODAY - 40)
    stopped = draw.random(count) < 0.07
    return {
        "record_no": joined("S", padded(np.arange(count) + 1, 9)),
        "citizen_no": told.numbers[rows],
        "full_name": told.names[rows],
        "phone": told.phones[rows],
        "address": told.homes[rows],
        "social_security_no": people.numbers[rows],
        "status": np.where(stopped, "4", "1"),
        "employer_code": city.organisations.codes[told.employers[rows]],
        "occupation": draw.choice(["13", "17", "21", "24"], count),
        "started_on": iso(started),
        "ended_on": np.where(stopped, iso(started + 30), ""),
        "pay_base": draw.integers(4500, 24000, count),
        "updated_at": np.strings.replace(moments(draw, count, TODAY, 700).astype("<U19"), "T", " "),
    }


def _spoil_insurance(register: Register) -> None:
    modern = np.array([len(number) == 18 for number in register.columns["citizen_no"]])
    register.spoil("citizen_number:citizen_no", 20, with_another_check, modern)
    register.spoil("citizen_number:citizen_no", 2, lambda numbers: [f"{number[:6]}{number[8:14]}998" for number in numbers], modern)
    register.spoil("range:pay_base", 15, lambda amounts: -amounts)
    ended = np.array([day is not None for day in register.columns["ended_on"]])
    register.spoil("not_before:ended_on", 12, lambda _: "1999-01-01", ended)
    register.spoil("in_codes:insurance_type", 8, lambda _: "999")
    _from_elsewhere(register)


def _from_elsewhere(register: Register) -> None:
    """Give rows to people whom no other department of the city knows: born 1985 elsewhere in the country."""
    rows = register.rows(60)
    count = len(rows)
    births = np.datetime64("1985-01-01") + np.arange(count) * 7
    numbers = citizen_numbers(np.full(count, "510107"), births, FIRST_SEQUENCE + np.arange(count))
    register.columns["citizen_no"][rows] = numbers
    register.columns["social_security_no"][rows] = numbers
    register.disagreements["unanchored"] = count
