# ruff: noqa: S101, PT017, D102  a suite of checks asserts, without a test framework, and its names are sentences
"""What every connector is held to; a new one prepares a :class:`Case` and passes.

A test module makes a class of :class:`Conformance` and gives it a fixture ``case``::

    class TestEveryConnector(Conformance):
        pass

The suite imports no test framework; it needs the runner to pass ``case`` to each method.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from connectors.protocol import Place, Window
from connectors.registry import open_connector
from connectors.text import written_out
from hub.errors import HubError, Mistake, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from connectors.protocol import Connector
    from schemas.source import Source

COLUMNS = ("id", "name", "amount", "updated")

# Stored in this order by whoever prepares a case: ids are whole numbers, amounts have two digits after the point,
# `updated` is a time without zone. Two pairs tie on `updated`; 𠮷 and 😀 take four bytes of UTF-8.
ROWS: tuple[tuple[int, str | None, str | None, str | None], ...] = (
    (1, "张三", "12.25", "2026-01-01 08:00:01"),
    (2, None, None, "2026-01-01 08:00:02"),
    (3, "𠮷野😀", "0.75", "2026-01-01 08:00:02"),
    (4, "", "-3.25", "2026-01-01 08:00:03"),
    (5, 'O\'Brien "x", y', "9007199254740993.25", "2026-01-01 08:00:04"),
    (6, "two\nlines", "1.25", "2026-01-01 08:00:04"),
    (7, "  spaces ", "2.25", None),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One prepared source that holds :data:`ROWS` with :data:`COLUMNS`.

    ``empty_is_null``: the format cannot tell empty text from nothing. ``floats``: the format keeps numbers as
    floating point, so the one amount that needs more digits is not compared.
    ``add_row`` has another session add and commit a row; None where the source is a file.
    ``write`` tries to write through the open session; it must raise, and ``state`` must be the same before and after.
    ``held`` counts the connections or descriptors the hub holds at the source.
    """

    source: Source
    place: Place
    missing: Place
    down: Source
    state: Callable[[], object]
    write: Callable[[Connector], object]
    held: Callable[[], int]
    password: str | None = None
    order_by: tuple[str, ...] = ()
    add_row: Callable[[], None] | None = None
    empty_is_null: bool = False
    floats: bool = False
    extra: tuple[str, ...] = ()

    def open(self, **changes: object) -> AbstractContextManager[Connector]:
        """Open the case's place, with fields of its source changed."""
        source = self.source.model_copy(update=changes)
        return open_connector(source, self.place, password=self.password, order_by=self.order_by)


def read(session: Connector, columns: Sequence[str] = COLUMNS, window: Window | None = None) -> list[tuple[str | None, ...]]:
    """Read everything in *window* as text, whatever types the source gives."""
    rows = [row for batch in session.read(columns, window or Window()) for row in batch.to_pylist()]
    return [tuple(written_out(row[name]) for name in columns) for row in rows]


def raised(kind: type[HubError], call: Callable[[], object]) -> HubError:
    """Return the error of *kind* that *call* must raise, checked to have a remedy and no third party's error as its cause."""
    try:
        call()
    except kind as error:
        assert error.remedy
        assert error.__cause__ is None
        assert error.__context__ is None or error.__suppress_context__
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


