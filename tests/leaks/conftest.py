"""A town in which every sensitive value is unique, with broken rows, unreadable values and a file nobody can read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from hub.database import embedded
from hub.database.engine import engine
from hub.database.passwords import password
from hub.settings import settings
from libraries.plan import apply
from schemas.declarations import declarations
from tests.flows.conftest import Row, Town, settle

PERMITS = """
dataset: permits
department: police
version: 1
title: {zh: 居住证, en: Permits}
abstract: {zh: 居住证, en: Permits}
source: permits
file: permits.csv
key: [citizen_no]
fields:
  - {name: citizen_no, title: {zh: 身份号码, en: Number}, type: string, level: L3, kind: citizen_id, required: true}
  - {name: full_name, title: {zh: 姓名, en: Name}, type: string, level: L3, kind: person_name}
  - {name: born, title: {zh: 出生, en: Born}, type: date, level: L3, kind: birth_date}
  - {name: phone, title: {zh: 电话, en: Telephone}, type: string, level: L3, kind: mobile}
contributes:
  - entity: population.person
    subject: citizen_no
    fields: {full_name: full_name, birth_year: born}
gate: {failing: 0.5, deletes: 0.5}
sharing: {class: conditional, scope: 全市, use: 办事}
"""
SOURCE = """
source: permits
department: police
title: {zh: 文件, en: Files}
connector: csv
path: %s
"""
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass
class Marked:
    """Values that must not be found, by a name that may be told; each is asked for once and unique."""

    values: dict[str, str] = field(default_factory=dict)

    def _keep(self, what: str, value: str) -> str:
        name = f"{what} {len(self.values)}"
        assert value not in self.values.values()
        self.values[name] = value
        return value

    def number(self, what: str = "citizen number", *, right: bool = True) -> str:
        """A citizen number with a right or a wrong check character; its division and date make it unlike all others here."""
        place = len(self.values)
        body = f"110101{1960 + place % 40}{place % 12 + 1:02d}{place % 27 + 1:02d}{(place * 37 + 101) % 900 + 50:03d}"
        check = "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True)) % 11]
        return self._keep(what, body + (check if right else "5" if check != "5" else "6"))

    def name(self, what: str = "name") -> str:
        """A name of five characters, which is 15 bytes of UTF-8."""
        place = len(self.values)
        return self._keep(what, "欧阳" + chr(0x6C10 + place) + chr(0x7280 + 3 * place) + chr(0x9F00 + place % 90))

    def garbage(self, what: str) -> str:
        """A text that no type but text can read, and that quotes and escapes do not change."""
        place = len(self.values)
        return self._keep(what, f"unreadable {what} {place * 7919 + 104_729:x}")

    def certificate(self) -> str:
        """A marriage certificate's number."""
        return self._keep("certificate", f"J110101-2015-{len(self.values) * 7919 + 10_007:06d}")


def born(number: str) -> str:
    """The date in a citizen number."""
    return f"{number[6:10]}-{number[10:12]}-{number[12:14]}"


def person(marked: Marked, record: str) -> Row:
    """A valid row of the register."""
    number = marked.number()
    return (record, number, marked.name(), "1", born(number), None, "2026-01-01 00:00:00")


def with_permits(town: Town) -> None:
    """Declare one more dataset, from a file, and bring the tables into step."""
    home = town.home
    contract = home / "schemas" / "contracts" / "police" / "permits.yaml"
    contract.write_text(PERMITS, encoding="utf-8")
    (home / "connectors" / "sources" / "permits.yaml").write_text(SOURCE % home, encoding="utf-8")
    library = home / "schemas" / "libraries" / "population.yaml"
    second = "      - {rank: 2, dataset: insurance, basis: 社会保险法}\n"
    text = library.read_text(encoding="utf-8").replace(second, second + "      - {rank: 3, dataset: permits, basis: 居住证条例}\n")
    library.write_text(text, encoding="utf-8")
    declarations.cache_clear()
    apply(declarations(), engine("hub_owner"))


@pytest.fixture(scope="module")
def marked_town(hub_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The town with the dataset from a file; its home is the departments' own and is not searched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "300")
        town = settle(tmp_path_factory.mktemp("town"), patch)
        with_permits(town)
        yield town
    settings.cache_clear()
    declarations.cache_clear()


@pytest.fixture(scope="module")
def administrator(hub_database: Path) -> str:
    """The connection string of the embedded server's administrator."""
    return make_conninfo(host=str(embedded.status().socket), user="postgres", password=password("postgres"), dbname="postgres")
