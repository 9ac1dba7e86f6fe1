"""Contracts in and out as Open Data Contract Standard 3.1 (Bitol), so that other tools read ours and we read theirs.

What the standard can say stands in its own keys and is read from them.
What it cannot say (kinds, contributions, gate, sync …) stands in ``customProperties`` whose names begin with ``hub``,
and only that: whoever changes a title or a type in another tool finds the change after the import.
"""

from schemas.odcs.drafts import Draft, Draw, drafts, drawn
from schemas.odcs.export import exported
from schemas.odcs.standard import API_VERSION

__all__ = ["API_VERSION", "Draft", "Draw", "drafts", "drawn", "exported"]
