"""What the declarations no longer name, fields and datasets that left, is pruned, withdrawn and erased like the rest."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from hub.database.engine import engine
from hub.errors import Refused
from hub.flows import erasure, retention
from hub.flows.withdrawal import withdraw_batch
from libraries.changes import state_at
from libraries.layout import layout_of
from schemas.declarations import declarations
from tests.flows.conftest import Town
from tests.flows.test_erasure import GROUNDS
from tests.flows.test_migration import INSURED, LIBRARY, MARRIAGES, REGISTER, SEX, edit, migrate, versions, withdraw_insurance
from tests.flows.test_sync import LI, ZHANG, number, person

LATER = datetime.now(UTC) + timedelta(days=2000)


def without_sex(town: Town) -> None:
    edit(town, LIBRARY, (f"      {SEX}\n", ""))
    edit(town, REGISTER, ("sex_code: sex, ", ""), ("version: 1", "version: 2"))
    migrate()


def age(town: Town) -> None:
    """Let everything in the libraries be years old."""
    town.change("UPDATE hub.library_version SET made_at = made_at - interval '4 years'")


def rows(town: Town, table: str) -> int:
    return town.all(f"SELECT count(*) FROM {table}")[0]["count"]


class TestADatasetThatLeft:
    @pytest.fixture
    def left(self, town: Town) -> Town:
        """Zhang was in the register and insured; the insurance contributes no more, and its contract is gone."""
        town.fill("police", [ZHANG, LI])
        town.sync("register")
        town.fill("welfare", [INSURED, ("no number", "赵六", None), (number("19700101", 7), "钱七", None)])
        town.sync("insurance")
        withdraw_insurance(town)
        migrate()
        return town

    def test_is_kept_no_longer_than_others(self, left):
        version = max(versions(left)) - 1
        assert retention.pruned(by="test").histories["population.person__insurance"] == 0
        age(left)

        done = retention.pruned(by="test")

        assert done.histories["population.person__insurance"] == 2
        with engine("hub_reader").connect() as connection, pytest.raises(Refused, match="no longer kept"):
            state_at(connection, layout_of(declarations(), "population.person"), version)

    def test_leaves_no_value_in_quarantine_when_its_time_is_over(self, left):
        assert retention.pruned(by="test", now=datetime.now(UTC) + timedelta(days=31)).quarantined["insurance"] == 1

        assert [bytes(row["sealed"]) for row in left.all("SELECT sealed FROM hub.quarantine")] == [b""]

    def test_keeps_the_identifiers_that_its_history_speaks_of(self, left):
        left.change("UPDATE hub.library_version SET made_at = made_at - interval '4 years' WHERE version < 4")
        assert rows(left, "population.person__key") == 3

        retention.pruned(by="test")

        assert (rows(left, "population.person__insurance__history"), rows(left, "population.person__key")) == (2, 3)


class TestAFieldThatLeft:
    @pytest.fixture
    def left(self, town: Town) -> Town:
        """Two versions of the register, with the sex; then without."""
        town.fill("police", [person("r1", "19900307", 1, name="张大"), LI])
        town.sync("register")
        town.fill("police", [ZHANG, LI])
        town.sync("register")
        without_sex(town)
        return town

    def test_is_kept_in_no_row_that_is_older_than_history_may_be(self, left):
        before = versions(left)
        assert sum(retention.pruned(by="test").retired.values()) == 0
        age(left)

        done = retention.pruned(by="test")

        assert done.retired["population.person__register"] == 2
        assert left.all("SELECT DISTINCT sex_code FROM population.person__register") == [{"sex_code": None}]
        assert versions(left) == before
        assert len(left.all("SELECT FROM population.person")) == 2
        assert sum(retention.pruned(by="test").retired.values()) == 0

    def test_goes_with_its_row_into_history_when_a_batch_is_withdrawn_and_comes_back_with_it(self, left):
        left.fill("police", [person("r1", "19900307", 1, name="张三三"), LI])
        left.sync("register")
        batch = left.all("SELECT max(id) AS id FROM hub.batch")[0]["id"]
        spoken = left.all(
            "SELECT sex_code FROM population.person__register__history WHERE until = (SELECT max(until) FROM population.person__register__history)"
        )

        withdraw_batch(batch, by="test", reason="wrong file")

        assert spoken[0]["sex_code"] == "1"
        assert left.all(
            "SELECT sex_code FROM population.person__register WHERE since = (SELECT max(since) FROM population.person__register)"
        ) == [{"sex_code": "1"}] * len(spoken)

    def test_names_an_erased_person_no_more_in_rows_of_others(self, town):
        spouse = "- {name: spouse_no, title: {zh: 配偶, en: Spouse}, type: string, level: L4, kind: kinship_citizen_id}"
        as_token = spouse.replace("L4, kind: kinship_citizen_id", "L3, kind: citizen_id, on_erasure: report")
        edit(town, LIBRARY, (spouse, as_token))
        edit(town, MARRIAGES, ("level: L4, kind: kinship_citizen_id}", "level: L3, kind: citizen_id}"))
        migrate()
        town.fill("police", [ZHANG, LI])
        town.sync("register")
        for day in ("2019-05-20", "2019-05-21"):
            town.fill("civil", [("J110101-1990-000001", LI[1], ZHANG[1], day)])
            town.sync("marriages")
        edit(town, LIBRARY, (f"      {as_token}\n", ""))
        edit(town, MARRIAGES, (", spouse_no: spouse_no}", "}"), ("version: 1", "version: 2"))
        migrate()

        done = erasure.erase(ZHANG[1], "citizen_id", GROUNDS)

        assert done.cleared == {"population.marriage__marriages (retired)": 2}
        for table in ("marriage__marriages", "marriage__marriages__history"):
            assert town.all(f"SELECT spouse_no, spouse_no__sealed FROM population.{table}") == [
                {"spouse_no": None, "spouse_no__sealed": None}
            ]
        with engine("hub_owner").connect() as connection:
            waiting = connection.execute(sa.text("SELECT name FROM hub.rewrite")).scalars().all()
        assert {"marriage__marriages", "marriage__marriages__history"} <= set(waiting)
