"""Why a batch is held: what was measured, what was allowed, and what the officer can do, in both languages."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from hub.flows.batches import Batch

Rule = Literal["failing", "deletes", "volume", "freshness", "clock", "reconciliation", "drift", "cursor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason to hold a batch. ``measured`` and ``limit`` are in the rule's own unit; none of it is a person's value."""

    rule: Rule
    measured: float | int | str
    limit: float | int | str
    zh: str
    en: str
    do_zh: str
    do_en: str

    def __str__(self) -> str:
        """Give the reason in one line, in both languages."""
        return f"{self.en} ({self.zh})"


def as_gate(reasons: Iterable[Reason]) -> dict[str, object]:
    """Return what a batch's record keeps of the gate's judgement."""
    kept = [asdict(reason) for reason in reasons]
    return {"passed": not kept, "reasons": kept}


def reasons_of(batch: Batch) -> tuple[Reason, ...]:
    """Return the reasons for which the gate held *batch*; none if it passed or was not judged."""
    kept = cast("list[dict[str, Any]]", (batch.gate or {}).get("reasons", []))
    return tuple(Reason(**reason) for reason in kept)


def in_words(reasons: Iterable[Reason]) -> str:
    """Return all *reasons* in one line."""
    return "; ".join(str(reason) for reason in reasons)
