"""The divisions as python-stdnum carries them."""

from schemas.rules.divisions import divisions, known_codes, last_years


def test_a_code_that_was_given_twice_has_two_names() -> None:
    names = [(one.name, one.since, one.until) for one in divisions() if one.code == "120110"]

    assert names == [("东郊区", None, 1991), ("东丽区", 1992, None)]


def test_an_abolished_division_keeps_its_code_and_its_last_year() -> None:
    assert known_codes()[110103]
    assert last_years()[110103] == 2010
    assert last_years()[110105] == 9999


def test_no_division_ends_before_it_begins() -> None:
    assert all(one.since <= one.until for one in divisions() if one.since and one.until)


def test_codes_are_six_digits_and_names_carry_no_markers() -> None:
    assert all(len(one.code) == 6 and one.code.isdigit() for one in divisions())
    assert not any(mark in one.name for one in divisions() for mark in "[]-,")
