"""The libraries that came by declaration: each carries the rows of the demo city's departments."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from demo import city
from demo.registers import registers
from demo.truth import city as truth_of
from hub.database.engine import engine
from hub.flows import bases, keys, sync
from hub.settings import REPOSITORY, settings
from schemas.declarations import declarations

SCALE = 0.02
FED = {
    "macro_economy.observation": ("economic_statistics", "fiscal_statistics"),
    "social_credit.penalty": ("administrative_penalty",),
    "administrative_powers.power": ("power_list",),
    "service_items.implementation": ("service_implementation",),
}


@pytest.fixture(scope="module")
def summary(hub_database, forget_all) -> Iterator[city.CitySummary]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUB_HOME", str(REPOSITORY))
        patch.setenv("HUB_STATE", str(hub_database))
        settings.cache_clear()
        declarations.cache_clear()
        keys.keyring.cache_clear()
        keys.ensure_keys()
        forget_all()
        made = city.build(hub_database, city.administrator(), scale=SCALE)
        bases.applied(by="test")
        for datasets in FED.values():
            for dataset in datasets:
                batch = sync.sync(dataset, started_by="test")
                assert batch.versions
        yield made
        forget_all()
    settings.cache_clear()
    declarations.cache_clear()


def rows(query: str) -> list[tuple[object, ...]]:
    with engine("hub_owner").connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


@pytest.mark.parametrize("dataset", [dataset for datasets in FED.values() for dataset in datasets])
def test_every_sound_row_is_in_the_library(summary, dataset):
    entity = next(path for path, datasets in FED.items() if dataset in datasets)
    library, name = entity.split(".")
    told = summary.datasets[dataset]

    assert rows(f'SELECT count(*) FROM "{library}"."{name}__{dataset}"') == [(told.rows - told.quarantined,)]


def test_the_tables_are_what_the_declarations_ask_for(summary):
    assert bases.planned() == ()


def test_the_accounts_speak_for_revenue_and_the_yearbook_is_the_dispute(summary):
    told = summary.datasets["economic_statistics"].disagreements["value"]
    found = [(one.field, one.stands, one.differs) for one in bases.all_disputes("macro_economy")]

    assert found == [("value", "fiscal_statistics", "economic_statistics")]
    assert 0 < bases.all_disputes("macro_economy")[0].subjects <= told
    query = (
        "SELECT count(*) FROM macro_economy.observation o JOIN macro_economy.observation__fiscal_statistics f USING (subject) "
        "WHERE o.value <> f.value"
    )
    assert rows(query) == [(0,)]


def test_a_figure_is_found_by_division_indicator_and_period(summary):
    table = registers(truth_of(summary.seed, SCALE))["economic_statistics"].table.to_pylist()
    wanted = next(row for row in table if row["indicator_code"] == "GDP")
    key = "|".join(wanted[name] for name in ("division_code", "indicator_code", "period"))

    found = rows(
        f"SELECT trim_scale(value)::numeric = {wanted['value']}, preliminary FROM macro_economy.observation WHERE subject_key = '{key}'"
    )

    assert found == [(True, wanted["preliminary"] == "是")]


def test_a_penalty_names_its_organisation_and_its_type(summary):
    table = registers(truth_of(summary.seed, SCALE))["administrative_penalty"].table.to_pylist()
    kept = {(row["decision_no"], row["credit_code"], row["penalty_type"]) for row in table}

    found = set(rows("SELECT decision_no, credit_code, penalty_type FROM social_credit.penalty"))

    assert found
    assert found <= kept


def test_powers_and_items_carry_their_department(summary):
    assert rows("SELECT count(DISTINCT holder_code), count(DISTINCT power_type) FROM administrative_powers.power") == [(13, 4)]
    assert rows("SELECT min(length(implementation_code)), bool_and(promised_days <= statutory_days) FROM service_items.implementation") == [
        (31, True)
    ]
