"""The gate: Great Expectations judges verdicts, sees no value, and tells nobody."""

import re
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from hub.errors import Rejected
from schemas import expectations
from schemas.conform import conform
from schemas.contract import Contract, Contribution, Field, Gate, Severity, Sharing, SharingClass
from schemas.declared import Title
from schemas.expectations import judge_frame, suite_of
from schemas.rules import RULES, Check, checks_of, judge
from schemas.rules.checks import FAILS, HOLDS, NOT_JUDGED

TITLE = Title(zh="手机", en="mobile")


def check(name: str, rule: str = "mobile", severity: Severity = Severity.ERROR) -> Check:
    """Return a check on the field *name*."""
    return Check(id=f"{name}.{rule}", rule=rule, fields=(name,), severity=severity, title=TITLE)


def frame(rows: int = 10, start: int = 0, **failing: list[int]) -> pd.DataFrame:
    """Return a verdict frame where the rows of *failing* fail the check ``<name>.mobile``."""
    columns = {f"{name}.mobile": np.full(rows, HOLDS, dtype=np.uint8) for name in failing}
    for name, places in failing.items():
        columns[f"{name}.mobile"][places] = FAILS
    return pd.DataFrame(columns, index=pd.RangeIndex(start, start + rows))


@pytest.fixture(autouse=True)
def _no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine, and every name that would be looked up for one."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "local socket"
        assert self.family == socket.AF_UNIX or host in {"127.0.0.1", "::1", "localhost"}, "a connection leaves loopback"
        connect(self, address)

    def unresolved(host: object, *_: object, **__: object) -> None:
        raise AssertionError(f"the name {host!r} is looked up")

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded)
    monkeypatch.setattr(socket, "getaddrinfo", unresolved)


def test_a_batch_passes_up_to_the_gate_and_not_above(tmp_path: Path) -> None:
    checks, gate = (check("a"), check("b")), Gate(failing=0.3)

    up_to = judge_frame(frame(a=[1, 2], b=[2, 3]), checks, gate, dataset="register", batch=1, docs=tmp_path)
    above = judge_frame(frame(a=[1, 2], b=[3, 4]), checks, gate, dataset="register", batch=2, docs=tmp_path)

    assert (up_to.passed, up_to.failing, up_to.share) == (True, 3, 0.3)
    assert (above.passed, above.failing, above.share) == (False, 4, 0.4)


def test_in_a_window_the_share_counts_from_the_declared_number_of_failing_rows_on(tmp_path: Path) -> None:
    gate, checks = Gate(failing=0.1, at_least=3), (check("a"),)

    def passed(failing: int, gate: Gate = gate, **of: bool) -> bool:
        return judge_frame(frame(4, a=list(range(failing))), checks, gate, dataset="r", batch=1, docs=tmp_path, **of).passed

    assert passed(2, whole=False)
    assert not passed(3, whole=False)
    assert not passed(1, whole=True)
    assert not passed(1, Gate(failing=0), whole=False)


@pytest.mark.parametrize("percent", [1, 6, 7, 29, 57, 58])
def test_a_share_equal_to_the_gate_passes_whatever_its_binary_form(tmp_path: Path, percent: int) -> None:
    verdict = judge_frame(
        frame(100, a=list(range(percent))), (check("a"),), Gate(failing=percent / 100), dataset="r", batch=1, docs=tmp_path
    )

    assert verdict.passed


def test_warnings_never_hold_a_batch(tmp_path: Path) -> None:
    checks = (check("a", severity=Severity.WARNING),)

    verdict = judge_frame(frame(a=list(range(10))), checks, Gate(failing=0), dataset="register", batch=1, docs=tmp_path)

    assert verdict.passed
    assert verdict.checks[0].failing == 10


