"""HTTP APIs: page styles, login, patience, exact values, and APIs that misbehave."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic

import pytest

from connectors.protocol import Place, Window
from connectors.registry import open_connector
from hub.errors import HubError, Mistake, Rejected, Unavailable

ROWS = [{"id": n, "name": f"name{n}"} for n in range(1, 8)]
PEOPLE = Place(table="people")


def read(source, place=PEOPLE, columns=("id",), window=None, password=None):
    with open_connector(source, place, password=password) as session:
        return [tuple(row.values()) for batch in session.read(list(columns), window or Window()) for row in batch.to_pylist()]


def ids(source, **more):
    return [int(row[0]) for row in read(source, **more)]


def refused(kind, source, **more):
    with pytest.raises(kind) as caught:
        read(source, **more)
    assert caught.value.remedy
    return caught.value


# Page styles


def by_offset(_, parameters, __):
    start, size = int(parameters["offset"]), min(2, int(parameters["limit"]))  # fewer than asked for
    return 200, {}, ROWS[start : start + size]


def by_token(_, parameters, __):
    start = int(parameters.get("after", "t0")[1:])
    following = f"t{start + 3}" if start + 3 < len(ROWS) else None
    return 200, {}, {"items": ROWS[start : start + 3], "meta": {"next": following}}


def by_link(path, parameters, _):
    start = int(parameters.get("start", 0))
    return 200, {}, {"items": ROWS[start : start + 3], "next": f"{path}?start={start + 3}" if start + 3 < len(ROWS) else None}


def by_header(path, parameters, _):
    start = int(parameters.get("start", 0))
    more = {"Link": f'<{path}?start={start + 3}>; rel="next"'} if start + 3 < len(ROWS) else {}
    return 200, more, ROWS[start : start + 3]


@pytest.mark.parametrize(
    ("answer", "declared"),
    [
        (by_offset, {"rows": None, "pages": {"style": "offset", "parameter": "offset", "size_parameter": "limit"}}),
        (by_token, {"rows": "items", "pages": {"style": "token", "parameter": "after", "next": "meta.next"}}),
        (by_link, {"rows": "items", "pages": {"style": "link", "next": "next"}}),
        (by_header, {"rows": None, "pages": {"style": "link"}}),
        (lambda *_: (200, {}, {"items": ROWS}), {"rows": "items", "pages": {}}),
    ],
    ids=["offset", "token", "link", "header", "none"],
)
def test_every_page_style_gives_every_row_once(api, answer, declared):
    api.answer = answer
    assert ids(api.source(declared)) == [row["id"] for row in ROWS]


def test_an_api_that_repeats_its_last_page_ends_at_its_declared_total(api):
    def answer(_, parameters, __):
        page = min(int(parameters["page"]), 3)
        return 200, {}, {"data": {"rows": ROWS[(page - 1) * 3 : page * 3]}, "total": "7"}

    api.answer = answer
    pages = {"style": "number", "parameter": "page"}
    assert ids(api.source({"pages": {**pages, "total": "total"}})) == [row["id"] for row in ROWS]
    assert "declare `total`" in refused(Rejected, api.source({"pages": pages})).remedy


def test_a_query_is_a_resource_with_parameters(api):
    api.pages(ROWS)
    read(api.source(), Place(query="people?status=valid"))
    assert {(asked[1], asked[2]["status"]) for asked in api.asked} == {("/open/v1/people", "valid")}


# Login


@pytest.mark.parametrize(
    ("declared", "header", "value"),
    [
        ({"login": "bearer"}, "authorization", "Bearer s3cret"),
        ({"login": "basic", "user": "hub"}, "authorization", "Basic aHViOnMzY3JldA=="),
        ({"login": "api_key", "header": "X-Token"}, "x-token", "s3cret"),
    ],
)
def test_the_secret_is_sent_as_declared(api, declared, header, value):
    api.pages(ROWS)
    read(api.source(declared), password="s3cret")
    assert {asked[3][header] for asked in api.asked} == {value}


def test_a_secret_that_is_missing_or_wrong_names_its_file(api):
    api.answer = lambda *_: (401, {}, b"{}")
    assert "secrets/tested" in refused(Mistake, api.source({"login": "bearer"})).remedy
    error = refused(Mistake, api.source({"login": "bearer"}), password="s3cret")
    assert "secrets/tested" in error.remedy
    assert "s3cret" not in str(error)


def test_a_resource_that_may_not_be_read_is_said_so(api):
    api.answer = lambda *_: (403, {}, b"{}")
    assert "may not read" in refused(Mistake, api.source()).problem


# Patience


def test_the_rate_declared_is_kept(api):
    api.pages(ROWS)
    began = monotonic()
    read(api.source({"requests_per_second": 20}))
    assert monotonic() - began >= (len(api.asked) - 1) / 20


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("said", [lambda: "1", lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)])
def test_a_busy_api_is_asked_again_when_it_says(api, status, said):
    moments = []

    def answer(*_):
        moments.append(monotonic())
        return (status, {"Retry-After": said()}, b"") if len(moments) == 1 else (200, {}, {"data": {"rows": ROWS}})

    api.answer = answer
    assert len(ids(api.source({"pages": {}}))) == len(ROWS)
    assert moments[1] - moments[0] >= 0.9


def test_patience_ends_before_a_wait_that_is_too_long(api):
    api.answer = lambda *_: (429, {"Retry-After": "3600"}, b"")
    began = monotonic()
    error = refused(Unavailable, api.source())
    assert "busy" in error.problem
    assert monotonic() - began < 2


def test_an_api_that_fails_for_a_moment_is_asked_again(api):
    states = iter([500, 502, 200])

    def answer(_, parameters, __):
        return next(states, 200), {}, {"data": {"rows": ROWS if parameters["page"] == "1" else []}}

    api.answer = answer
    with open_connector(api.source(), PEOPLE) as session:
        assert session.columns().names == ["id", "name"]


def test_an_api_that_never_answers_is_not_waited_for(api):
    def answer(*_):
        import time

        time.sleep(1.5)
        return 200, {}, b"[]"

    api.answer = answer
    assert "timeout_seconds" in refused(Unavailable, api.source({"timeout_seconds": 1, "patience_seconds": 0})).problem


def test_a_pass_over_its_time_is_ended(api):
    api.answer = lambda _, parameters, __: (200, {}, {"data": {"rows": [{"id": int(parameters["page"])}]}})
    assert "longer than 1 s" in refused(Unavailable, api.source({"requests_per_second": 10}, statement_timeout_seconds=1)).problem


# Values


def test_numbers_arrive_digit_by_digit(api):
    numbers = b'[{"big": 123456789012345678901234567890, "fixed": 0.10, "long": 12345678901234567890.123456789, "e": 1.5E+3, "nested": {"n": [0.1000000000000000055]}}]'
    api.answer = lambda *_: (200, {}, numbers)
    assert read(api.source({"rows": None, "pages": {}}), columns=["big", "fixed", "long", "e", "nested"]) == [
        ("123456789012345678901234567890", "0.10", "12345678901234567890.123456789", "1500", '{"n": [0.1000000000000000055]}')
    ]


def test_a_number_of_a_billion_digits_is_not_written_out(api):
    api.answer = lambda *_: (200, {}, b'[{"id": 1e999999999}]')
    assert read(api.source({"rows": None, "pages": {}})) == [("1E+999999999",)]


def test_null_empty_and_left_out_stay_apart_as_far_as_json_does(api):
    api.answer = lambda *_: (200, {}, [{"id": None, "name": ""}, {"id": True}])
    assert read(api.source({"rows": None, "pages": {}}), columns=["id", "name"]) == [(None, ""), ("true", None)]


def test_an_answer_in_gb18030_is_read_as_declared(api):
    api.answer = lambda *_: (200, {}, '[{"id": "䶮𬭎"}]'.encode("gb18030"))
    assert read(api.source({"rows": None, "pages": {}}, encoding="gb18030")) == [("䶮𬭎",)]
    refused(Rejected, api.source({"rows": None, "pages": {}}))


def test_columns_that_rows_may_leave_out_are_declared(api):
    api.answer = lambda *_: (200, {}, [{"id": 1}])
    assert "'name'" in refused(Mistake, api.source({"rows": None, "pages": {}}), columns=["name"]).problem
    assert read(api.source({"rows": None, "pages": {}, "columns": ["name"]}), columns=["name"]) == [(None,)]


def test_an_api_without_rows_is_empty_where_its_columns_are_declared(api):
    api.pages([])
    assert read(api.source({"columns": ["id"]})) == []
    assert "api.columns" in refused(Rejected, api.source()).remedy


def test_the_bounds_of_a_window_are_told_to_the_api_and_kept_to_here(api):
    api.pages(ROWS)
    window = Window(cursor="id", after="2", until="4")
    assert ids(api.source({"since": "from", "until": "to"}), window=window) == [3, 4]
    assert api.asked[-1][2] == {"from": "2", "to": "4", "page": "2", "size": "500"}


def test_nothing_of_an_address_is_logged(api, caplog):
    api.pages(ROWS)
    with caplog.at_level("DEBUG"):
        read(api.source({"since": "from"}), window=Window(cursor="name", after="name110105194912310021"))
    assert "from" in api.asked[-1][2]
    assert "110105" not in caplog.text


# Misbehaviour


def test_an_api_that_ignores_the_page_is_found_out(api):
    api.answer = lambda *_: (200, {}, {"data": {"rows": ROWS}, "at": str(monotonic())})
    assert "same rows again" in refused(Rejected, api.source()).problem


def test_a_token_that_does_not_change_is_found_out(api):
    calls = iter(range(1000))
    api.answer = lambda *_: (200, {}, {"items": [{"id": next(calls)}], "next": "x"})
    source = api.source({"rows": "items", "pages": {"style": "token", "parameter": "after", "next": "next"}})
    assert "same next page again" in refused(Rejected, source).problem


def test_an_api_without_an_end_stops_at_what_is_declared(api):
    api.answer = lambda _, parameters, __: (200, {}, {"data": {"rows": [{"id": int(parameters["page"])}] * 2}})
    assert "more than 5 pages" in refused(Rejected, api.source({"max_pages": 5})).problem
    assert "more than 7 rows" in refused(Rejected, api.source({"max_rows": 7})).problem


def test_a_page_for_people_is_not_data(api):
    api.answer = lambda *_: (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>please log in</html>")
    error = refused(Rejected, api.source())
    assert "page for people" in error.problem
    assert "please log in" not in str(error)


@pytest.mark.parametrize("length", [None, "100000"], ids=["without a length", "shorter than it says"])
def test_an_answer_cut_in_its_middle_may_be_asked_for_again(api, length):
    whole = json.dumps({"data": {"rows": ROWS}}).encode()
    more = {"Content-Length": length} if length else {"Content-Length": None, "Connection": "close"}
    api.answer = lambda *_: (200, more, whole[: len(whole) // 2])
    assert "broke off" in refused(Unavailable, api.source({"patience_seconds": 1})).problem


@pytest.mark.parametrize(
    "body", [[], {"data": []}, {"data": {"rows": {"id": 1}}}, {"data": {"rows": [1]}}, {"code": 500, "msg": "110105194912310021"}, "text"]
)
def test_another_shape_is_said_so_without_a_value(api, body):
    api.answer = lambda *_: (200, {}, body if not isinstance(body, str) else json.dumps(body).encode())
    error = refused(Rejected, api.source())
    assert "declared shape" in error.problem
    assert "110105" not in str(error)


def test_a_full_first_page_without_the_next_token_is_not_taken_for_the_end(api):
    api.answer = lambda *_: (200, {}, {"items": ROWS})
    pages = {"style": "token", "parameter": "after", "next": "nxt", "size": len(ROWS)}
    assert "`nxt`" in refused(Rejected, api.source({"rows": "items", "pages": pages})).problem


def test_fewer_rows_than_the_api_says_it_has_are_not_taken_for_all(api):
    api.pages(ROWS, total=9)
    source = api.source({"pages": {"style": "number", "parameter": "page", "total": "total"}})
    assert "9 rows and gave 7" in refused(Unavailable, source).problem


@pytest.mark.parametrize("there", ["http://elsewhere.example/", "https://127.0.0.1/", "//127.0.0.1:1/x"])
def test_a_redirection_to_another_origin_is_not_followed(api, there):
    api.answer = lambda *_: (302, {"Location": there}, b"")
    assert "another origin" in refused(Mistake, api.source({"login": "bearer"}), password="s3cret").problem


def test_a_redirection_within_the_origin_is_followed_but_not_in_a_circle(api):
    api.answer = lambda path, _, __: (302, {"Location": "/moved"}, b"") if path != "/moved" else (200, {}, {"data": {"rows": ROWS}})
    assert len(ids(api.source({"pages": {}}))) == len(ROWS)
    api.answer = lambda *_: (302, {"Location": "/open/v1/people"}, b"")
    assert "redirections" in refused(Mistake, api.source()).problem


def test_a_link_to_another_origin_is_not_followed(api):
    api.answer = lambda *_: (200, {}, {"items": ROWS, "next": "http://elsewhere.example/"})
    assert "another origin" in refused(Mistake, api.source({"rows": "items", "pages": {"style": "link", "next": "next"}})).problem


def test_an_answer_that_is_too_large_is_given_up(api):
    api.answer = lambda *_: (200, {}, b"[" + b" " * (2 << 20) + b"]")
    assert "larger than 1 MiB" in refused(Rejected, api.source({"rows": None, "max_page_mib": 1})).problem


def test_a_small_answer_that_unpacks_to_a_large_one_is_given_up(api):
    import gzip

    api.answer = lambda *_: (200, {"Content-Encoding": "gzip"}, gzip.compress(b"[" + b" " * (50 << 20) + b"]"))
    assert "larger than 1 MiB" in refused(Rejected, api.source({"rows": None, "max_page_mib": 1})).problem


@pytest.mark.parametrize("body", [b"[" * 100_000, b'[{"id": NaN}]', b'[{"id": ' + b"1" * 5000 + b"}]", b'{"id"'])
def test_what_is_no_json_is_refused(api, body):
    api.answer = lambda *_: (200, {}, body)
    refused(Rejected, api.source({"rows": None, "pages": {}}))


@pytest.mark.parametrize("place", [Place(table="../admin"), Place(table=""), Place(query="//other/x"), Place(file="a")])
def test_a_resource_lies_below_the_address(api, place):
    refused(Mistake, api.source(), place=place)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "https://user:hunter2@127.0.0.1/", "https://127.0.0.1/?key=hunter2", "no address"])
def test_an_address_that_cannot_be_is_not_quoted(api, url):
    error = refused(Mistake, api.source().model_copy(update={"url": url}))
    assert "hunter2" not in str(error)
    assert isinstance(error, HubError)
