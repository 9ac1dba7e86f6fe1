"""The rules: each a function from whole columns to a verdict column. Importing this package registers them all."""

from schemas.rules import citizen, geometries, organisations, periods, places, relations, sets, shapes, values
from schemas.rules.checks import Check, Verdicts, checks_of, judge, set_check
from schemas.rules.registry import RULES, Rule
from schemas.rules.uses import mistakes_of

__all__ = [
    "RULES",
    "Check",
    "Rule",
    "Verdicts",
    "checks_of",
    "citizen",
    "geometries",
    "judge",
    "mistakes_of",
    "organisations",
    "periods",
    "places",
    "relations",
    "set_check",
    "sets",
    "shapes",
    "values",
]
