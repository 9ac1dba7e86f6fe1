"""A batch goes in as it was read and comes out fit to rest: nothing sensitive in clear, nothing lost without count."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Mistake, Rejected
from masking.encodings import decode, encode
from masking.keys import Keyring
from masking.protection import Column, KeyField, Protection, RowKey, Subject, composite, composite_canonical, is_padded
from masking.seals import header, unseal
from masking.tokens import token
from schemas.declared import Level
from schemas.vocabulary import Treatment

NUMBERS = ["11010519491231002X", "110101199003077475", "11010119900307109X"]
BATCH = pa.RecordBatch.from_pydict(
    {
        "citizen_no": NUMBERS,
        "full_name": ["张三丰先生敬启", "欧阳修永叔先生", None],
        "born": pa.array([date(1949, 12, 31), None, date(1990, 3, 7)]),
        "disabled": pa.array([True, None, False]),
        "holder_no": ["110101200002290018", "91350100M000100Y43", None],
        "holder_is_person": pa.array([True, False, None]),
        "sex": pa.array(["1", "2", "1"]).dictionary_encode(),
        "religion": ["never kept at all", "never kept at all", "never kept at all"],
    }
)
SENSITIVE = [*NUMBERS, "张三丰", "欧阳修", "1949-12-31", "110101200002290018", "never kept"]
Maker = Callable[..., Protection]


def column(name: str, treatment: str, level: Level, source: str | None = None, **more: object) -> Column:
    return Column(
        name=name,
        source=source or name,
        treatment=Treatment(treatment),
        level=level,
        library="population",
        entity="person",
        field=name,
        **more,
    )


PERSON = {"document_type": "111", "domain": "person"}
COLUMNS = (
    column("spouse_no", "token", Level.L3, "holder_no", only_where="holder_is_person", **PERSON),
    column("full_name", "seal", Level.L3),
    column("born", "seal", Level.L3),
    column("birth_year", "generalise", Level.L2, "born", how="year"),
    column("disabled", "seal", Level.L4),
    column("sex", "keep", Level.L2),
    column("religion", "drop", Level.L4),
)
SENSITIVE_KEY = RowKey(fields=(KeyField(source="citizen_no", level=Level.L3, **PERSON),), library="population", entity="person")
PLAIN_KEY = RowKey(fields=(KeyField(source="sex", level=Level.L2),), library="population", entity="person")
SUBJECT = Subject(sources=("citizen_no",), level=Level.L3, library="population", entity="person", **PERSON)


@pytest.fixture(scope="session")
def protection(keyring: Keyring) -> Maker:
    def make(**changes: object) -> Protection:
        given: dict[str, object] = {"columns": COLUMNS, "row_key": SENSITIVE_KEY, "subject": SUBJECT}
        return Protection(**(given | changes), keyring=keyring)

    return make


def opened(keyring: Keyring, field: str, seals: pa.Array, row_keys: pa.Array, *, pad: bool = False) -> pa.Array:
    key = keyring.key("seal", "population")
    return unseal(seals, row_keys, key, header(key.suite, key.version, "population", "person", field), pad=pad)


def test_columns_come_in_the_order_of_the_staging_table(protection: Maker) -> None:
    assert protection().protect(BATCH).schema.names == [
        "row_key",
        "row_key__sealed",
        "subject_key",
        "subject_sealed",
        "spouse_no",
        "spouse_no__sealed",
        "full_name",
        "born",
        "birth_year",
        "disabled",
        "sex",
        "row_hash",
    ]


def test_the_schema_is_known_before_the_first_row(protection: Maker) -> None:
    assert protection().schema(BATCH.schema).equals(protection().protect(BATCH).schema)


def test_every_protected_column_is_bytes(protection: Maker) -> None:
    made = protection().protect(BATCH)
    clear = {"birth_year", "sex"}

    assert {name for name in made.schema.names if made.schema.field(name).type != pa.binary()} == clear
    assert made.column("sex").type == pa.string()


def test_nothing_sensitive_survives(protection: Maker) -> None:
    made = protection().protect(BATCH)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made.schema) as stream:
        stream.write_batch(made)
    resting = sink.getvalue().to_pybytes()

    assert b"sex" in resting
    assert not [value for value in SENSITIVE if value.encode() in resting]


def test_a_plain_column_holds_nothing_of_the_rows_it_is_not_for(protection: Maker) -> None:
    # The same source feeds a code that may be kept and a citizen number that may not.
    organisation = column("holder_code", "keep", Level.L1, "holder_no", only_where="holder_is_organisation")
    batch = BATCH.append_column("holder_is_organisation", pa.array([False, True, None]))

    made = protection(columns=[organisation]).protect(batch).column("holder_code")

    assert made.to_pylist() == [None, "91350100M000100Y43", None]
    assert b"110101200002290018" not in b"".join(part.to_pybytes() for part in made.buffers() if part)


def test_a_plain_number_holds_nothing_of_the_rows_it_is_not_for(protection: Maker) -> None:
    amount = column("amount", "keep", Level.L1, only_where="holder_is_person")
    batch = BATCH.append_column("amount", pa.array([7, 77_777, 88_888]))

    made = protection(columns=[amount]).protect(batch).column("amount")

    assert made.buffers()[1].to_pybytes() == (7).to_bytes(8, "little") + bytes(16)


def test_seals_come_back_with_their_row_key_and_field(protection: Maker, keyring: Keyring) -> None:
    made = protection().protect(BATCH)
    keys = made.column("row_key")

    assert opened(keyring, "full_name", made.column("full_name"), keys).equals(encode(BATCH.column("full_name")))
    born = opened(keyring, "born", made.column("born"), keys, pad=is_padded(pa.date32(), code=False))
    assert decode(born, pa.date32()).equals(BATCH.column("born"))
    assert opened(keyring, "spouse_no", made.column("spouse_no__sealed"), keys).to_pylist() == [
        b"110101200002290018",
        None,
        None,
    ]


def test_a_sensitive_flag_of_the_highest_level_does_not_even_show_that_it_is_missing(protection: Maker, keyring: Keyring) -> None:
    made = protection().protect(BATCH)

    assert {len(value) for value in made.column("disabled").to_pylist()} == {32}
    plain = opened(keyring, "disabled", made.column("disabled"), made.column("row_key"), pad=True)
    assert decode(plain, pa.bool_()).equals(BATCH.column("disabled"))


def test_codes_are_padded_when_declared(protection: Maker) -> None:
    codes = column("code", "seal", Level.L3, "full_name", code=True)

    made = protection(columns=[codes]).protect(BATCH).column("code")

    assert {len(value) for value in made.to_pylist() if value} == {48}


def test_a_person_has_one_token_wherever_the_number_stands(protection: Maker, keyring: Keyring) -> None:
    made = protection().protect(BATCH)
    expected = token(BATCH.column("citizen_no"), keyring.key("token", "person"), document_type="111").cast(pa.binary())

    assert made.column("row_key").equals(expected)
    assert made.column("subject_key").equals(expected)


def test_the_spines_seal_is_bound_to_the_token_itself(protection: Maker, keyring: Keyring) -> None:
    made = protection().protect(BATCH)

    plain = opened(keyring, "_subject", made.column("subject_sealed"), made.column("subject_key"))
    assert plain.cast(pa.string()).to_pylist() == NUMBERS


def test_the_sealed_row_key_opens_with_the_row_key(protection: Maker, keyring: Keyring) -> None:
    made = protection().protect(BATCH)

    plain = opened(keyring, "_row_key", made.column("row_key__sealed"), made.column("row_key"))
    assert plain.cast(pa.string()).to_pylist() == NUMBERS


def test_a_single_plain_key_is_its_own_text(protection: Maker) -> None:
    made = protection(row_key=PLAIN_KEY).protect(BATCH)

    assert made.column("row_key").to_pylist() == [b"1", b"2", b"1"]
    assert "row_key__sealed" not in made.schema.names


def test_a_plain_subject_is_its_canonical_text(protection: Maker) -> None:
    batch = BATCH.append_column("code", pa.array([" 91350100m000100y43", "", None]))
    subject = Subject(sources=("code",), level=Level.L1, library="legal_person", entity="organisation")

    made = protection(subject=subject).protect(batch)

    assert made.column("subject_key").to_pylist() == [b"91350100M000100Y43", None, None]
    assert "subject_sealed" not in made.schema.names


def test_a_row_of_which_nothing_is_said_has_no_subject(protection: Maker) -> None:
    made = protection(subject=replace(SUBJECT, sources=("holder_no",), only_where="holder_is_person")).protect(BATCH)

    assert made.column("subject_key").is_null().to_pylist() == [False, True, True]
    assert made.column("subject_sealed").is_null().to_pylist() == [False, True, True]


def test_the_key_pass_gives_the_keys_that_the_stream_gives(protection: Maker) -> None:
    for made in (protection(), protection(row_key=PLAIN_KEY)):
        protected = made.protect(BATCH)
        assert made.row_keys(BATCH).equals(protected.column("row_key"))
        assert made.subject_keys(BATCH).equals(protected.column("subject_key"))


def test_a_key_with_one_sensitive_field_is_a_token_as_a_whole(protection: Maker, keyring: Keyring) -> None:
    both = replace(SENSITIVE_KEY, fields=(*PLAIN_KEY.fields, *SENSITIVE_KEY.fields))

    made = protection(row_key=both).protect(BATCH)

    assert {len(key) for key in made.column("row_key").to_pylist()} == {16}
    plain = opened(keyring, "_row_key", made.column("row_key__sealed"), made.column("row_key"))
    assert plain[0].as_py() == f"1|{NUMBERS[0]}".encode()


def test_a_row_key_of_no_identity_domain_joins_nothing(protection: Maker) -> None:
    lonely = replace(SENSITIVE_KEY, fields=(KeyField(source="citizen_no", level=Level.L4),))

    made = protection(row_key=lonely).protect(BATCH)

    assert not set(made.column("row_key").to_pylist()) & set(made.column("subject_key").to_pylist())


@given(
    one=st.lists(st.text(alphabet="a|\\", max_size=6), min_size=2, max_size=2),
    two=st.lists(st.text(alphabet="a|\\", max_size=6), min_size=2, max_size=2),
)
def test_parts_of_a_key_never_run_together(one: list[str], two: list[str]) -> None:
    made = [composite([pa.array([part]) for part in parts])[0] for parts in (one, two)]

    assert (made[0] == made[1]) == (one == two)


def test_a_row_without_key_is_rejected_by_number_not_by_value(protection: Maker) -> None:
    keys = pa.array([NUMBERS[0], None, "110105491231997"])
    batch = BATCH.set_column(0, "citizen_no", keys)

    with pytest.raises(Rejected, match="2 rows have no readable row key") as rejection:
        protection().protect(batch)

    assert "110105" not in str(rejection.value)
    assert protection().row_keys(batch).is_null().to_pylist() == [False, True, True]


def test_values_that_cannot_be_read_become_null_and_are_counted(protection: Maker) -> None:
    batch = BATCH.append_column("old", pa.array(["110105491231997", None, "-"]))
    batch = batch.append_column("day", pa.array(["2001-02-29", None, "2000-01-01"]))
    columns = [
        column("old", "token", Level.L3, **PERSON),
        column("day", "generalise", Level.L2, how="year"),
    ]

    made = protection(columns=columns)
    protected = made.protect(batch)

    assert protected.column("old").null_count == protected.column("old__sealed").null_count == 3
    assert protected.column("day").to_pylist() == [None, None, 2000]
    assert made.unreadable == {"old": 2, "day": 1}


def test_the_same_rows_give_the_same_bytes_in_any_slice(protection: Maker) -> None:
    made = protection()
    whole = made.protect(BATCH)

    assert protection().protect(BATCH).equals(whole)
    assert made.protect(BATCH.slice(1, 2)).equals(whole.slice(1, 2))


def test_a_changed_value_changes_the_fingerprint_of_its_row_only(protection: Maker) -> None:
    changed = BATCH.set_column(1, "full_name", pa.array(["张三丰先生敬啟", "欧阳修永叔先生", None]))

    before, after = (protection().protect(batch).column("row_hash") for batch in (BATCH, changed))

    assert [one == two for one, two in zip(before, after, strict=True)] == [False, True, True]


def test_a_changed_subject_changes_the_fingerprint(protection: Maker) -> None:
    other = replace(SUBJECT, sources=("holder_no",))

    hashes = [protection(subject=subject).protect(BATCH).column("row_hash")[0] for subject in (SUBJECT, other)]

    assert hashes[0] != hashes[1]


def test_a_dropped_column_leaves_no_trace(protection: Maker) -> None:
    made = protection().protect(BATCH)
    other = protection().protect(BATCH.set_column(7, "religion", pa.array(["x", "y", "z"])))

    assert made.equals(other)


def test_the_versions_of_the_keys_are_there_for_the_batch_record(protection: Maker) -> None:
    assert protection().key_versions == {"token": 1, "seal": 1, "row_hash": 1}


@pytest.mark.parametrize("level", [Level.L3, Level.L4])
def test_a_sensitive_column_cannot_be_kept(level: Level) -> None:
    with pytest.raises(Mistake, match="may not be kept"):
        column("name", "keep", level)


@pytest.mark.parametrize(("treatment", "lacks"), [("generalise", "not how"), ("token", "no identity domain")])
def test_a_treatment_without_what_it_needs_is_a_mistake(treatment: str, lacks: str) -> None:
    with pytest.raises(Mistake, match=lacks):
        column("name", treatment, Level.L3)


def test_a_sensitive_subject_in_clear_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="no identity domain"):
        replace(SUBJECT, domain=None)


def test_a_key_of_several_parts_tells_its_parts_apart():
    parts = {"a": ["x|y", "x", " x ", None], "b": ["z", "y|z", "y|z", "z"]}
    batch = pa.RecordBatch.from_pydict(parts)

    keys = composite_canonical([batch.column("a"), batch.column("b")]).to_pylist()

    assert keys == [r"X\|Y|Z", r"X|Y\|Z", r"X|Y\|Z", None]


def test_a_key_of_several_parts_is_never_a_token():
    with pytest.raises(Mistake, match="several parts"):
        Subject(sources=("citizen_no", "period"), level=Level.L3, library="population", entity="person", **PERSON)
