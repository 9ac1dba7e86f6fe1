"""The city's ground: divisions (real codes with their history), and invented roads, addresses and boundaries."""

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from demo.numbers import Integers, Texts, joined, padded
from demo.words import STREETS, TOWNS
from schemas.rules.divisions import Division, divisions

CITY, CITY_NAME, PROVINCE_NAME = "330100", "杭州市", "浙江省"
_WEST, _SOUTH, _CELL = 118.9, 29.5, 0.22


@cache
def districts() -> tuple[Division, ...]:
    """Return the city's districts and counties of today."""
    return tuple(
        period
        for period in divisions()
        if period.code.startswith(CITY[:4]) and period.until is None and period.code[4:] not in ("00", "01", "20")
    )


def prefixes(draw: np.random.Generator, homes: Texts) -> Texts:
    """Return the division of first registration of people who live in *homes*: abolished ones included."""
    count = len(homes)
    local = [
        period.code for period in divisions() if period.code.startswith(CITY[:4]) and period.until and period.code[4:] not in ("01", "20")
    ]
    country = [
        period.code for period in divisions() if period.code[4:] not in ("00", "01", "20") and period.code[:2] not in ("71", "81", "82")
    ]
    chance = draw.random(count)
    return np.where(chance < 0.65, homes, np.where(chance < 0.85, draw.choice(local, count), draw.choice(country, count)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Roads and addresses: positions in degrees of CGCS2000, longitude first."""

    road_names: Texts
    road_districts: Integers
    road_lines: tuple[np.ndarray, ...]
    address_roads: Integers
    address_plates: Integers
    address_towns: Texts
    address_points: np.ndarray

    @property
    def address_codes(self) -> Texts:
        """Division code of each address."""
        return district_codes()[self.road_districts[self.address_roads]]

    @property
    def address_texts(self) -> Texts:
        """Each address in full, from the province to the door plate."""
        names = np.array([district.name for district in districts()])[self.road_districts[self.address_roads]]
        roads = self.road_names[self.address_roads]
        return joined(PROVINCE_NAME, CITY_NAME, names, self.address_towns, roads, self.address_plates.astype("<U4"), "号")


def district_codes() -> Texts:
    """Return the codes of :func:`districts`."""
    return np.array([district.code for district in districts()])


def corner(district: int) -> np.ndarray:
    """Return the south-west corner of the rectangle where *district* is drawn."""
    return np.array([_WEST + _CELL * (district % 4), _SOUTH + _CELL * (district // 4)])


def ground(seed: int, scale: float) -> Ground:
    """Lay out the city's roads and the addresses along them."""
    draw = np.random.default_rng([seed, 1])
    roads, addresses = max(12, int(240 * scale)), max(60, int(6000 * scale))
    of_district = np.arange(roads) % len(districts())
    lines = tuple(_line(draw, district) for district in of_district.tolist())
    of_road = draw.integers(0, roads, addresses)
    along = draw.random(addresses)[:, None]
    starts, ends = (np.array([line[place] for line in lines])[of_road] for place in (0, -1))
    return Ground(
        road_names=np.array(STREETS)[(np.arange(roads) // len(districts())) % len(STREETS)],
        road_districts=of_district,
        road_lines=lines,
        address_roads=of_road,
        address_plates=np.arange(addresses) // 4 + 1,
        address_towns=np.array(TOWNS)[of_road % len(TOWNS)],
        address_points=np.round(starts + (ends - starts) * along + draw.normal(0, 1e-4, (addresses, 2)), 7),
    )


def _line(draw: np.random.Generator, district: int) -> np.ndarray:
    start = corner(district) + draw.uniform(0.03, 0.19, 2)
    steps = draw.normal(0.002, 0.0012, (draw.integers(3, 8), 2))
    return np.round(np.vstack([start, start + np.cumsum(steps, axis=0)]), 7)


def division_table() -> pa.Table:
    """Return the divisions as civil affairs keeps them: one row for each name a code has had."""
    all_periods = divisions()
    seen: Counter[str] = Counter()
    current = {period.name: period.code for period in all_periods if period.until is None}
    codes = {period.code for period in all_periods}
    return pa.table(
        {
            "条目号": [f"{period.code}-{_nth(period, seen)}" for period in all_periods],
            "区划代码": [period.code for period in all_periods],
            "区划名称": [period.name for period in all_periods],
            "级别": [str(_level(period.code)) for period in all_periods],
            "上级代码": [_parent(period.code, codes) for period in all_periods],
            "启用日期": [f"{period.since}-01-01" if period.since else None for period in all_periods],
            "停用日期": [f"{period.until}-12-31" if period.until else None for period in all_periods],
            "继任代码": [_successor(period, current) for period in all_periods],
        }
    )


def _nth(period: Division, seen: Counter[str]) -> int:
    seen[period.code] += 1
    return seen[period.code]


def _level(code: str) -> int:
    return 1 if code.endswith("0000") else 2 if code.endswith("00") else 3


def _parent(code: str, codes: set[str]) -> str | None:
    if code.endswith("0000"):
        return None
    prefecture = code[:4] + "00"
    return prefecture if prefecture != code and prefecture in codes else code[:2] + "0000"


def _successor(period: Division, current: dict[str, str]) -> str | None:
    """Return the code that took over: given for the city's own, else found where a county became a city or district of that name."""
    known = {"330103": "330105", "330104": "330102"}  # 2021: Xiacheng into Gongshu, Jianggan into Shangcheng
    if period.until is None or period.code in known:
        return known.get(period.code)
    stem = period.name[:-1]
    heirs = (current.get(stem + ending) for ending in "区市县" if len(stem) > 1)
    return next((heir for heir in heirs if heir and heir != period.code and heir[:2] == period.code[:2]), None)


def address_ids(count: int) -> Texts:
    """Return the identifiers of the first *count* addresses."""
    return joined("A", CITY, padded(np.arange(count) + 1, 8))
