"""A person is erased, and no later sync brings them back."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hub import cli
from hub.database import embedded
from hub.database.engine import engine
from hub.database.passwords import password
from hub.errors import Mistake, Refused, Rejected
from hub.flows import erasure, erasure_log, holds, jobs, sync
from hub.flows.erasure_log import Grounds
from hub.flows.explaining import explain
from hub.flows.keys import keyring
from hub.flows.naturals import typed_key
from hub.flows.replay import replay
from hub.flows.withdrawal import withdraw_batch
from libraries.changes import changes
from libraries.erasure import erased
from libraries.layout import layout_of
from libraries.plan import apply
from schemas.declarations import declarations
from tests.flows.conftest import Town
from tests.flows.test_sync import LI, WANG, ZHANG, number, person, years
from tests.leaks.search import dumped

GROUNDS = Grounds(requester="王科长", approver="李处长", reason="purpose fulfilled", legal_basis="PIPL Art. 47", by="officer")

LICENSE = """
  - entity: license
    title: {zh: 证照, en: License}
    form: collected
    subject: road_id
    fields:
      - {name: holder_no, title: {zh: 持证人, en: Holder}, type: string, level: L3, kind: citizen_id, on_erasure: row}
      - {name: agent_no, title: {zh: 经办人, en: Agent}, type: string, level: L3, kind: citizen_id, on_erasure: clear}
      - {name: witness_no, title: {zh: 证明人, en: Witness}, type: string, level: L3, kind: citizen_id}
"""
LICENSES = """
dataset: licenses
department: police
version: 1
title: {zh: 证照, en: Licenses}
abstract: {zh: 证照, en: Licenses}
source: licenses
file: licenses.csv
key: [license]
fields:
  - {name: license, title: {zh: 证照, en: License}, type: string, level: L2, kind: road_id, required: true}
  - {name: holder_no, title: {zh: 持证人, en: Holder}, type: string, level: L3, kind: citizen_id}
  - {name: agent_no, title: {zh: 经办人, en: Agent}, type: string, level: L3, kind: citizen_id}
  - {name: witness_no, title: {zh: 证明人, en: Witness}, type: string, level: L3, kind: citizen_id}
contributes:
  - entity: population.license
    subject: license
    fields: {holder_no: holder_no, agent_no: agent_no, witness_no: witness_no}