def test_every_failing_row_is_named_at_its_absolute_position(tmp_path: Path) -> None:
    parts = pd.concat([frame(1000, a=list(range(0, 1000, 2))), frame(1000, 1000, a=[7])])

    verdict = judge_frame(parts, (check("a"),), Gate(failing=1), dataset="register", batch=1, docs=tmp_path)

    assert verdict.checks[0].rows.tolist() == [*range(0, 1000, 2), 1007]
    assert verdict.checks[0].share == 501 / 2000


def test_rows_that_were_not_judged_neither_fail_nor_count_as_judged(tmp_path: Path) -> None:
    verdicts = frame(4, a=[0])
    verdicts.loc[1, "a.mobile"] = NOT_JUDGED

    verdict = judge_frame(verdicts, (check("a"),), Gate(failing=1), dataset="register", batch=1, docs=tmp_path)

    assert (verdict.checks[0].check_id, verdict.checks[0].judged, verdict.checks[0].failing) == ("a.mobile", 3, 1)


def test_an_empty_batch_passes(tmp_path: Path) -> None:
    assert judge_frame(frame(0, a=[]), (check("a"),), Gate(failing=0), dataset="register", batch=1, docs=tmp_path).passed


def test_a_check_without_verdicts_is_not_passed_over(tmp_path: Path) -> None:
    verdicts = frame(4, a=[0])
    verdicts["a.mobile"] = [np.zeros(2)] * 4  # cannot be compared with a number

    with pytest.raises(Rejected, match=r"could not judge a\.mobile"):
        judge_frame(verdicts, (check("a", severity=Severity.WARNING),), Gate(), dataset="register", batch=1, docs=tmp_path)


def test_great_expectations_is_imported_only_when_it_judges() -> None:
    code = "import sys, schemas.expectations, schemas.rules; assert 'great_expectations' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])


def test_every_rule_has_its_expectation() -> None:
    known = expectations.expectations()

    assert set(known) == set(RULES) | {expectations.ROWS}
    assert known["citizen_number"].__name__ == "ExpectCitizenNumber"
    assert known["citizen_number"].expectation_type == "expect_citizen_number"


def test_the_suite_follows_the_checks() -> None:
    suite = suite_of((check("a"), check("b", "landline", Severity.WARNING)), Gate(failing=0.05), dataset="register")

    said = [(one.expectation_type, one.column, one.mostly) for one in suite.expectations]

    assert said == [("expect_valid_rows", "rows.valid", 0.95), ("expect_mobile", "a.mobile", 0.95), ("expect_landline", "b.landline", 0.0)]


def test_no_value_reaches_the_page_and_no_host_is_asked_by_it(tmp_path: Path) -> None:
    fields = (Field(name="no", title=Title(zh="号码", en="number"), type="string", level="L1", kind="mobile"),)
    contract = Contract(
        dataset="register", department="office", version=1, title=TITLE, abstract=TITLE, source="system", table="t", key=("no",),
        fields=fields, contributes=(Contribution(entity="population.person", subject="no"),), sharing=Sharing(class_=SharingClass.UNCONDITIONAL),
    )  # fmt: skip
    kinds = {"mobile": _kind()}
    checks = checks_of(contract, kinds, {})
    conformed = conform(pa.record_batch({"no": ["CANARY-8391", "13800138000"]}), fields, timezone="Asia/Shanghai")
    verdicts = judge(conformed, checks, today=date(2026, 8, 1)).frame(0)

    verdict = judge_frame(verdicts, checks, Gate(failing=0), dataset="register", batch="7", docs=tmp_path)

    page = verdict.docs.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["7.html"]
    assert "number: The mobile number has the right form" in page
    assert "CANARY" not in page
    assert "13800138000" not in page
    assert not re.search(r"https?://|<script|<img|<link|<iframe|url\(", page)
    assert "default-src 'none'" in page


def _kind() -> object:
    from schemas.vocabulary import Kind

    return Kind(kind="mobile", title=TITLE, level="L3", rules=("mobile",))
