"""The city's people: households, births, couples and work, before any department writes them down."""

from dataclasses import dataclass

import numpy as np

from demo.numbers import (
    FIRST_SEQUENCE,
    LAST_SEQUENCE,
    Days,
    Flags,
    Integers,
    Texts,
    citizen_numbers,
    joined,
    mobile_numbers,
)
from demo.places import Ground, prefixes
from demo.words import people_names

TODAY = np.datetime64("2026-09-01")
NOBODY = -1
_ETHNIC = ["01", "03", "04", "05", "08", "11", "06"]
_ETHNIC_SHARES = [0.955, 0.012, 0.004, 0.006, 0.008, 0.009, 0.006]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """One entry per person in every column; ``spouse``, ``mother``, ``father`` are positions or :data:`NOBODY`."""

    numbers: Texts
    names: Texts
    women: Flags
    ethnic: Texts
    births: Days
    prefixes: Texts
    households: Integers
    relations: Texts
    addresses: Integers
    rooms: Texts
    phones: Texts
    spouse: Integers
    mother: Integers
    father: Integers
    married: Days
    died: Days
    educations: Texts
    registered: Days

    def __len__(self) -> int:
        """Return how many people there are."""
        return len(self.numbers)

    @property
    def ages(self) -> Integers:
        """Age in full years, to within a day."""
        return ((TODAY - self.births).astype(int) / 365.25).astype(int)

    def homes(self, ground: Ground) -> Texts:
        """Return each person's address in full."""
        return joined(ground.address_texts[self.addresses], self.rooms)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """Who lives together: positions of parents and children, found before anyone has a name."""

    households: Integers
    relations: Texts
    births: Days
    women: Flags
    spouse: Integers
    mother: Integers
    father: Integers
    married: Days


def people(seed: int, scale: float, ground: Ground) -> People:
    """Settle the city: households with a head, mostly a spouse, children; about 21,400 people at full scale."""
    draw = np.random.default_rng([seed, 2])
    family = _families(draw, max(30, int(8900 * scale)))
    count, houses = len(family.births), int(family.households.max()) + 1
    addresses = draw.integers(0, len(ground.address_plates), houses)[family.households]
    buildings, entrances, floors = (draw.integers(1, last, houses).astype("<U2") for last in (25, 4, 19))
    rooms = joined(buildings, "幢", entrances, "单元", floors, "01室")
    ethnic = draw.choice(_ETHNIC, houses, p=_ETHNIC_SHARES)[family.households]
    first_homes = prefixes(draw, ground.address_codes[addresses])
    return People(
        numbers=citizen_numbers(first_homes, family.births, sequences(draw, family.women, first_homes, family.births)),
        names=people_names(draw, family.women, ethnic),
        women=family.women,
        ethnic=ethnic,
        births=family.births,
        prefixes=first_homes,
        households=family.households,
        relations=family.relations,
        addresses=addresses,
        rooms=rooms[family.households],
        phones=mobile_numbers(draw, count),
        spouse=family.spouse,
        mother=family.mother,
        father=family.father,
        married=family.married,
        died=_deaths(draw, family.births),
        educations=_educations(draw, family.births),
        registered=np.minimum(family.births + draw.integers(20, 9000, count), TODAY - 30),
    )


def _families(draw: np.random.Generator, houses: int) -> _Family:
    """Return heads first, then spouses, then children, so that positions can be computed."""
    head_births = np.datetime64("1946-01-01") + draw.integers(0, 365 * 56, houses)
    head_women = draw.random(houses) < 0.4
    coupled = np.flatnonzero(draw.random(houses) < 0.72)
    spouse_births = head_births[coupled] + draw.integers(-1400, 1400, len(coupled))
    younger: Days = np.maximum(head_births[coupled], spouse_births)
    married: Days = younger + draw.integers(23 * 365, 31 * 365, len(coupled)).astype("timedelta64[D]")
    wed = married < TODAY
    coupled, spouse_births, married = coupled[wed], spouse_births[wed], married[wed]
    spouse = np.full(houses + len(coupled), NOBODY)
    spouse[coupled], spouse[houses:] = houses + np.arange(len(coupled)), coupled
    children, child_births = _children(draw, married)
    child_women = draw.random(len(children)) < 0.48
    head, partner = coupled[children], houses + children
    mothers = np.where(head_women[head], head, partner)
    nobody = np.full(houses + len(coupled), NOBODY)
    head_women_all = np.concatenate([head_women, ~head_women[coupled]])
    return _Family(
        households=np.concatenate([np.arange(houses), coupled, head]),
        relations=np.concatenate([np.full(houses, "02"), np.full(len(coupled), "10"), np.where(child_women, "30", "20")]),
        births=np.concatenate([head_births, spouse_births, child_births]),
        women=np.concatenate([head_women_all, child_women]),
        spouse=np.concatenate([spouse, np.full(len(children), NOBODY)]),
        mother=np.concatenate([nobody, mothers]),
        father=np.concatenate([nobody, head + partner - mothers]),
        married=_wedding_days(houses, coupled, married, len(children)),
    )


def _children(draw: np.random.Generator, married: Days) -> tuple[Integers, Days]:
    """Return each child's couple and birth: up to two, from a year after the wedding, none unborn."""
    numbers = draw.choice([0, 1, 2], len(married), p=[0.12, 0.58, 0.30])
    couples = np.repeat(np.arange(len(married)), numbers)
    seconds = np.concatenate([np.zeros(1, dtype=bool), couples[1:] == couples[:-1]]) if len(couples) else np.zeros(0, dtype=bool)
    births = married[couples] + draw.integers(300, 1500, len(couples)) + seconds * 1600
    born = births < TODAY - 40
    return couples[born], births[born]


def _wedding_days(houses: int, coupled: Integers, married: Days, children: int) -> Days:
    days = np.full(houses + len(coupled) + children, np.datetime64("NaT", "D"))
    days[coupled], days[houses : houses + len(coupled)] = married, married
    return days


def sequences(draw: np.random.Generator, women: Flags, divisions: Texts, births: Days) -> Integers:
    """Return sequences odd for men and even for women, counted up where a day's division has several people."""
    pairs = (LAST_SEQUENCE - FIRST_SEQUENCE) // 2
    places = draw.integers(0, pairs, len(women))
    taken: set[tuple[str, np.datetime64, bool, int]] = set()
    for position, key in enumerate(zip(divisions.tolist(), births.tolist(), women.tolist(), strict=True)):
        while (*key, int(places[position])) in taken:
            places[position] = (places[position] + 1) % pairs
        taken.add((*key, int(places[position])))
    return FIRST_SEQUENCE + 2 * places + np.where(women, 0, 1)


def _deaths(draw: np.random.Generator, births: Days) -> Days:
    """Return the day of death of a few of the old, else no day (NaT)."""
    ages = (TODAY - births).astype(int) / 365.25
    dead = draw.random(len(births)) < np.where(ages > 60, 0.06, 0.002)
    days = TODAY - draw.integers(40, 1500, len(births))
    return np.where(dead & (days > births), days, np.datetime64("NaT", "D"))


def _educations(draw: np.random.Generator, births: Days) -> Texts:
    ages = (TODAY - births).astype(int) / 365.25
    grown = draw.choice(["14", "21", "31", "61", "71", "81"], len(births), p=[0.05, 0.25, 0.2, 0.25, 0.18, 0.07])
    return np.where(ages >= 24, grown, np.where(ages >= 15, "71", np.where(ages >= 12, "81", "90")))
