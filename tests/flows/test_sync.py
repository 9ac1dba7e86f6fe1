"""A job from its source into its library, and again."""

from collections.abc import Callable

import pytest

from hub.errors import Refused, Rejected
from hub.flows import sync

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def number(born: str, sequence: int) -> str:
    """A made-up citizen number of a division that was never used for registration."""
    body = f"110101{born}{sequence:03d}"
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True)) % 11]


def person(record: str, born: str, sequence: int, name: str = "张三", phone: str | None = "13800000001") -> tuple[str | None, ...]:
    return (record, number(born, sequence), name, "1", born, phone, "2026-01-01 00:00:00")


ZHANG, LI, WANG = person("r1", "19900307", 1), person("r2", "19850101", 3, "李四"), person("r3", "20000229", 5, "王五")
BAD_NUMBER = ("r9", "310101198001010012", "赵六", "1", "1980-01-01", None, "2026-01-01 00:00:00")  # check character should be 8


def years(town) -> list[object]:
    return [row["birth_year"] for row in town.all("SELECT birth_year FROM population.person ORDER BY 1")]


def counts(town) -> dict[str, int]:
    return town.all("SELECT counts -> 'entities' -> 'population.person' AS found FROM hub.batch ORDER BY id DESC LIMIT 1")[0]["found"]


def test_a_first_load_fills_the_library(town):
    town.fill("police", [ZHANG, LI, WANG])

    published = town.sync("register")

    assert published.versions == {"population": 2}  # version 1 recorded the authorities
    assert years(town) == [1985, 1990, 2000]


def test_a_second_run_changes_nothing(town):
    town.fill("police", [ZHANG, LI, WANG])
    town.sync("register")
    before = town.all("SELECT * FROM population.person__register ORDER BY row_key")

    published = town.sync("register")

    assert published.versions == {}
    assert town.all("SELECT * FROM population.person__register ORDER BY row_key") == before
    assert counts(town) == {"staged": 3, "new": 0, "changed": 0, "reprotected": 0, "unchanged": 3, "superseded": 0, "deleted": 0}


def test_a_changed_row_leaves_its_predecessor_in_the_history(town):
    town.fill("police", [ZHANG, LI])
    town.sync("register")
    town.fill("police", [ZHANG, person("r2", "19850101", 3, "李四四")])

    town.sync("register")

    assert counts(town)["changed"] == 1
    assert town.all("SELECT since, until FROM population.person__register__history") == [{"since": 2, "until": 3}]


def test_a_row_that_left_the_source_leaves_the_library_and_stays_in_its_history(town):
    town.fill("police", [ZHANG, LI, WANG])
    town.sync("register")
    town.fill("police", [ZHANG, WANG])

    town.sync("register")

    assert years(town) == [1990, 2000]
    assert town.all("SELECT count(*) FROM population.person__register__history") == [{"count": 1}]


def test_a_broken_row_is_quarantined_sealed_with_its_rule_and_position(town):
    town.fill("police", [ZHANG, LI, BAD_NUMBER])

    town.sync("register")

    rows = town.all("SELECT position, checks, row_key, sealed FROM hub.quarantine")
    assert [(row["position"], row["checks"]) for row in rows] == [(2, ["citizen_no.citizen_number"])]
    assert b"310101198001010012" not in bytes(rows[0]["sealed"])
    assert years(town) == [1985, 1990]


def test_a_quarantined_row_closes_when_it_arrives_valid(town):
    town.fill("police", [ZHANG, BAD_NUMBER])
    town.sync("register")
    town.fill("police", [ZHANG, person("r9", "19800101", 7)])

    published = town.sync("register")

    assert town.all("SELECT closed_by FROM hub.quarantine") == [{"closed_by": published.batch}]


def test_a_row_that_breaks_later_keeps_its_valid_predecessor_in_the_library(town):
    town.fill("police", [ZHANG, LI])
    town.sync("register")
    town.fill("police", [ZHANG, ("r2", *BAD_NUMBER[1:])])

    town.sync("register")

    assert years(town) == [1985, 1990]


