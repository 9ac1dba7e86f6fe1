"""Nothing is kept longer than its contract says, and nothing that a court wants is lost."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from hub.database.engine import engine
from hub.errors import Refused, Rejected
from hub.flows import holds, retention, sync
from hub.flows.withdrawal import withdraw_batch
from hub.settings import settings
from libraries.changes import changes, state_at
from libraries.layout import layout_of
from schemas.declarations import declarations
from tests.flows.conftest import Town
from tests.flows.test_sync import BAD_NUMBER, LI, ZHANG, person, years

LATER = datetime.now(UTC) + timedelta(days=2000)


def prune(now: datetime = LATER, **more: int) -> retention.Pruned:
    return retention.pruned(by="officer", now=now, **more)


def rows(town: Town, table: str) -> int:
    return town.all(f"SELECT count(*) FROM {table}")[0]["count"]


@pytest.fixture
def aged(standing: Callable[..., Town]) -> Town:
    """Versions 2, 3 and 4, each with one row changed; everything but the newest version is years old."""
    return standing("aged", _age)


def _age(town: Town) -> None:
    for name in ("张一", "张二", "张三"):
        town.fill("police", [person("r1", "19900307", 1, name=name), LI])
        town.sync("register")
    with engine("hub_owner").begin() as connection:
        connection.exec_driver_sql("UPDATE hub.library_version SET made_at = made_at - interval '4 years' WHERE version < 4")


def test_what_ended_before_the_declared_time_goes_and_what_ended_since_stays(aged):
    done = prune(datetime.now(UTC))

    assert done.histories["population.person__register"] == 1
    assert aged.all("SELECT since, until FROM population.person__register__history") == [{"since": 3, "until": 4}]
    assert years(aged) == [1985, 1990]


def test_older_versions_are_refused_with_the_earliest_there_is(aged):
    prune(datetime.now(UTC))
    layout = layout_of(declarations(), "population.person")

    with engine("hub_reader").connect() as connection:
        with pytest.raises(Refused, match="earliest version that can be asked for is 3"):
            state_at(connection, layout, 2)
        with pytest.raises(Refused, match="no longer kept"):
            changes(connection, layout, after=2, until=4)
        assert state_at(connection, layout, 3)


def test_steps_are_bounded_and_each_is_recorded(aged):
    before = rows(aged, "audit.entry WHERE event = 'history:pruned'")

    done = prune(step=1)

    assert done.histories["population.person__register"] == 2
    assert rows(aged, "audit.entry WHERE event = 'history:pruned'") == before + 2


def test_a_second_run_finds_nothing(aged):
    prune()

    done = prune()

    assert sum(done.histories.values()) + sum(done.identifiers.values()) + sum(done.quarantined.values()) == 0


def test_a_subject_of_whom_nothing_is_left_loses_their_identifier(town):
    town.fill("police", [ZHANG, LI])
    town.sync("register")
    town.fill("police", [ZHANG])
    town.sync("register")

    done = prune()

    assert done.identifiers["population.person"] == 1
    assert rows(town, "population.person__key") == 1


def test_a_legal_hold_keeps_what_is_due(aged):
    case = holds.hold_subject(ZHANG[1], "citizen_id", reason="lawsuit", legal_basis="law", by="officer")
    assert prune().histories["population.person__register"] == 0
    holds.release(case, reason="settled", by="officer")
    other = holds.hold_dataset("register", reason="lawsuit", legal_basis="law", by="officer")
    assert prune().histories["population.person__register"] == 0
    holds.release(other, reason="settled", by="officer")

    assert prune().histories["population.person__register"] == 2


def test_values_in_quarantine_expire_and_the_account_still_adds_up(town):
    town.fill("police", [ZHANG, LI, BAD_NUMBER])
    town.sync("register")

    done = prune(datetime.now(UTC) + timedelta(days=31))

    assert done.quarantined["register"] == 1
    assert [bytes(row["sealed"]) for row in town.all("SELECT sealed FROM hub.quarantine")] == [b""]
    town.sync("register")


def test_a_batch_whose_predecessors_are_gone_is_not_withdrawn(aged):
    batch = aged.all("SELECT id FROM hub.batch ORDER BY id LIMIT 2")[1]["id"]
    prune(datetime.now(UTC))

    with pytest.raises(Refused, match="kept from version 3 on"):
        withdraw_batch(batch, by="officer", reason="wrong")


def test_leftovers_of_discarded_batches_go(town):
    town.fill("police", [ZHANG, BAD_NUMBER, ("r8", *BAD_NUMBER[1:])])
    with pytest.raises(Rejected):
        town.sync("register")
    batch = town.all("SELECT id FROM hub.batch WHERE state = 'held'")[0]["id"]
    page = settings().state / "docs" / "register" / f"{batch}.html"
    assert page.is_file()
    sync.discard(batch, by="officer", reason="comes again")
    with engine("hub_writer").begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE staging.b{batch}_keys (row_key bytea)")  # as a run leaves it that was cut off just here

    done = prune(datetime.now(UTC))

    assert (done.staging, done.documents) == ([batch], [f"register/{batch}.html"])
    assert not page.exists()
