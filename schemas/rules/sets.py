"""Rules about a set of rows. The key pass and SQL give their verdicts; here they only have a name."""

from schemas.rules.registry import Parameter, set_rule

set_rule("null_key", zh="行主键不为空", en="The row key is present")
set_rule("unique_key", zh="行主键不重复", en="The row key is unique")
set_rule("duplicate_subject", zh="同一主体只有一行", en="The subject has one row")
set_rule(
    "reference",
    zh="所引用的主体存在",
    en="The subject referred to exists",
    parameters={"entity": Parameter(types=(str,), required=True)},
)
set_rule("owner", zh="该行由有权部门提供", en="The row comes from its owner")
