"""Made-up rows of the register, and a seeded succession of days on which some of them change."""

import random
from collections.abc import Iterator

from tests.flows.conftest import Row

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def person(record: int, *, name: str = "张三", changed: str = "2026-01-01 00:00:00", sequence: int | None = None) -> Row:
    """A made-up person, of one record each."""
    born = f"{1960 + record % 40}0307"
    body = f"110101{born}{sequence or 2 * record + 1:03d}"
    check = "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True)) % 11]
    return (f"r{record}", body + check, name, "1", born, None, changed)


def broken(record: int, *, changed: str = "2026-01-01 00:00:00") -> Row:
    """A row whose number has a wrong check character."""
    return (f"r{record}", "310101198001010012", "赵六", "1", "1980-01-01", None, changed)


def days(number: int, *, seed: int) -> Iterator[list[Row]]:
    """The register on each of *number* days: every day rows come, change, break, are mended, are corrected and are deleted."""
    drawn = random.Random(seed)
    whole = [f"r{record}" for record in range(1, 11)]
    rows = {name: person(int(name[1:])) for name in whole} | {f"r{record}": broken(record) for record in (11, 12)}
    yield list(rows.values())
    for day in range(1, number):
        changed = f"2026-{2 + day // 28:02d}-{1 + day % 28:02d} 00:00:00"
        sound = [name for name, row in rows.items() if row[2] != "赵六"]
        renamed, corrected, breaking, leaving = drawn.sample(sound, 4)
        mended = drawn.choice([name for name, row in rows.items() if row[2] == "赵六"])
        for name in (mended, f"r{11 + 2 * day}", f"r{12 + 2 * day}"):
            rows[name] = person(int(name[1:]), name="王五", changed=changed)
        rows[renamed] = person(int(renamed[1:]), name=f"李{day}", changed=changed)
        rows[corrected] = person(int(corrected[1:]), changed=changed, sequence=2 * int(corrected[1:]))
        rows[breaking] = broken(int(breaking[1:]), changed=changed)
        del rows[leaving]
        yield list(rows.values())