def test_rows_that_share_a_key_are_all_quarantined(town):
    town.fill("police", [ZHANG, WANG, LI, person("r2", "20000229", 7)])

    town.sync("register")

    assert [row["checks"] for row in town.all("SELECT checks FROM hub.quarantine")] == [["record.unique_key"]] * 2
    assert years(town) == [1990, 2000]


def test_two_rows_for_one_person_are_quarantined(town):
    town.fill("police", [ZHANG, LI, WANG, ("r4", *ZHANG[1:])])

    town.sync("register")

    assert {row["checks"][0] for row in town.all("SELECT checks FROM hub.quarantine")} == {"citizen_no.duplicate_subject"}
    assert years(town) == [1985, 2000]


def test_a_corrected_number_keeps_the_person(town):
    town.fill("police", [ZHANG])
    town.fill("welfare", [(ZHANG[1], "张三", "13900000002")])
    town.sync("register")
    town.sync("insurance")
    before = town.all("SELECT subject FROM population.person")
    town.fill("police", [person("r1", "19900307", 9)])

    town.sync("register")

    assert town.all("SELECT subject FROM population.person") == before
    assert town.all("SELECT count(*) FROM population.person WHERE phone IS NOT NULL") == [{"count": 1}]


def test_the_department_with_the_authority_speaks_and_the_other_is_a_dispute(town):
    from hub.database.engine import engine
    from libraries.disputes import disputes
    from libraries.layout import layout_of
    from schemas.declarations import declarations

    town.fill("police", [ZHANG, LI])
    town.fill("welfare", [(ZHANG[1], "张叁", "13900000002"), (LI[1], "李四", LI[5])])
    town.sync("register")
    town.sync("insurance")

    with engine("hub_reader").connect() as connection:
        found = list(disputes(connection, layout_of(declarations(), "population.person")))

    assert [(one.field, one.stands, one.differs, one.subjects) for one in found] == [
        ("full_name", "register", "insurance", 1),
        ("phone", "insurance", "register", 1),
    ]


def test_somebody_only_one_department_knows_is_nobody_until_the_register_says_so(town):
    from hub.database.engine import engine
    from libraries.disputes import unanchored
    from libraries.layout import layout_of
    from schemas.declarations import declarations

    town.fill("police", [ZHANG])
    town.fill("welfare", [(ZHANG[1], "张三", None), (WANG[1], "王五", None)])
    town.sync("register")
    town.sync("insurance")
    with engine("hub_reader").connect() as connection:
        found = list(unanchored(connection, layout_of(declarations(), "population.person"), None))
    assert [(one.dataset, one.rows) for one in found] == [("insurance", 1)]
    assert years(town) == [1990]

    town.fill("police", [ZHANG, WANG])
    town.sync("register")

    assert years(town) == [1990, 2000]


def test_a_child_row_follows_its_person(town):
    town.fill("police", [ZHANG, LI])
    town.fill("civil", [("m1", ZHANG[1], LI[1], "2015-05-20"), ("m2", LI[1], ZHANG[1], "2015-05-20")])
    town.sync("register")

    town.sync("marriages")

    found = town.all(
        "SELECT p.birth_year, m.married_on::text FROM population.marriage m JOIN population.person p USING (subject) ORDER BY 1"
    )
    assert [(row["birth_year"], row["married_on"]) for row in found] == [(1985, "2015-05-20"), (1990, "2015-05-20")]


def test_a_reference_to_nobody_is_counted(town):
    town.fill("police", [ZHANG])
    town.fill("civil", [("m1", ZHANG[1], LI[1], "2015-05-20"), ("m2", LI[1], ZHANG[1], "2015-05-20")])
    town.sync("register")

    town.sync("marriages")

    assert town.all("SELECT judged, failing FROM hub.batch_check WHERE rule = 'reference'") == [{"judged": 2, "failing": 1}]