class Conformance:
    """The checks; each takes the prepared case and leaves it as it was, save for a row added."""

    def test_the_columns_are_those_of_the_source_in_its_order(self, case: Case) -> None:
        with case.open() as session:
            assert tuple(session.columns().names) == (*COLUMNS, *case.extra)

    def test_what_is_read_has_the_types_that_columns_promised(self, case: Case) -> None:
        with case.open() as session:
            promised = {field.name: field.type for field in session.columns()}
            for batch in session.read(COLUMNS, Window()):
                assert {field.name: field.type for field in batch.schema} == {name: promised[name] for name in COLUMNS}

    def test_every_row_arrives_as_it_is_stored(self, case: Case) -> None:
        with case.open() as session:
            assert _comparable(read(session), case) == _comparable(_expected(case), case)

    def test_columns_come_in_the_order_asked_for(self, case: Case) -> None:
        with case.open() as session:
            assert [row[::-1] for row in read(session, ("name", "id"))] == read(session, ("id", "name"))

    def test_batches_hold_at_most_the_rows_declared(self, case: Case) -> None:
        with case.open(fetch_rows=2) as session:
            sizes = [batch.num_rows for batch in session.read(["id"], Window())]
        assert max(sizes) <= 2  # noqa: PLR2004
        assert sum(sizes) == len(ROWS)

    def test_two_reads_of_one_session_give_the_same_order(self, case: Case) -> None:
        with case.open() as session:
            assert [row[0] for row in read(session)] == [row[0] for row in read(session, ("id",))]

    def test_the_count_is_the_number_of_rows_read(self, case: Case) -> None:
        with case.open() as session:
            for window in (Window(), Window(cursor="id", after="2"), Window(cursor="updated", until="2026-01-01 08:00:02")):
                assert session.count(window) == len(read(session, window=window))

    def test_a_window_excludes_its_start_and_includes_its_end(self, case: Case) -> None:
        with case.open() as session:
            assert _ids(session, Window(cursor="id", after="2", until="5")) == [3, 4, 5]

    def test_rows_that_tie_on_a_bound_are_neither_lost_nor_doubled(self, case: Case) -> None:
        with case.open() as session:
            newest = session.newest("updated")
            bounds = [None, "2026-01-01 08:00:02", "2026-01-01 08:00:03", newest]
            windows = [Window(cursor="updated", after=after, until=until) for after, until in pairwise(bounds)]
            assert [_ids(session, window) for window in windows] == [[1, 2, 3], [4], [5, 6]]

    def test_the_newest_cursor_value_is_found(self, case: Case) -> None:
        with case.open() as session:
            assert session.newest("id") == "7"
            assert _ids(session, Window(cursor="updated", after=session.newest("updated"))) == []

    def test_a_late_window_starts_earlier(self, case: Case) -> None:
        with case.open() as session:
            newest = session.newest("updated")
            assert newest is not None
            assert _ids(session, Window(cursor="updated", after=session.earlier(newest, 2), until=newest)) == [4, 5, 6]

    def test_a_late_window_needs_a_cursor_that_is_a_time(self, case: Case) -> None:
        with case.open() as session:
            raised(Mistake, lambda: session.earlier("7", 60))

    def test_parts_hold_every_row_once(self, case: Case) -> None:
        with case.open() as session:
            for column in ("id", "name"):
                parts = session.parts([column], 3)
                assert 1 <= len(parts) <= 3  # noqa: PLR2004
                read_by_part = [_ids(session, Window(part=part)) for part in parts]
                assert sorted(number for ids in read_by_part for number in ids) == [row[0] for row in ROWS]
                assert [session.count(Window(part=part)) for part in parts] == [len(ids) for ids in read_by_part]

    def test_a_part_narrows_a_window(self, case: Case) -> None:
        with case.open() as session:
            windows = [Window(cursor="id", after="2", until="6", part=part) for part in session.parts(["id"], 3)]
            assert sorted(number for window in windows for number in _ids(session, window)) == [3, 4, 5, 6]

    def test_parts_tell_no_value_when_shown(self, case: Case) -> None:
        with case.open() as session:
            assert not any(str(row[1]) in repr(session.parts(["name"], 3)) for row in ROWS if row[1])

    def test_a_shared_snapshot_is_seen_by_those_who_join_it(self, case: Case) -> None:
        with case.open() as first, case.open() as second:
            shared = first.share()
            if shared is None:
                raised(Mistake, lambda: second.join("0"))
                return
            if case.add_row is not None:
                case.add_row()
            second.join(shared)
            assert second.snapshot == first.snapshot
            assert read(second) == read(first)

    def test_a_session_cannot_write(self, case: Case) -> None:
        before = case.state()
        with case.open() as session:
            read(session)
            try:
                case.write(session)
            except Exception as refusal:  # noqa: BLE001  however the source puts it
                assert not isinstance(refusal, AttributeError | TypeError | NameError)
            else:
                raise AssertionError("the session wrote")
        assert case.state() == before

    def test_closing_releases_the_source(self, case: Case) -> None:
        with case.open() as session:
            read(session)
            assert case.held() > 0
        assert case.held() == 0

    def test_a_read_given_up_half_way_releases_the_source(self, case: Case) -> None:
        with case.open(fetch_rows=1) as session:
            next(session.read(["id"], Window()))
        assert case.held() == 0

    def test_a_snapshot_holds_while_another_session_writes(self, case: Case) -> None:
        if case.add_row is None:
            return
        with case.open() as session:
            assert session.snapshot is not None
            before = read(session)
            case.add_row()
            assert read(session) == before
            assert session.count(Window()) == len(before)
        with case.open() as session:
            assert session.count(Window()) == len(before) + 1

    def test_a_missing_column_is_named_with_the_nearest_one_of_a_database(self, case: Case) -> None:
        with case.open() as session:
            error = raised(Mistake, lambda: list(session.read(["nmae"], Window())))
            assert "'nmae'" in error.problem
            # A file without a header has values where names should be: its columns are not repeated.
            assert case.missing.file or "'name'" in error.remedy
            raised(Mistake, lambda: session.count(Window(cursor="updatd", after="1")))
            raised(Mistake, lambda: session.newest("updatd"))

    def test_a_missing_place_is_said_so(self, case: Case) -> None:
        kind = Unavailable if case.missing.file else Mistake
        raised(kind, lambda: _entered(replace(case, place=case.missing)))

    def test_a_source_that_is_down_may_be_tried_again(self, case: Case) -> None:
        raised(Unavailable, lambda: _entered(replace(case, source=case.down)))

    def test_errors_quote_no_value(self, case: Case) -> None:
        number = "110105194912310021"  # made up
        with case.open() as session:
            window = Window(cursor="id", after=f"x{number}")
            try:
                read(session, window=window)
            except HubError as error:
                assert isinstance(error, Mistake | Rejected)
                assert number not in f"{error} {error.__cause__}"


def _entered(case: Case) -> None:
    with case.open():
        pass


def _ids(session: Connector, window: Window) -> list[int]:
    return [int(row[0] or "") for row in read(session, ("id",), window)]


def _expected(case: Case) -> list[tuple[str | None, ...]]:
    return [(str(number), None if name == "" and case.empty_is_null else name, amount, updated) for number, name, amount, updated in ROWS]


def _comparable(rows: list[tuple[str | None, ...]], case: Case) -> list[tuple[str | None, ...]]:
    return [(*row[:2], None if case.floats and row[0] == "5" else row[2], row[3]) for row in rows]
