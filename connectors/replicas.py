"""The replica first, where one is declared: a copy of the database, if it is near enough to the original."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from connectors import failures
from hub.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from connectors.protocol import Connector
    from schemas.source import Replica, Source

    Opening = Callable[[Source], AbstractContextManager[Connector]]


@contextmanager
def from_replica(source: Source, replica: Replica, opening: Opening) -> Iterator[Connector]:
    """Open *replica* by *opening*, or the primary where the declaration allows it and the replica is away or too far behind.

    ``Unavailable`` where neither may be read now.
    """
    with ExitStack() as stack:
        try:
            session = stack.enter_context(opening(source.model_copy(update={"url": replica.url})))
            _require_in_step(source, replica, session)
        except Unavailable:
            if not replica.else_primary:
                raise
            stack.close()
            session = stack.enter_context(opening(source))
        yield session


def _require_in_step(source: Source, replica: Replica, session: Connector) -> None:
    behind = session.seconds_behind()
    if behind is not None and behind > replica.lag_seconds:
        how_far = f"{behind:.0f} s behind, more than {replica.lag_seconds} s" if behind != float("inf") else "not following its primary"
        raise failures.down(source, f"the replica is {how_far} (`replica.lag_seconds`)")
