"""The rules: each a function from whole columns to a verdict column. Importing this package registers them all."""

from schemas.rules import citizen, organisations, places, registry, relations, shapes, values
from schemas.rules.registry import RULES, Rule

registry.set_rule("null_key", zh="行主键不为空", en="The row key is present")
registry.set_rule("unique_key", zh="行主键不重复", en="The row key is unique")
registry.set_rule("duplicate_subject", zh="同一主体只有一行", en="The subject has one row")
registry.set_rule(
    "reference",
    zh="所引用的主体存在",
    en="The subject referred to exists",
    parameters={"entity": registry.Parameter(types=(str,), required=True)},
)
registry.set_rule("owner", zh="该行由有权部门提供", en="The row comes from its owner")

__all__ = ["RULES", "Rule", "citizen", "organisations", "places", "relations", "shapes", "values"]
