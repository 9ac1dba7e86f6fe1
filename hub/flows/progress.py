"""How a long step says how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int], None]
"""Called with the name of a step and the rows it has come to."""


def quiet(_step: str, _rows: int) -> None:
    """Report nothing."""
