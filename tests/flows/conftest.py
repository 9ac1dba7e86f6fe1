"""A small town: three departments with SQLite databases, one population library, everything else real."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from hub.database import embedded
from hub.database.engine import engine
from hub.database.passwords import password
from hub.database.roles import establish
from hub.flows import keys, sync
from hub.settings import settings
from schemas.declarations import declarations

LIBRARY = """
library: population
title: {zh: 人口库, en: Population}
entities:
  - entity: person
    title: {zh: 自然人, en: Person}
    form: composed
    subject: citizen_id
    exists_by: [register]
    authority:
      - {rank: 1, dataset: register, basis: 户口登记条例}
      - {rank: 2, dataset: insurance, basis: 社会保险法}
    fields:
      - {name: full_name, title: {zh: 姓名, en: Name}, type: string, level: L3, kind: person_name}
      - {name: sex_code, title: {zh: 性别, en: Sex}, type: string, level: L2}
      - {name: birth_year, title: {zh: 出生年, en: Year of birth}, type: integer, level: L2, kind: birth_year}
      - name: phone
        title: {zh: 电话, en: Telephone}
        type: string
        level: L3
        kind: mobile
        authority:
          - {rank: 1, dataset: insurance, basis: 社会保险法}
          - {rank: 2, dataset: register, basis: 户口登记条例}
  - entity: marriage
    title: {zh: 婚姻, en: Marriage}
    form: collected
    parent: person
    subject: citizen_id
    fields:
      - {name: married_on, title: {zh: 登记日期, en: Date}, type: date, level: L2}
      - {name: spouse_no, title: {zh: 配偶, en: Spouse}, type: string, level: L4, kind: kinship_citizen_id}
"""

REGISTER = """
dataset: register
department: police
version: 1
title: {zh: 户籍, en: Register}
abstract: {zh: 户籍, en: Register}
source: police
table: register
key: [record]
fields:
  - {name: record, title: {zh: 编号, en: Record}, type: string, level: L2, required: true}
  - {name: citizen_no, title: {zh: 身份号码, en: Number}, type: string, level: L3, kind: citizen_id, required: true}
  - {name: full_name, title: {zh: 姓名, en: Name}, type: string, level: L3, kind: person_name, required: true}
  - {name: sex, title: {zh: 性别, en: Sex}, type: string, level: L2}
  - {name: born, title: {zh: 出生, en: Born}, type: date, level: L3, kind: birth_date}
  - {name: phone, title: {zh: 电话, en: Telephone}, type: string, level: L3, kind: mobile}
  - {name: changed, title: {zh: 更新, en: Changed}, type: timestamp, level: L1, required: true}
rules:
  - {rule: birth_agrees, fields: [born, citizen_no]}
contributes:
  - entity: population.person
    subject: citizen_no
    fields: {full_name: full_name, sex_code: sex, birth_year: born, phone: phone}
sync: {mode: SYNC_MODE}
gate: {failing: 0.5, deletes: 0.5}
sharing: {class: conditional, scope: 全市, use: 办事}
"""

INSURANCE = """
dataset: insurance
department: welfare
version: 1
title: {zh: 参保, en: Insurance}
abstract: {zh: 参保, en: Insurance}
source: welfare
table: insurance
key: [citizen_no]
fields:
  - {name: citizen_no, title: {zh: 身份号码, en: Number}, type: string, level: L3, kind: citizen_id, required: true}
  - {name: full_name, title: {zh: 姓名, en: Name}, type: string, level: L3, kind: person_name}
  - {name: phone, title: {zh: 电话, en: Telephone}, type: string, level: L3, kind: mobile}
contributes:
  - entity: population.person
    subject: citizen_no
    fields: {full_name: full_name, phone: phone}