gate: {failing: 1, deletes: 1}
sharing: {class: conditional, scope: 全市, use: 办事}
"""
SOURCE = "source: licenses\ndepartment: police\ntitle: {zh: 文件, en: Files}\nconnector: csv\npath: %s\n"
LICENSE_ROWS = (
    ("L1", ZHANG[1], LI[1], ""),
    ("L2", LI[1], ZHANG[1], ""),
    ("L3", LI[1], "", ZHANG[1]),
)


def token_of(identifier: str) -> bytes:
    found = typed_key(identifier, [declarations().kinds["citizen_id"]], keyring())
    assert found is not None
    return found


def erase(identifier: str = ZHANG[1] or "") -> erasure.Erasure:
    return erasure.erase(identifier, "citizen_id", GROUNDS)


def rows(town: Town, table: str) -> int:
    return town.all(f"SELECT count(*) FROM {table}")[0]["count"]


@pytest.fixture(autouse=True)
def no_log(hub_state: Path) -> None:
    erasure_log.path().unlink(missing_ok=True)


@pytest.fixture
def full(standing: Callable[..., Town]) -> Town:
    """Zhang is in the register with a history, insured, and married; Li too."""
    return standing("full", _fill)


def _fill(town: Town) -> None:
    town.fill("police", [person("r1", "19900307", 1, name="张大"), LI])
    town.fill("welfare", [(ZHANG[1], "张叁", "13900000002"), (LI[1], "李四", None)])
    town.fill("civil", [("m1", ZHANG[1], LI[1], "2015-05-20"), ("m2", LI[1], ZHANG[1], "2015-05-20")])
    for dataset in ("register", "insurance", "marriages"):
        town.sync(dataset)
    town.fill("police", [ZHANG, LI])
    town.sync("register")


@pytest.fixture
def licensed(standing: Callable[..., Town]) -> Town:
    """Licenses too: one held by Zhang, one on which Zhang acted, one that Zhang witnessed."""
    return standing("licensed", _license)


def _license(full: Town) -> None:
    _fill(full)
    library = full.home / "schemas" / "libraries" / "population.yaml"
    library.write_text(library.read_text(encoding="utf-8") + LICENSE, encoding="utf-8")
    (full.home / "schemas" / "contracts" / "police" / "licenses.yaml").write_text(LICENSES, encoding="utf-8")
    (full.home / "connectors" / "sources" / "licenses.yaml").write_text(SOURCE % full.home, encoding="utf-8")
    lines = ["license,holder_no,agent_no,witness_no", *(",".join(row) for row in LICENSE_ROWS)]
    (full.home / "licenses.csv").write_text("\n".join(lines), encoding="utf-8")
    declarations.cache_clear()
    apply(declarations(), engine("hub_owner"))
    full.sync("licenses")


def test_every_row_of_the_person_goes_now_and_in_history_and_nobody_elses(full):
    done = erase()

    assert years(full) == [1985]
    assert done.removed == {"insurance": 1, "marriages": 1, "register": 2}
    assert rows(full, "population.person__register__history") == 0
    assert (rows(full, "population.marriage"), rows(full, "population.person__insurance"), rows(full, "population.person__key")) == (
        1,
        1,
        1,
    )
    assert done.departments == ("civil", "police", "welfare")
    assert done.unsearchable == ("population.marriage.spouse_no",)


def test_no_sync_brings_them_back_and_the_counts_add_up(full):
    erase()
    full.fill("police", [("r1", *ZHANG[1:2], "张又改", *ZHANG[3:]), LI])

    for dataset in ("register", "insurance", "marriages"):
        full.sync(dataset)

    assert years(full) == [1985]
    counted = full.all("SELECT counts ->> 'suppressed' AS suppressed, counts ->> 'read' AS read FROM hub.batch ORDER BY id DESC LIMIT 3")
    assert counted == [{"suppressed": "1", "read": "1"}] * 3
    assert rows(full, "population.person__key") == 1


def test_a_broken_row_of_theirs_is_not_quarantined(full):
    erase()
    full.fill("police", [("r1", ZHANG[1], None, "1", "1970-01-01", None, None), LI, ("r9", *ZHANG[1:])])

    full.sync("register")

    assert rows(full, "hub.quarantine") == 0


def test_a_first_load_is_adopted_without_them(town):
    erase()
    town.fill("police", [ZHANG, LI])

    town.sync("register")

    assert years(town) == [1985]
    assert rows(town, "population.person__key") == 1


def test_withdrawing_a_later_batch_does_not_bring_them_back(full):
    full.fill("police", [person("r1", "19900307", 1, name="张四"), person("r2", "19850101", 3, "李五")])
    batch = full.sync("register").batch
    erase()

    withdraw_batch(batch, by="officer", reason="wrong file")

    assert years(full) == [1985]
    jobs.resume("register", by="officer")
    full.sync("register")
    assert years(full) == [1985]


def test_an_incremental_job_reads_on_by_its_cursor(make_town):
    town = make_town(mode="incremental, cursor: changed")
    town.fill("police", [ZHANG, LI])
    town.sync("register")
    erase()
    town.fill("police", [ZHANG, LI, (*WANG[:6], "2026-02-01 00:00:00")])

    town.sync("register")

    assert town.all("SELECT counts ->> 'read' AS read FROM hub.batch ORDER BY id DESC LIMIT 1") == [{"read": "1"}]
    assert years(town) == [1985, 2000]


def test_a_former_number_is_kept_out_too(town):
    town.fill("police", [ZHANG])
    town.sync("register")
    corrected = number("19900307", 9)
    town.fill("police", [person("r1", "19900307", 9)])
    town.sync("register")

    erase(corrected)
    town.fill("welfare", [(ZHANG[1], "张三", None), (corrected, "张三", None)])
    town.sync("insurance")

    assert rows(town, "population.person__insurance") == 0


def test_what_the_feed_says_of_them_is_erased(full):
    version = full.all("SELECT max(version) AS version FROM hub.library_version")[0]["version"]
    subject = full.all("SELECT subject FROM population.person WHERE birth_year = 1990")[0]["subject"]

    erase()

    with engine("hub_reader").connect() as connection:
        feed = changes(connection, layout_of(declarations(), "population.person"), after=version, until=version + 1)
    assert full.all(f"SELECT change, subject, birth_year FROM ({feed}) f") == [{"change": "erase", "subject": subject, "birth_year": None}]
    layout = layout_of(declarations(), "population.person")
    assert full.all(erased(layout, after=version, until=version + 1)) == [{"subject": subject}]


def test_who_asks_for_them_is_told_that_they_were_erased(full):
    erase()

    with pytest.raises(Refused, match="erased"):
        explain("population", None, ZHANG[1], by="officer")


def test_rows_of_others_that_name_them_follow_the_declaration(licensed):
    done = erase()

    assert rows(licensed, "population.license") == 2
    assert (done.cleared, done.reported) == ({"population.license.agent_no": 1}, {"population.license.witness_no": 1})
    assert rows(licensed, "population.license WHERE agent_no IS NOT NULL") == 0

    licensed.sync("licenses")

    assert rows(licensed, "population.license") == 2
    assert rows(licensed, "population.license WHERE agent_no IS NOT NULL") == 0


def test_their_quarantined_rows_go_even_under_a_key_of_the_source(full):
    broken = [("r7", ZHANG[1], None, "1", None, None, None), ("r8", number("19600101", 7), None, "1", None, None, None)]
    full.fill("police", [LI, WANG, person("r5", "19700101", 5), *broken])
    full.sync("register")
    assert rows(full, "hub.quarantine") == 2

    erase()

    assert [bytes(row["row_key"]) for row in full.all("SELECT row_key FROM hub.quarantine")] == [b"r8"]


def test_rows_of_others_can_still_be_replayed_from_quarantine(full):
    full.fill("police", [ZHANG, LI, ("r8", WANG[1], None, "1", None, None, None)])
    full.sync("register")
    erase()

    assert replay("register", started_by="officer").rows == 1


def test_a_held_batch_with_them_is_discarded_and_one_without_stays(full):
    full.fill("police", [])
    full.fill("welfare", [(WANG[1], "王五", None)])
    for dataset in ("register", "insurance"):
        with pytest.raises(Rejected):
            full.sync(dataset)
    held = {row["dataset"]: row["id"] for row in full.all("SELECT dataset, id FROM hub.batch WHERE state = 'held'")}

    done = erase(WANG[1])

    assert done.batches == (held["insurance"],)
    sync.release(held["register"], by="officer", reason="they all moved away")
    assert years(full) == []


def test_a_batch_read_before_is_read_again(full):
    full.fill("police", [ZHANG, LI, WANG])
    staged = sync.stage("register", started_by="test")
    with engine("hub_writer").begin() as connection:  # as if the erasure had looked before the batch was staged
        connection.exec_driver_sql(
            "INSERT INTO hub.erasure (domain, requester, approver, recorded_by, reason, legal_basis) VALUES ('person', 'a', 'b', 'c', 'd', 'e')"
        )

    published = sync.publish(staged, started_by="test")

    assert published.batch != staged
    assert full.all(f"SELECT state FROM hub.batch WHERE id = {staged}") == [{"state": "discarded"}]


def test_it_takes_two_persons():
    with pytest.raises(Mistake, match="two persons"):
        Grounds(requester="王科长", approver=" 王科长 ", reason="r", legal_basis="b", by="officer")


def test_a_legal_hold_forbids_it_until_it_is_released(full):
    case = holds.hold_subject(ZHANG[1], "citizen_id", reason="lawsuit", legal_basis="Civil Procedure Law Art. 84", by="officer")
    with pytest.raises(Refused, match=f"hold {case}"):
        erase()
    other = holds.hold_dataset("insurance", reason="lawsuit", legal_basis="the same", by="officer")
    holds.release(case, reason="settled", by="officer")
    with pytest.raises(Refused, match="dataset insurance is held"):
        erase()
    holds.release(other, reason="settled", by="officer")

    erase()

    assert years(full) == [1985]


def test_lifting_lets_the_next_reading_bring_them_back(full):
    erase()
    full.sync("register")

    erasure.lift(ZHANG[1], "citizen_id", GROUNDS)
    full.sync("register")

    assert years(full) == [1985, 1990]
    with pytest.raises(Refused, match="nobody"):
        erasure.lift(ZHANG[1], "citizen_id", GROUNDS)


def test_after_a_restore_the_erasures_since_the_backup_are_done_again(full):
    erase()
    log = erasure_log.path().read_bytes()
    erasure.lift(ZHANG[1], "citizen_id", GROUNDS)
    full.sync("register")  # the database is as it was before the erasure
    erasure_log.path().write_bytes(log)

    done = erasure.reapply(by="recovery")

    assert [one.removed for one in done] == [{"register": 1}]
    assert years(full) == [1985]
    assert erasure.reapply(by="recovery") == ()
    full.sync("register")
    assert years(full) == [1985]


def test_the_record_tells_who_decided_and_not_who_it_was(full):
    subject = full.all("SELECT subject FROM population.person WHERE birth_year = 1990")[0]["subject"]
    erase()

    entry = full.all("SELECT actor, details FROM audit.entry WHERE event = 'subject:erased' ORDER BY id DESC LIMIT 1")[0]

    assert (entry["actor"], entry["details"]["requester"], entry["details"]["approver"]) == ("officer", "王科长", "李处长")
    assert entry["details"]["subjects"] == {"population.person": [subject]}
    assert ZHANG[1] not in str(entry)


def test_nothing_of_them_is_left_in_tables_and_their_files(full, hub_database):
    """Token, seals and row keys of the person, in rows, planner's statistics, and the files of the tables that held them."""
    subject = full.all("SELECT subject FROM population.person WHERE birth_year = 1990")[0]["subject"]
    marked = {"token": token_of(ZHANG[1])}
    for table in ("person__register", "person__register__history", "person__insurance", "marriage__marriages"):
        for row in full.all(f"SELECT * FROM population.{table} WHERE subject = {subject}"):
            marked |= {f"{table}.{name}": bytes(value) for name, value in row.items() if isinstance(value, bytes) and len(value) >= 16}
    marked["sealed number"] = bytes(full.all(f"SELECT sealed FROM population.person__key WHERE subject = {subject}")[0]["sealed"])
    administrator = make_conninfo(host=str(embedded.status().socket), user="postgres", password=password("postgres"), dbname="hub")
    assert _left(administrator, marked) == (set(marked), set(marked))  # the search is not blind

    erase()
    erasure.rewritten(by="officer")

    assert _left(administrator, marked) == (set(), set())