def test_a_batch_with_too_many_broken_rows_is_held_until_an_officer_releases_it(town):
    town.fill("police", [ZHANG, BAD_NUMBER, (*BAD_NUMBER[:0], "r8", *BAD_NUMBER[1:])])
    with pytest.raises(Rejected, match="held"):
        town.sync("register")
    assert years(town) == []
    with pytest.raises(Refused, match="held"):
        town.sync("register")
    batch = town.all("SELECT id FROM hub.batch WHERE state = 'held'")[0]["id"]

    sync.release(batch, by="officer", reason="known fault of the source")

    assert years(town) == [1990]


def test_a_mass_delete_is_held(town):
    town.fill("police", [ZHANG, LI, WANG])
    town.sync("register")
    town.fill("police", [ZHANG])

    with pytest.raises(Rejected, match="are gone at the source"):
        town.sync("register")

    assert years(town) == [1985, 1990, 2000]


def test_a_discarded_batch_leaves_the_library_alone_and_the_job_free(town):
    town.fill("police", [ZHANG, BAD_NUMBER, ("r8", *BAD_NUMBER[1:])])
    with pytest.raises(Rejected):
        town.sync("register")
    batch = town.all("SELECT id FROM hub.batch WHERE state = 'held'")[0]["id"]

    sync.discard(batch, by="officer", reason="the source will send it again")

    town.fill("police", [ZHANG])
    town.sync("register")
    assert years(town) == [1990]
    assert town.all("SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relkind = 'r'") == []


def test_an_older_version_is_as_it_was(town):
    from hub.database.engine import engine
    from libraries.changes import changes, state_at
    from libraries.layout import layout_of
    from schemas.declarations import declarations

    town.fill("police", [ZHANG, LI])
    town.sync("register")
    town.fill("police", [ZHANG, WANG, person("r2", "19850101", 3, "李四四")])
    town.sync("register")
    layout = layout_of(declarations(), "population.person")

    with engine("hub_reader").connect() as connection:
        earlier = state_at(connection, layout, 2)
        feed = changes(connection, layout, after=2, until=3)

    assert [row["birth_year"] for row in town.all(f"SELECT birth_year FROM ({earlier}) e ORDER BY 1")] == [1985, 1990]
    assert [(row["change"], row["birth_year"]) for row in town.all(f"SELECT change, birth_year FROM ({feed}) f ORDER BY 2")] == [
        ("update", 1985),
        ("insert", 2000),
    ]


class TestIncremental:
    """A register that is read by its cursor."""

    @pytest.fixture
    def town(self, make_town: Callable[..., object]):
        return make_town(mode="incremental, cursor: changed")

    def test_only_what_is_newer_is_read(self, town):
        town.fill("police", [ZHANG, LI])
        town.sync("register")
        town.fill("police", [ZHANG, LI, (*WANG[:6], "2026-02-01 00:00:00")])

        town.sync("register")

        assert town.all("SELECT counts ->> 'read' AS read FROM hub.batch ORDER BY id DESC LIMIT 1") == [{"read": "1"}]
        assert years(town) == [1985, 1990, 2000]

    def test_a_row_that_the_cursor_does_not_show_is_found_by_its_key(self, town):
        town.fill("police", [ZHANG, LI])
        town.sync("register")
        town.fill("police", [ZHANG, LI, (*WANG[:6], "2020-01-01 00:00:00")])

        town.sync("register")

        assert years(town) == [1985, 1990, 2000]

    def test_a_row_that_left_the_source_is_found_by_its_key(self, town):
        town.fill("police", [ZHANG, LI, WANG])
        town.sync("register")
        town.fill("police", [ZHANG, WANG])

        town.sync("register")

        assert years(town) == [1990, 2000]

    def test_an_unchanged_source_changes_nothing(self, town):
        town.fill("police", [ZHANG, LI])
        town.sync("register")

        assert town.sync("register").versions == {}


def test_a_row_without_a_key_whose_person_occurs_twice_is_quarantined_once(town):
    others = [person(f"o{at}", "19700101", 2 * at + 1) for at in range(5)]
    town.fill("police", [LI, (None, *LI[1:]), (None, *LI[1:]), *others])

    town.sync("register")

    assert town.all("SELECT position FROM hub.quarantine ORDER BY 1") == [{"position": at} for at in (0, 1, 7)]
