"""Malformed input tells nobody its values: not in an exception, whatever step it happens in, and not in the hub's records."""

import logging
import sqlite3
import traceback
from collections import Counter
from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.protocol import Oddity, Window
from hub.errors import HubError
from hub.flows.inventory import Inventory
from hub.flows.keys import keyring
from hub.flows.keysets import NONE
from hub.flows.shares import shares_of
from hub.flows.staging import Names, Stage
from hub.flows.stream import Doubts, Seconds, Stream, Stretch
from schemas.declarations import declarations
from schemas.rules.checks import checks_of
from tests.flows.conftest import Town
from tests.leaks.conftest import Marked, person
from tests.leaks.search import Searcher

MARK = "欧阳MARKED张三丰20260101"
SEARCHER = Searcher({"mark": MARK})
FIELDS = ("record", "citizen_no", "full_name", "sex", "born", "phone", "changed")

near_misses = st.sampled_from(
    ["{}", "{}-13-45", "1990-02-30{}", "\ufeff{}", "'{}'", "{}\n", "\u202e{}", "{}e999", "NaN{}", "110101199003070011{}"]
)
texts = st.one_of(
    st.none(),
    st.text(st.characters(codec="utf-8"), max_size=20).map(lambda around: f"{around}{MARK}{around}"),
    near_misses.map(lambda form: form.format(MARK)),
    st.sampled_from(["", "1990-03-07", "110101199003070011", "1", "9999-12-31", "0000-00-00", "2026-01-01 00:00:00", "1\0"]),
)
text_columns = st.integers(1, 6).flatmap(
    lambda rows: st.lists(st.lists(texts, min_size=rows, max_size=rows), min_size=len(FIELDS), max_size=len(FIELDS))
)
other_columns = st.sampled_from([
    pa.array([MARK.encode() + b"\xff", None]),
    pa.array([10**17 + 1, -1]),
    pa.array([float("nan"), 1e300]),
    pa.array([True, None]),
    pa.array([2**62, None], pa.timestamp("us")),
    pa.array([2**30, -(2**30)], pa.date32()),
    pa.array(["1", MARK]).dictionary_encode(),
    pa.array([MARK, None], pa.large_string()),
    pa.array([[MARK], None]),
    pa.array([{"name": MARK}, None]),
    pa.nulls(2),
])  # fmt: skip


class Rows:
    """A source of one batch."""

    snapshot = None

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.oddities: Counter[Oddity] = Counter()
        self._batch = batch

    def read(self, columns: list[str], window: Window) -> Iterator[pa.RecordBatch]:
        yield self._batch.select(columns)


def streamed(batch: pa.RecordBatch) -> list[object]:
    """Take *batch* through conversion, rules, protection and quarantine."""
    declared = declarations()
    contract = declared.contract("register")
    stream = Stream(
        contract=contract, shares=shares_of(declared, contract, keyring()), checks=checks_of(contract, declared.kinds, declared.codes),
        single=(), accountable=0, inventories=(Inventory(NONE, NONE, NONE),), references=(), contexts=("",), owners={}, quarantine_key=keyring().key("quarantine"), batch=1, today=date(2026, 9, 1), timezone="Asia/Shanghai", seconds=Seconds(),
    )  # fmt: skip
    return list(stream.take(Rows(batch), Stretch(window=Window()), Doubts()))  # type: ignore[arg-type]


def told_by(error: BaseException) -> str:
    """All that a log would show of *error*: its text, its causes, its notes."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error.args)


def leaks(text: str) -> bool:
    return any(SEARCHER.within(text.encode("utf-8", "surrogatepass"), "here")) or MARK[:8] in text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text_columns)
def test_no_text_stops_a_stream_or_is_told(marked_town: Town, caplog: pytest.LogCaptureFixture, columns: list[list[str | None]]) -> None:
    caplog.set_level(logging.DEBUG)
    batch = pa.RecordBatch.from_pydict({name: pa.array(values, pa.string()) for name, values in zip(FIELDS, columns, strict=True)})

    taken = streamed(batch)

    assert len(taken) == 1
    assert not leaks(caplog.text)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(other_columns, min_size=len(FIELDS), max_size=len(FIELDS)))
def test_no_type_of_a_column_makes_an_error_tell_a_value(marked_town: Town, columns: list[pa.Array]) -> None:
    batch = pa.RecordBatch.from_pydict(dict(zip(FIELDS, columns, strict=True)))
    try:
        streamed(batch)
    except HubError as error:
        assert not leaks(told_by(error))


def test_a_column_that_is_gone_is_named_and_no_value_with_it(marked_town: Town) -> None:
    batch = pa.RecordBatch.from_pydict({name: pa.array([MARK]) for name in FIELDS if name != "born"})
    with pytest.raises(Exception, match="born") as caught:
        streamed(batch)
    assert not leaks(told_by(caught.value))


def test_what_the_database_refuses_to_stage_is_not_told(marked_town: Town) -> None:
    declared = declarations()
    contract = declared.contract("register")
    stage = Stage(Names(batch=990_001), shares_of(declared, contract, keyring()))
    stage.create(first=(True,))
    try:
        for wrong in (pa.array([MARK]), pa.array([f"{MARK}\0"])):
            with pytest.raises(HubError) as caught:
                stage.write(stage.names.rows(0), pa.RecordBatch.from_pydict({"subject": wrong}))
            assert not leaks(told_by(caught.value))
        with pytest.raises(HubError) as caught:
            stage.run(f"SELECT '{MARK}'::integer")
        assert not leaks(told_by(caught.value))
    finally:
        stage.close()


def test_one_character_that_the_database_cannot_hold_stops_one_row_and_no_dataset(marked_town: Town) -> None:
    marked = Marked()
    first, second = person(marked, "r1"), person(marked, "r2")
    marked_town.fill("police", [first, (*second[:3], "1\0", *second[4:])])

    marked_town.sync("register")

    assert marked_town.all("SELECT checks FROM hub.quarantine WHERE dataset = 'register' AND closed_by IS NULL") == [
        {"checks": ["sex.readable"]}
    ]


def test_bytes_where_text_should_be_stop_one_row_and_no_dataset(marked_town: Town) -> None:
    marked = Marked()
    rows = [person(marked, f"r{place}") for place in range(3)]
    marked_town.fill("police", rows)
    with sqlite3.connect(marked_town.home / "police.sqlite") as database:
        database.execute("UPDATE register SET full_name = ? WHERE record = 'r1'", [MARK.encode() + b"\xff\x00"])
    database.close()
    try:
        marked_town.sync("register")
    except HubError as error:
        assert not leaks(told_by(error))
        raise
    assert marked_town.all("SELECT count(*) AS rows FROM hub.quarantine WHERE dataset = 'register' AND closed_by IS NULL") == [{"rows": 1}]


def test_no_record_of_the_hub_holds_a_value(marked_town: Town) -> None:
    marked = Marked()
    good, bad = person(marked, "r1"), person(marked, "r2")
    marked_town.fill(
        "police", [good, person(marked, "r3"), (*bad[:4], marked.garbage("date"), marked.garbage("phone"), marked.garbage("time"))]
    )
    marked_town.sync("register")
    searcher = Searcher(marked.values)
    for table in ("audit.entry", "hub.batch", "hub.batch_check", "hub.watermark", "hub.quarantine", "hub.library_version", "hub.job"):
        rows = marked_town.all(f"SELECT to_jsonb(t)::text AS row FROM {table} t")
        assert rows or table == "hub.job"
        assert [found for row in rows for found in searcher.within(str(row["row"]).encode(), table)] == []
