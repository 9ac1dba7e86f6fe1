"""``python -m demo.somebody``: the number of an invented person of whom departments say different things.

For `hub explain population`, which reads a number from standard input. Only ever a number of the demo city.
"""

import sys

from demo.city import on_day, summary
from demo.truth import city
from hub.errors import Mistake
from hub.settings import settings


def somebody() -> str:
    """Return the citizen number of someone registered, married and insured under another telephone number."""
    standing = summary(settings().state)
    if standing is None:
        raise Mistake("there is no demo city", remedy="run `make demo`")
    datasets, _ = on_day(city(standing.seed, standing.scale), standing.day)
    household, insurance = datasets["household_register"], datasets["social_insurance"]
    marriages = datasets["marriage_register"].table
    married = set(marriages["man_no"].to_pylist()) | set(marriages["woman_no"].to_pylist())
    told = dict(zip(insurance.table["citizen_no"].to_pylist(), insurance.table["phone"].to_pylist(), strict=True))
    numbers, phones = (household.table[name].to_pylist() for name in ("citizen_no", "phone"))
    candidates = (place for place in sorted(household.sound) if numbers[place] in married)
    return next(str(numbers[place]) for place in candidates if told.get(numbers[place], phones[place]) != phones[place])


if __name__ == "__main__":
    sys.stdout.write(somebody() + "\n")
