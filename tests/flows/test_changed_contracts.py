"""Contracts that change under a library that is filled: another key is refused, values that may not stay go, a version not raised is told."""

import pytest
from typer.testing import CliRunner

from hub.cli import app
from hub.errors import Mistake, Refused
from hub.flows import bases
from hub.settings import REPOSITORY
from schemas.declarations import declarations
from tests.flows.conftest import Town
from tests.flows.test_migration import LIBRARY, REGISTER, SEX, as_of, edit, migrate, versions, withdraw_insurance
from tests.flows.test_sync import LI, WANG, ZHANG, person

FIELD = "en: Sex}, type: string, level: L2}"


@pytest.fixture
def loaded(town: Town) -> Town:
    """A town with two versions of its register: one person's name changed."""
    town.fill("police", [ZHANG, LI, WANG])
    town.sync("register")
    town.fill("police", [ZHANG, person("r2", "19850101", 3, "李四四"), WANG])
    town.sync("register")
    return town


def treat_sex_as(town: Town, kind: str) -> None:
    """Let the sex be of *kind*, in the library and in the contract."""
    edit(town, LIBRARY, (SEX, SEX.replace("level: L2}", f"level: L3, kind: {kind}}}")))
    edit(town, REGISTER, (FIELD, FIELD.replace("level: L2}", f"level: L3, kind: {kind}}}")), ("version: 1", "version: 2"))


class TestAnotherKey:
    def test_is_refused_by_plan_apply_and_jobs_with_both_keys_and_the_remedy(self, loaded):
        edit(loaded, REGISTER, ("key: [record]", "key: [citizen_no]"), ("version: 1", "version: 2"))

        for act in (bases.planned, lambda: bases.applied(by="test"), lambda: loaded.sync("register")):
            with pytest.raises(Mistake, match=r"`citizen_no string as token citizen_id`.*known by `record string`[^`]*\n.*new dataset"):
                act()

        assert len(loaded.all("SELECT FROM population.person__register")) == 3

    def test_is_none_where_only_its_field_was_renamed(self, loaded):
        edit(loaded, REGISTER, ("key: [record]", "key: [record_no]"), ("{name: record,", "{name: record_no, column: record,"))

        migrate()

        assert loaded.sync("register").versions == {}

    def test_may_be_declared_while_nothing_was_published(self, town):
        edit(town, REGISTER, ("key: [record]", "key: [citizen_no]"))
        migrate()
        town.fill("police", [ZHANG])

        assert town.sync("register").versions == {"population": 2}


class TestAVersionNotRaised:
    def told(self) -> str:
        return CliRunner().invoke(app, ["library", "plan"]).stderr

    def test_is_told_until_it_is_raised(self, loaded):
        assert "version" not in self.told()
        edit(loaded, REGISTER, (FIELD, FIELD.replace("level: L2}", "level: L2, required: true}")))
        assert "the contract of register changed without its version being raised" in self.told()

        edit(loaded, REGISTER, ("version: 1", "version: 2"))

        assert "register" not in self.told()

    def test_is_right_for_words_schedule_and_gate(self, loaded):
        edit(
            loaded,
            REGISTER,
            ("gate: {failing: 0.5", "gate: {failing: 0.4"),
            ("title: {zh: 户籍, en: Register}", "title: {zh: 户籍, en: R}"),
        )

        assert bases.unraised() == ()


class TestAFieldThatMayNotBeStoredAnyMore:
    def test_goes_from_rows_and_history_and_no_version_is_lost(self, loaded):
        before, names = versions(loaded), as_of("population.person", 2, "subject, full_name, birth_year")
        treat_sex_as(loaded, "religion")

        with pytest.raises(Refused, match=r"may not be stored any more: sex_code"):
            migrate()
        migrate(forget=True)

        assert _columns(loaded, "sex_code") == []
        assert versions(loaded) == before
        assert as_of("population.person", 2, "subject, full_name, birth_year") == names
        loaded.sync("register")
        assert _columns(loaded, "sex_code") == []
        assert len(loaded.all("SELECT FROM population.person")) == 3

    def test_goes_with_its_seals_and_from_datasets_that_left_too(self, loaded):
        loaded.fill("welfare", [(ZHANG[1], "张三", "13900000009")])
        loaded.sync("insurance")
        withdraw_insurance(loaded)
        migrate()
        for file in (LIBRARY, REGISTER):
            edit(loaded, file, ("kind: mobile", "kind: religion"))

        migrate(forget=True)

        assert [name for name in _columns(loaded, "phone%") if "insurance" in name or "register" in name] == []


class TestAFieldThatIsCoarserNow:
    def test_leaves_no_finer_value_in_rows_or_history_though_the_column_keeps_its_type(self, town):
        as_sex = ("level: L2}", "level: L2, kind: sex}")
        edit(town, LIBRARY, (SEX, SEX.replace(*as_sex)))
        edit(town, REGISTER, (FIELD, FIELD.replace(*as_sex)))
        migrate()
        for name in ("张大", "张三"):
            town.fill("police", [person("r1", "19900307", 1, name), LI])
            town.sync("register")
        policy = town.home / "masking" / "policies" / "library.yaml"
        policy.parent.mkdir(parents=True)
        shipped = (REPOSITORY / "masking" / "policies" / "library.yaml").read_text(encoding="utf-8")
        coarser = "{kind: sex, treatment: generalise, how: prefix_1}"
        policy.write_text(shipped.replace("{kind: sex, treatment: keep}", coarser).replace("version: 1", "version: 2"), encoding="utf-8")
        declarations.cache_clear()

        with pytest.raises(Refused, match=r"stored in clear.*: sex_code"):
            migrate()
        migrate(forget=True)

        for table in ("person__register", "person__register__history"):
            assert town.all(f"SELECT DISTINCT sex_code FROM population.{table}") == [{"sex_code": None}]
        assert len(as_of("population.person", 2, "subject")) == 2
        town.sync("register")
        assert town.all("SELECT DISTINCT sex_code FROM population.person") == [{"sex_code": "1"}]
        assert migrate() == []


def _columns(town: Town, like: str) -> list[str]:
    rows = town.all(
        "SELECT attrelid::regclass::text || '.' || attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        f"WHERE c.relnamespace = 'population'::regnamespace AND attname LIKE '{like}' AND NOT attisdropped AND c.relkind = 'r'"
    )
    return sorted(str(row["name"]) for row in rows)