gate: {failing: 0.5, deletes: 0.5}
sharing: {class: conditional, scope: 全市, use: 办事}
"""

MARRIAGE = """
dataset: marriages
department: civil
version: 1
title: {zh: 婚姻, en: Marriages}
abstract: {zh: 婚姻, en: Marriages}
source: civil
table: marriages
key: [certificate]
fields:
  - {name: certificate, title: {zh: 证号, en: Certificate}, type: string, level: L3, kind: marriage_cert_no, required: true}
  - {name: citizen_no, title: {zh: 身份号码, en: Number}, type: string, level: L3, kind: citizen_id, required: true}
  - {name: spouse_no, title: {zh: 配偶号码, en: Spouse}, type: string, level: L4, kind: kinship_citizen_id}
  - {name: married_on, title: {zh: 登记日期, en: Date}, type: date, level: L2}
rules:
  - {rule: reference, fields: [citizen_no], severity: warning, parameters: {entity: population.person}}
contributes:
  - entity: population.marriage
    subject: citizen_no
    fields: {married_on: married_on, spouse_no: spouse_no}
gate: {failing: 0.5, deletes: 0.6}
sharing: {class: conditional, scope: 全市, use: 办事}
"""

COLUMNS = {
    "police": ("register", "record TEXT, citizen_no TEXT, full_name TEXT, sex TEXT, born TEXT, phone TEXT, changed TEXT"),
    "welfare": ("insurance", "citizen_no TEXT, full_name TEXT, phone TEXT"),
    "civil": ("marriages", "certificate TEXT, citizen_no TEXT, spouse_no TEXT, married_on TEXT"),
}

Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Town:
    """The town's systems and the hub that reads them."""

    home: Path

    def fill(self, department: str, rows: Sequence[Row]) -> None:
        """Make *rows* the whole content of a department's table."""
        table, columns = COLUMNS[department]
        with sqlite3.connect(self.home / f"{department}.sqlite") as database:
            database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
            database.execute(f"DELETE FROM {table}")
            slots = ", ".join("?" * len(columns.split(",")))
            database.executemany(f"INSERT INTO {table} VALUES ({slots})", rows)
        database.close()

    def sync(self, dataset: str) -> sync.Published:
        """Run a job to its end."""
        return sync.sync(dataset, started_by="test")

    def all(self, query: str) -> list[dict[str, object]]:
        """Ask the hub database as its owner."""
        with engine("hub_owner").connect() as connection:
            return [dict(row) for row in connection.execute(sa.text(query)).mappings()]

    def change(self, statement: str) -> None:
        """Change the hub database as its owner."""
        with engine("hub_owner").begin() as connection:
            connection.execute(sa.text(statement))


def _write_home(home: Path, *, mode: str) -> None:
    contracts = {"police/register": REGISTER.replace("SYNC_MODE", mode), "welfare/insurance": INSURANCE, "civil/marriages": MARRIAGE}
    for name, text in contracts.items():
        path = home / "schemas" / "contracts" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (home / "schemas" / "libraries").mkdir()
    (home / "schemas" / "libraries" / "population.yaml").write_text(LIBRARY, encoding="utf-8")
    (home / "connectors" / "sources").mkdir(parents=True)
    (home / "catalog").mkdir()
    rows = ["departments:"]
    for department in COLUMNS:
        source = f"source: {department}\ndepartment: {department}\ntitle: {{zh: 库, en: Store}}\nconnector: sqlite\npath: {home}/{department}.sqlite\n"
        (home / "connectors" / "sources" / f"{department}.yaml").write_text(source, encoding="utf-8")
        rows.append(f"  - {{department: {department}, title: {{zh: 部门, en: Department}}, credit_code: 11100000000013338W}}")
    (home / "catalog" / "departments.yaml").write_text("\n".join(rows), encoding="utf-8")


def _forget() -> None:
    with engine("hub_owner").begin() as connection:
        schemas = connection.execute(sa.text("SELECT DISTINCT library FROM hub.library_view")).scalars().all()
        for name in schemas:
            connection.execute(sa.text(f'DROP SCHEMA "{name}" CASCADE'))
        staged = connection.execute(sa.text("SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relkind = 'r'"))
        for name in staged.scalars().all():
            connection.execute(sa.text(f'DROP TABLE staging."{name}"'))
        connection.execute(
            sa.text(
                "TRUNCATE hub.batch, hub.batch_check, hub.watermark, hub.library_version, hub.authority, hub.library_view, hub.quarantine, "
                "hub.job, hub.history_kept, hub.hold, hub.held_subject, hub.erasure, hub.suppression, hub.tombstone, hub.rewrite, "
                "hub.key_check"
            )
        )
    shutil.rmtree(settings().state / "checkpoint", ignore_errors=True)  # the next town has come less far
    (settings().state / "erasures.jsonl").unlink(missing_ok=True)  # and has other people


