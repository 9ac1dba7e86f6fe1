"""CSV: encodings, quotes, and broken files told by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.decoding import QuoteWatch
from connectors.gb18030 import as_of_2022
from connectors.protocol import Place, Window
from connectors.registry import open_connector
from hub.errors import Mistake, Rejected


@pytest.fixture
def file(tmp_path, source):
    """Return a function that writes a file and opens it."""

    def opened(content: bytes, **declared):
        (tmp_path / "a.csv").write_bytes(content)
        return open_connector(source("csv", path=str(tmp_path), **declared), Place(file="a.csv"))

    return opened


def rows(session, window=None):
    names = session.columns().names
    return [tuple(row.values()) for batch in session.read(names, window or Window()) for row in batch.to_pylist()]


def read(opening):
    with opening as session:
        return rows(session)


def rejection(opening):
    with pytest.raises(Rejected) as caught:
        read(opening)
    return str(caught.value)


def test_an_empty_field_is_null_and_a_quoted_one_is_empty(file):
    assert read(file(b'a,b\n,""\n')) == [(None, "")]


def test_a_byte_order_mark_windows_line_ends_and_quoted_line_breaks_are_understood(file):
    with file(b'\xef\xbb\xbf"a\nx",b\r\n1,"two\r\nlines"\r\n') as session:
        assert session.columns().names == ["a\nx", "b"]
        assert rows(session) == [("1", "two\r\nlines")]


@pytest.mark.parametrize("content", [b"\n\na,b\n1,2\n", b"a,b\r1,2\r", b"a,b\n1,2", b"a,b\n\n1,2\n\n"])
def test_blank_lines_old_line_ends_and_a_missing_last_one_change_nothing(file, content):
    assert read(file(content)) == [("1", "2")]


@pytest.mark.parametrize("content", [b"a,b\n", b"a,b"])
def test_a_header_alone_is_a_file_without_rows(file, content):
    with file(content) as session:
        assert (rows(session), session.count(Window()), session.newest("a")) == ([], 0, None)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_rejected(file, content):
    rejection(file(content))


def test_another_delimiter_is_understood(file):
    assert read(file(b"a;b\n1;2,3\n", delimiter=";")) == [("1", "2,3")]


# 㛃 U+36C3, 䶮 U+4DAE, 𬭎 U+2CB4E, 𠅤 U+20164 have no place in GBK: GB 18030 codes from the project's domain notes, section 3.9.
@pytest.mark.parametrize(("code", "character"), [("8230b731", "㛃"), ("fe9f", "䶮"), ("9933a932", "𬭎"), ("9532a632", "𠅤")])
@pytest.mark.parametrize("declared", ["gb18030", "GBK", "gb2312"])
def test_rare_characters_of_names_arrive(file, code, character, declared):
    assert read(file(b"name,x\n" + bytes.fromhex(code) + b",1\n", encoding=declared)) == [(character, "1")]


# GB 18030-2005: A8BC is U+1E3F. GB 18030-2022: FE59 is U+9FB4, A6D9 is U+FE10 (domain notes, section 3.9).
# Beside each the four-byte code of the older edition.
@pytest.mark.parametrize(("new", "old", "character"), [("a8bc", "8135f437", "ḿ"), ("fe59", "82359037", "龴"), ("a6d9", "84318236", "︐")])
def test_either_edition_of_gb18030_gives_the_same_character(file, new, old, character):
    content = b"name,x\n" + bytes.fromhex(new) + b"," + bytes.fromhex(old) + b"\n"
    assert read(file(content, encoding="gb18030")) == [(character, character)]


@given(st.text(st.characters(exclude_categories=["Co", "Cs"])))
def test_the_2022_edition_changes_private_use_characters_only(text):
    assert as_of_2022(text) == text


def test_utf16_is_understood(file):
    assert read(file("a,b\n张,2\n".encode("utf-16"), encoding="utf-16")) == [("张", "2")]


def test_an_unknown_encoding_is_a_mistake(file):
    with pytest.raises(Mistake):
        read(file(b"a\n1\n", encoding="klingon"))


def test_a_wrong_encoding_is_told_by_line_without_the_bytes(file):
    message = rejection(file("a,b\n1,2\n张三丰,3\n".encode("gbk")))
    assert "line 3 cannot be read as utf-8" in message
    assert "encoding: gb18030" in message
    assert "张" not in message


def test_ragged_rows_are_told_by_line_with_the_counts(file):
    message = rejection(file(b'a,b\n"x\ny",1\n1\n1,2,3\n4,5\n'))
    assert "2 records" in message
    assert "lines 4, 5" in message
    assert "2 columns in the header, 1 to 3 in the record" in message


def test_of_many_ragged_rows_twenty_are_told_and_the_rest_counted(file):
    message = rejection(file(b"a,b\n" + b"secret\n" * 50))
    assert "50 records" in message
    assert "and 30 more" in message
    assert "secret" not in message


@pytest.mark.parametrize("content", [b'a,b\n1,2\n3,"cut off\n4,5\n', b'a,b\n1,2\n3,"one\n4,"two\n'])
def test_an_unclosed_quote_is_told_by_the_line_where_its_record_begins(file, content):
    assert "begins in line 3" in rejection(file(content))


def test_a_quote_inside_a_plain_field_is_just_a_character(file):
    assert read(file(b'a,b\n1,15" screen\n2,3\n')) == [("1", '15" screen'), ("2", "3")]


def test_a_record_longer_than_memory_allows_is_rejected(file):
    assert "longer than 1 MiB" in rejection(file(b"a,b\n1," + b"x" * 9_000_000 + b"\n"))


def test_a_column_that_appears_twice_cannot_be_read_but_the_others_can(file):
    with file(b"a,b,b\n1,2,3\n") as session:
        assert [batch.to_pydict() for batch in session.read(["a"], Window())] == [{"a": ["1"]}]
        with pytest.raises(Mistake):
            list(session.read(["b"], Window()))


def test_a_file_that_changes_while_it_is_read_is_rejected(file, tmp_path):
    with pytest.raises(Rejected, match="changed"), file(b"a,b\n1,2\n") as session:
        with (tmp_path / "a.csv").open("ab") as writer:
            writer.write(b"3,4\n")
        rows(session)


def test_a_newer_file_under_the_same_name_does_not_disturb_the_open_one(file, tmp_path):
    with file(b"a,b\n1,2\n") as session:
        (tmp_path / "new.csv").write_bytes(b"a,b\n9,9\n")
        (tmp_path / "new.csv").rename(tmp_path / "a.csv")
        assert rows(session) == [("1", "2")]


def test_a_file_outside_the_sources_folder_is_refused(tmp_path, source):
    with pytest.raises(Mistake), open_connector(source("csv", path=str(tmp_path)), Place(file="../../etc/passwd")):
        pass


def test_a_cursor_of_whole_numbers_is_compared_as_numbers(file):
    with file(b"a,b\n9,x\n10,y\n,z\n") as session:
        assert session.newest("a") == "10"
        assert rows(session, Window(cursor="a", after="9")) == [("10", "y")]


def test_a_cursor_that_stops_being_a_number_is_rejected_not_lost(file):
    with file(b"a,b\n9,x\nnew,y\n") as session, pytest.raises(Rejected):
        rows(session, Window(cursor="a", after="1"))


def _field(value):
    return '"' + value.replace('"', '""') + '"'


@given(st.lists(st.lists(st.text(st.sampled_from('a",\r\n ')), min_size=1, max_size=3), max_size=5), st.integers(1, 7))
def test_well_quoted_records_are_never_suspicious_however_they_are_cut(records, size):
    data = "".join(",".join(map(_field, record)) + "\n" for record in records).encode()
    watch = QuoteWatch(",")
    for start in range(0, len(data), size):
        watch.see(data[start : start + size])
    watch.see(b"\n")
    assert not watch.suspicious


@given(st.lists(st.text(st.sampled_from("a, "), min_size=1), min_size=1), st.integers(1, 7))
def test_a_lost_closing_quote_is_always_suspicious(fields, size):
    data = (",".join(map(_field, fields))[:-1] + "\n").encode()
    watch = QuoteWatch(",")
    for start in range(0, len(data), size):
        watch.see(data[start : start + size])
    watch.see(b"\n")
    assert watch.suspicious
