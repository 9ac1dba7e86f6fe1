"""What an error means to Airflow, and that its text stays behind."""

from pathlib import Path

import pytest

from tests.dags.conftest import Ask

_TELL = """
import json
from dags.failures import told_to_airflow
from hub import errors

def outcome(error):
    try:
        with told_to_airflow():
            raise error
    except Exception as told:
        return {"type": type(told).__name__, "text": str(told), "quiet": told.__suppress_context__ and told.__cause__ is None}

print(json.dumps(outcome({error})))
"""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("errors.Unavailable('the source did not answer', remedy='wait')", "AirflowException"),
        ("errors.Mistake('the contract is wrong', remedy='mend it')", "AirflowFailException"),
        ("errors.Rejected('batch 7 is held', remedy='decide it')", "AirflowFailException"),
        ("errors.Refused('the job is paused', remedy='resume it')", "AirflowFailException"),
    ],
)
def test_only_what_may_pass_is_tried_again(ask_airflow: Ask, tmp_path: Path, error: str, told: str) -> None:
    found = ask_airflow(_TELL.replace("{error}", error), tmp_path, tmp_path)
    assert found["type"] == told
    assert "What to do" in found["text"]
    assert found["quiet"]


def test_an_unexpected_error_is_told_by_type_and_place_without_its_text(ask_airflow: Ask, tmp_path: Path) -> None:
    found = ask_airflow(_TELL.replace("{error}", "ValueError('110101199003078531 is not a date')"), tmp_path, tmp_path)
    assert found["type"] == "AirflowFailException"
    assert found["text"].startswith("ValueError in dags/failures.py:")
    assert "110101" not in found["text"]
    assert found["quiet"]
