"""The city's organisations and the departments that register them."""

from dataclasses import dataclass

import numpy as np

from demo.numbers import Days, Integers, Texts, credit_codes, joined
from demo.people import NOBODY, TODAY, People
from demo.places import CITY, CITY_NAME, Ground
from demo.words import FIRM_NAMES, firm_names

TRADES = {
    "C": ["机械", "纺织", "食品", "电子"],
    "E": ["建筑", "装饰"],
    "F": ["商贸", "进出口", "超市"],
    "G": ["物流", "运输"],
    "H": ["餐饮", "酒店"],
    "I": ["软件", "信息技术", "网络科技"],
    "L": ["商务服务", "人力资源"],
    "M": ["科技", "检测"],
}
INSTITUTIONS = ["实验小学", "中学", "图书馆", "社区卫生服务中心", "文化馆", "档案馆", "养老服务中心", "农业技术推广站"]
SOCIETIES = ["行业协会", "志愿者协会", "书画研究会", "慈善基金会", "校友会", "养老院", "科普学会"]
DEPARTMENTS = {  # department: (order of its invented credit code, name of the body that acts)
    "public_security": (1, "公安局"),
    "civil_affairs": (2, "民政局"),
    "health": (3, "卫生健康委员会"),
    "human_resources": (4, "人力资源和社会保障局"),
    "market_regulation": (5, "市场监督管理局"),
    "tax": (6, "税务局"),
    "organisation_staffing": (7, "机构编制委员会办公室"),
    "natural_resources": (8, "规划和自然资源局"),
    "transport": (9, "交通运输局"),
    "statistics": (10, "统计局"),
    "finance": (11, "财政局"),
    "development_reform": (12, "发展和改革委员会"),
    "government_services": (13, "政务服务管理局"),
}


def department_code(department: str) -> str:
    """Return the invented credit code of a city department."""
    return str(credit_codes(np.array(["11"]), np.array([CITY]), np.array([DEPARTMENTS[department][0]]))[0])


def department_name(department: str) -> str:
    """Return the department's name as it stands on what it issues."""
    return CITY_NAME + DEPARTMENTS[department][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisations:
    """One entry per organisation in every column; ``registrar`` is the first character of the code: 9, 1 or 5."""

    codes: Texts
    names: Texts
    types: Texts
    representatives: Integers
    addresses: Integers
    rooms: Texts
    divisions: Texts
    capitals: Integers
    scopes: Texts
    sections: Texts
    established: Days
    approved: Days
    valid_to: Days
    status: Texts

    def __len__(self) -> int:
        """Return how many organisations there are."""
        return len(self.codes)

    def of(self, registrar: str) -> Integers:
        """Return the positions of those whose code begins with *registrar*."""
        return np.flatnonzero(np.strings.startswith(self.codes, registrar))

    def seats(self, ground: Ground) -> Texts:
        """Return each registered address in full."""
        return joined(ground.address_texts[self.addresses], self.rooms)


def organisations(seed: int, scale: float, ground: Ground, people: People) -> Organisations:
    """Found the city's organisations: 4,700 firms, 350 institutions, 450 social organisations at full scale."""
    draw = np.random.default_rng([seed, 3])
    firms, institutions, societies = (max(minimum, int(number * scale)) for minimum, number in ((60, 4700), (12, 350), (15, 450)))
    count = firms + institutions + societies
    registrars = np.repeat(["9", "1", "5"], [firms, institutions, societies])
    addresses = draw.integers(0, len(ground.address_plates), count)
    sections = np.concatenate([draw.choice(list(TRADES), firms), draw.choice(["P", "Q", "S"], count - firms)])
    trades = np.array([draw.choice(TRADES[section]) for section in sections[:firms].tolist()])
    established = TODAY - draw.integers(200, 9000, count)
    divisions = ground.address_codes[addresses]
    return Organisations(
        codes=credit_codes(_classes(draw, registrars), divisions, np.arange(count) + 100),
        names=np.concatenate([firm_names(draw, CITY_NAME, trades), _numbered(INSTITUTIONS, institutions), _numbered(SOCIETIES, societies)]),
        types=np.select([registrars == "9", registrars == "1"], ["11", "51"], "71"),
        representatives=draw.choice(np.flatnonzero((people.ages >= 25) & np.isnat(people.died)), count),
        addresses=addresses,
        rooms=joined(draw.choice(list("ABCD"), count), "座", draw.integers(101, 2500, count).astype("<U4"), "室"),
        divisions=divisions,
        capitals=draw.choice([10, 50, 100, 500, 1000, 5000], count),
        scopes=np.concatenate([joined(trades, "及相关服务"), np.full(count - firms, "公益服务")]),
        sections=sections,
        established=established,
        approved=np.minimum(established + draw.integers(0, 2000, count), TODAY - 5),
        valid_to=np.where(draw.random(count) < 0.7, np.datetime64("NaT", "D"), established + 365 * 30),
        status=draw.choice(["1", "1", "1", "1", "1", "1", "1", "1", "2", "3"], count),
    )


def _classes(draw: np.random.Generator, registrars: Texts) -> Texts:
    chance = draw.random(len(registrars))
    market = np.where(chance < 0.8, "91", np.where(chance < 0.97, "92", "93"))
    society = np.where(chance < 0.6, "51", np.where(chance < 0.95, "52", "53"))
    return np.select([registrars == "9", registrars == "1"], [market, "12"], society)


def _numbered(words: list[str], count: int) -> Texts:
    places = np.arange(count)
    names = np.array(FIRM_NAMES)[places % len(FIRM_NAMES)]
    return joined(CITY_NAME, names, np.array(words)[places % len(words)])


def employers(draw: np.random.Generator, people: People, organisations: Organisations) -> Integers:
    """Return the employing organisation of each person of working age, else :data:`NOBODY`."""
    working = (people.ages >= 22) & (people.ages < 60) & (draw.random(len(people)) < 0.7) & np.isnat(people.died)
    return np.where(working, draw.integers(0, len(organisations), len(people)), NOBODY)
