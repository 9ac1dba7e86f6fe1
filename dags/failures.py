"""What an error of the hub means to Airflow: try again, or stop. And that nothing of it is a value."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from hub.errors import HubError, Unavailable

_REPOSITORY = Path(__file__).resolve().parent.parent


@contextmanager
def told_to_airflow() -> Iterator[None]:
    """Let Airflow retry ``Unavailable`` alone; everything else fails at once.

    An error that is not ours may quote a value in its text, so of it only the type and the place are told.
    """
    try:
        yield
    except Unavailable as error:
        raise AirflowException(str(error)) from None
    except HubError as error:
        raise AirflowFailException(str(error)) from None
    except Exception as error:  # noqa: BLE001 (whatever it is, its text must not reach the log)
        raise AirflowFailException(f"{type(error).__name__} in {_place(error)}\n  What to do: report this place to the operator") from None


def _place(error: Exception) -> str:
    """Name the innermost line of the hub's own code that the error passed through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(_REPOSITORY)]
    ours = [frame for frame in frames if ".venv" not in frame.filename]
    last = ours[-1]
    return f"{Path(last.filename).relative_to(_REPOSITORY)}:{last.lineno} ({last.name})"
