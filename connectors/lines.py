"""Positions to show a person: the first few, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.failures import LISTED


@dataclass(slots=True)
class Lines:
    """Some of the positions where something is wrong; ``word`` says what is counted (line, row, cell)."""

    word: str = "line"
    first: list[int | str] = field(default_factory=list)
    total: int = 0

    def add(self, position: int | str) -> None:
        """Count *position*; the first twenty are kept."""
        self.total += 1
        if len(self.first) < LISTED:
            self.first.append(position)

    def __str__(self) -> str:
        """Name the positions kept and the number of the others."""
        more = f" and {self.total - len(self.first)} more" if self.total > len(self.first) else ""
        return f"{self.word}{'s' if self.total > 1 else ''} {', '.join(map(str, self.first))}{more}"
