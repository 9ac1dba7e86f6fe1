"""Sets of keys as sorted arrays of their 64-bit tags: eight bytes a key, compared whole.

A tag stands for its key (``masking.fingerprints.key_tags``). Should two keys ever share one, the checksums
of source and library differ and the batch is refused, so nothing is lost silently.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from masking.fingerprints import Tags

NONE: Tags = np.empty(0, np.uint64)


@dataclass(slots=True)
class Gathered:
    """Tags as they arrive, in arrival order; a key that arrives twice is there twice."""

    parts: list[Tags] = field(default_factory=list)
    _ordered: bool = False

    def add(self, tags: Tags) -> None:
        """Add the tags of one stretch of rows."""
        if len(tags):
            self.parts.append(tags)
            self._ordered = False

    def __len__(self) -> int:
        """Return how many have arrived."""
        return sum(len(part) for part in self.parts)

    def sorted(self) -> Tags:
        """Return all that arrived, sorted; repeated ones are repeated."""
        if not self._ordered:
            made = np.concatenate(self.parts) if self.parts else NONE
            made.sort()
            self.parts, self._ordered = [made], True
        return self.parts[0]

    def drop(self, others: Tags) -> None:
        """Forget the tags in the sorted set *others*."""
        self.parts, self._ordered = [without(self.sorted(), others)], True


def among(tags: Tags, known: Tags) -> NDArray[np.bool_]:
    """Return for each of *tags* whether it is in the sorted set *known*; several times faster if *tags* are sorted too."""
    if not len(known):
        return np.zeros(len(tags), np.bool_)
    place = np.searchsorted(known, tags)
    place[place == len(known)] = 0
    found: NDArray[np.bool_] = known[place] == tags
    return found


def distinct(ordered: Tags) -> Tags:
    """Return sorted tags once each."""
    if not len(ordered):
        return NONE
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]


def repeated(ordered: Tags) -> Tags:
    """Return, once each and sorted, the tags that occur more than once in sorted tags."""
    return distinct(ordered[1:][ordered[1:] == ordered[:-1]])


def without(ordered: Tags, others: Tags) -> Tags:
    """Return sorted tags without those in the sorted set *others*."""
    return ordered[~among(ordered, others)]


def union(*sets: Tags) -> Tags:
    """Return sorted and once each what is in any of *sets*."""
    made = np.concatenate(sets)
    made.sort()
    return distinct(made)