def _forget_settings() -> None:
    settings.cache_clear()
    declarations.cache_clear()
    keys.keyring.cache_clear()


def settle(home: Path, patch: pytest.MonkeyPatch, *, mode: str = "full") -> Town:
    """Declare the town in *home*, empty the database, and make the town's library tables."""
    from libraries.plan import apply

    _write_home(home, mode=mode)
    patch.setenv("HUB_HOME", str(home))
    _forget_settings()
    keys.ensure_keys()
    _forget()
    apply(declarations(), engine("hub_owner"))
    return Town(home)


@pytest.fixture(scope="session")
def forget_all() -> Callable[[], None]:
    """Return what empties the hub database, for fixtures that outlive one test."""
    return _forget


@pytest.fixture
def forget() -> Callable[[], None]:
    """Return what empties the hub database of every library, batch and job."""
    return _forget


@pytest.fixture
def make_town(hub_database: Path, tmp_path: Path) -> Iterator[Callable[..., Town]]:
    """Return a maker of the town, in the given sync mode of its register; the database is empty before and after."""
    with pytest.MonkeyPatch.context() as patch:

        def make(*, mode: str = "full") -> Town:
            return settle(tmp_path, patch, mode=mode)

        yield make
    settings.cache_clear()
    declarations.cache_clear()


class Standing:
    """Towns that several tests begin with: each is built once, kept, and put back whole for the next test that asks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._administrator = make_conninfo(
            host=str(embedded.status().socket), user=embedded.ADMINISTRATOR, password=password(embedded.ADMINISTRATOR), dbname="postgres"
        )

    def town(self, patch: pytest.MonkeyPatch, name: str, build: Callable[[Town], object]) -> Town:
        """Return the town *name* as *build* left it, always in the same home."""
        home, kept, checkpoint = self._folder / name, self._folder / f"{name}.kept", settings().state / "checkpoint"
        if kept.exists():
            patch.setenv("HUB_HOME", str(home))
            _forget_settings()
            for old, new in ((kept / "home", home), (kept / "checkpoint", checkpoint)):
                shutil.rmtree(new, ignore_errors=True)
                shutil.copytree(old, new)
            (settings().state / "erasures.jsonl").unlink(missing_ok=True)  # whom another test erased
            self._copy(f"kept_{name}", "hub")
            establish(self._administrator)
            return Town(home)
        home.mkdir()
        town = settle(home, patch)
        build(town)
        shutil.copytree(home, kept / "home")
        shutil.copytree(checkpoint, kept / "checkpoint")
        self._copy("hub", f"kept_{name}")
        return town

    def _copy(self, old: str, new: str) -> None:
        with psycopg.connect(self._administrator, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {new} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {new} TEMPLATE {old} OWNER hub_owner STRATEGY file_copy")

    def forget(self) -> None:
        """Drop what is kept."""
        with psycopg.connect(self._administrator, autocommit=True) as connection:
            for kept in self._folder.glob("*.kept"):
                connection.execute(f"DROP DATABASE kept_{kept.stem}")


@pytest.fixture(scope="module")
def _standing(hub_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    made = Standing(tmp_path_factory.mktemp("standing"))
    yield made
    made.forget()


@pytest.fixture
def standing(_standing: Standing) -> Iterator[Callable[[str, Callable[[Town], object]], Town]]:
    """Return what gives the town *name* as *build* makes it; all that tests do with it is undone for the next."""
    with pytest.MonkeyPatch.context() as patch:
        yield lambda name, build: _standing.town(patch, name, build)
    settings.cache_clear()
    declarations.cache_clear()


@pytest.fixture
def town(make_town: Callable[..., Town]) -> Town:
    """The town with full sync everywhere."""
    return make_town()
