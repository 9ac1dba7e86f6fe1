"""The gate: does this batch go on, or does an officer have to look first? Nothing here sees a value."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd
import sqlalchemy as sa

from connectors.protocol import Oddity
from hub.flows.batches import CheckResult
from hub.flows.stream import Taken
from hub.settings import settings
from libraries.publishing import Staged
from libraries.statements import scalar
from libraries.views import quoted
from schemas.contract import Contract
from schemas.rules.checks import Check


@dataclass(slots=True)
class Outcome:
    """What reading gave so far, in rows, and the verdicts of every row."""

    read: int = 0
    quarantined: int = 0
    frames: list[pd.DataFrame] = field(default_factory=list)
    oddities: Counter[Oddity] = field(default_factory=Counter)

    def add(self, taken: Taken) -> None:
        """Add one stretch of rows."""
        self.read += taken.read
        self.quarantined += taken.quarantined.num_rows
        self.frames.append(taken.verdicts)

    def counts(self) -> dict[str, object]:
        """Return read = valid + quarantined, and what the source could not hand over as it stood (read as null)."""
        odd = {f"{one.column}: {one.what}": count for one, count in sorted(self.oddities.items(), key=str)}
        return {"read": self.read, "valid": self.read - self.quarantined, "quarantined": self.quarantined, "oddities": odd}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The judgement on a batch: reasons to hold it (none: it may go on), each rule's result, where the Data Docs lie."""

    reasons: tuple[str, ...]
    results: tuple[CheckResult, ...]
    docs: str | None


def judge_batch(contract: Contract, checks: tuple[Check, ...], outcome: Outcome, batch: int) -> Gate:
    """Let the contract's Great Expectations suite judge the verdict frame once."""
    if not outcome.read:
        return Gate(reasons=(), results=tuple(_result(check, 0, 0) for check in checks), docs=None)
    from schemas.expectations import judge_frame  # noqa: PLC0415 (importing it takes seconds; workers import it once)

    frame = pd.concat(outcome.frames) if len(outcome.frames) > 1 else outcome.frames[0]
    docs = settings().state / "docs" / contract.dataset
    verdict = judge_frame(frame, checks, contract.gate, dataset=contract.dataset, batch=str(batch), docs=docs)
    results = tuple(_result(one.check, one.judged, one.failing) for one in verdict.checks)
    reasons = () if verdict.passed else (_too_many(outcome, contract),)
    return Gate(reasons=reasons, results=results, docs=str(verdict.docs))


def _result(check: Check, judged: int, failing: int) -> CheckResult:
    return CheckResult(
        check_id=check.id, rule=check.rule, fields=check.fields, severity=check.severity.value,
        title_zh=check.title.zh, title_en=check.title.en, judged=judged, failing=failing,
    )  # fmt: skip


def _too_many(outcome: Outcome, contract: Contract) -> str:
    share, limit = 100 * outcome.quarantined / outcome.read, 100 * contract.gate.failing
    return f"{share:.1f} % of the rows break a rule, the gate allows {limit:g} % (不合格行占 {share:.1f}%，上限 {limit:g}%)"


def deletes(connection: sa.Connection, contract: Contract, shares: tuple[Staged, ...]) -> Iterator[str]:
    """Yield a reason for each entity that would lose more of its rows than the contract's gate allows."""
    for share in shares:
        target = quoted(share.table.library, share.table.name)
        held = scalar(connection, f"SELECT count(*) FROM {target}")
        keys = quoted("staging", share.all_keys)
        gone = scalar(connection, f"SELECT count(*) FROM {target} t WHERE NOT EXISTS (SELECT FROM {keys} k WHERE k.row_key = t.row_key)")
        if gone and gone > held * contract.gate.deletes:
            where, limit = f"{share.layout.path}", 100 * contract.gate.deletes
            en = f"{gone} of {held} rows of {where} are gone at the source, the gate allows {limit:g} %"
            yield f"{en} (源端少了 {gone} 行，上限 {limit:g}%)"
