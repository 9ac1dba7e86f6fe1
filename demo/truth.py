"""Everything that is true in the city, before departments write it down."""

from dataclasses import dataclass

import numpy as np

from demo.licenses import Licenses, licenses
from demo.organisations import Organisations, organisations
from demo.people import People, people
from demo.places import Ground, ground


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """Ground, people, organisations and licenses of one seed and scale."""

    seed: int
    scale: float
    ground: Ground
    people: People
    organisations: Organisations
    licenses: tuple[Licenses, ...]

    def draw(self, stream: int) -> np.random.Generator:
        """Return the random numbers of one department's register: always the same for one seed."""
        return np.random.default_rng([self.seed, stream])


def city(seed: int, scale: float) -> City:
    """Return the city of *seed*: equal seeds and scales give equal cities."""
    land = ground(seed, scale)
    inhabitants = people(seed, scale, land)
    founded = organisations(seed, scale, land, inhabitants)
    return City(
        seed=seed,
        scale=scale,
        ground=land,
        people=inhabitants,
        organisations=founded,
        licenses=licenses(seed, inhabitants, founded),
    )