def _left(administrator: str, marked: dict[str, bytes]) -> tuple[set[str], set[str]]:
    """Return what of *marked* is found in a dump of every table of the library and statistics, and in the tables' files."""
    tables = b"".join(data for place, data in dumped(administrator) if "population." in place or "hub." in place or "pg_statistic" in place)
    with psycopg.connect(administrator, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        base = Path(connection.execute("SHOW data_directory").fetchone()[0])
        query = (
            "SELECT pg_relation_filepath(c.oid) FROM pg_class c WHERE c.relnamespace IN ('population'::regnamespace, 'hub'::regnamespace) "
            "AND c.relkind IN ('r', 'i') OR c.oid IN (SELECT reltoastrelid FROM pg_class WHERE relnamespace = 'population'::regnamespace)"
        )
        paths = [base / path for (path,) in connection.execute(query) if path]
    files = b"\n".join(path.read_bytes() for path in paths if path.exists())
    return (
        {name for name, value in marked.items() if value.hex().encode() in tables},
        {name for name, value in marked.items() if value in files},
    )


def test_the_command_reads_the_number_from_standard_input_and_never_shows_it(full, capsys, monkeypatch):
    said = ["--requester", "王科长", "--approver", "李处长", "--reason", "purpose fulfilled", "--basis", "PIPL 47"]
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["hub", "subject", "erase", *said])
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ZHANG[1]}\n"))

    with pytest.raises(SystemExit) as ended:
        cli.main()

    out = capsys.readouterr()
    assert ended.value.code in {0, None}
    assert "register 2" in out.out
    assert "civil, police, welfare" in out.out
    assert ZHANG[1] not in out.out + out.err
    assert years(full) == [1985]
