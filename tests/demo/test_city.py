"""The demo city: the same everywhere, large enough, and nobody's."""

import pytest
from stdnum.cn import ric, uscc

from demo.changes import passed
from demo.city import SEED, on_day, summarised
from demo.licenses import type_code
from demo.places import districts
from demo.registers import ORIGINS, registers
from demo.truth import City, city
from schemas.declarations import REPOSITORY, read_all

# Published specimens: GB 11643-1999 (its own examples), the card of permanent residence of 2023,
# GB 32100-2015 (its own example).
SPECIMENS = {
    "11010519491231002X",
    "440524188001010014",
    "810000199408230021",
    "830000199201300022",
    "911124198108030024",
    "91350100M000100Y43",
}


@pytest.fixture(scope="module")
def small() -> City:
    return city(SEED, 0.02)


@pytest.fixture(scope="module")
def whole() -> City:
    return city(SEED, 1.0)


def test_the_same_seed_gives_the_same_city(small):
    again = registers(city(SEED, 0.02))

    assert all(each.table.equals(again[name].table) for name, each in registers(small).items())


def test_another_seed_gives_another_city(small):
    assert set(small.people.numbers) != set(city(SEED + 1, 0.02).people.numbers)


def test_the_city_is_as_large_as_promised(whole):
    result = summarised(whole, registers(whole), {}, 0)

    assert result.persons >= 20_000
    assert result.organisations >= 5_000
    assert result.licenses >= 20_000


def test_no_two_people_share_a_number(whole):
    assert len(set(whole.people.numbers)) == len(whole.people)


def test_an_independent_implementation_accepts_the_organisations_codes(whole):
    assert all(uscc.is_valid(code) for code in whole.organisations.codes[:500])


def test_an_independent_implementation_accepts_the_citizen_numbers(whole):
    assert all(ric.calc_check_digit(number) == number[-1] for number in whole.people.numbers[:500].tolist())


def test_no_number_is_a_specimen_of_a_standard(whole):
    tables = registers(whole)

    written = {value for each in tables.values() for column in each.table.columns for value in column.to_pylist() if isinstance(value, str)}

    assert not SPECIMENS & written


def test_mobile_numbers_lie_in_a_range_nobody_has(whole):
    assert all(number.startswith("154") for number in whole.people.phones)


def test_some_names_need_all_of_gb18030(whole):
    names = "".join(whole.people.names)

    assert all(rare in names for rare in "䶮㛃𬭎𠅤")
    assert "·" in names


def test_some_numbers_begin_with_an_abolished_division(whole):
    today = {district.code for district in districts()}

    assert sum(prefix.startswith("3301") and prefix not in today for prefix in whole.people.prefixes) > 1_000


def test_residents_from_elsewhere_have_their_forms(whole):
    numbers = registers(whole)["residence_permit"].table["person_no"].to_pylist()

    assert {number[:2] for number in numbers} == {"81", "82", "83", "93"}


def test_every_contract_is_fed_and_every_register_has_a_contract():
    assert set(read_all(REPOSITORY).contracts) == set(ORIGINS)


def test_the_license_types_have_an_owner():
    owner = read_all(REPOSITORY).entity("license.license")[1].owner

    assert owner is not None
    assert set(owner.datasets) == {type_code(kind) for kind in range(4)}


def test_a_day_touches_only_what_it_says(small):
    before, _ = on_day(small, 0)

    after, changes = passed(before, city=small, day=1)

    assert all(after[name] is before[name] for name in before if name not in changes)
    for name, change in changes.items():
        assert after[name].table.num_rows - before[name].table.num_rows == change.new + change.late - change.deleted


def test_a_corrected_number_keeps_its_record(small):
    (before, _), (after, changes) = on_day(small, 0), on_day(small, 1)
    old, new = (
        dict(
            zip(
                each["household_register"].table["record_no"].to_pylist(),
                each["household_register"].table["citizen_no"].to_pylist(),
                strict=True,
            )
        )
        for each in (before, after)
    )

    renumbered = [record for record in old.keys() & new.keys() if old[record] != new[record]]

    change = changes["household_register"]
    assert len(renumbered) == change.corrected + change.mended


def test_days_follow_one_another(small):
    tables = [on_day(small, day)[0]["household_register"].table for day in (0, 1, 2)]

    assert not tables[0].equals(tables[1])
    assert not tables[1].equals(tables[2])
