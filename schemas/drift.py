"""What a contract says about a source whose columns are no longer what they were."""

from enum import StrEnum

from schemas.declared import Declared


class Reaction(StrEnum):
    """Go on and record it, read and hold the batch for the officer, or end the run before a row is read."""

    IGNORE = "ignore"
    HOLD = "hold"
    FAIL = "fail"


class Drift(Declared):
    """What happens when the source's columns change, by sort of change. Each change is recorded whatever happens.

    A column that no run can do without (of the key, the cursor, a subject, a required field) fails the run when it is missing;
    another one that is missing is read as null. Releasing a held batch accepts the source as it is.
    """

    added: Reaction = Reaction.IGNORE
    missing: Reaction = Reaction.FAIL
    widened: Reaction = Reaction.IGNORE
    retyped: Reaction = Reaction.HOLD
