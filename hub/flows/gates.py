"""The gate: does this batch go on, or does an officer have to look first? Nothing here sees a value."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import sqlalchemy as sa
from numpy.typing import NDArray

from connectors.protocol import Oddity
from hub.flows.batches import CheckResult
from hub.flows.freshness import Newest, hub_now, judge_freshness
from hub.flows.reasons import Reason
from hub.flows.stream import Taken
from hub.flows.volume import Size, judge_volume, sizes_before
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
    corrections: list[tuple[NDArray[np.int64], Taken]] = field(default_factory=list)
    oddities: Counter[Oddity] = field(default_factory=Counter)
    newest: Newest | None = None
    suppression: dict[str, object] = field(default_factory=dict)

    def add(self, taken: Taken) -> None:
        """Add one stretch of rows."""
        self.frames.append(taken.verdicts.frame(self.read))
        self.read += taken.read
        self.quarantined += taken.quarantined.num_rows

    def correct(self, before: Taken, now: Taken, *, shift: int = 0) -> None:
        """Let what is said of some rows *now* replace what was said of them *before*, *shift* places from their positions."""
        self.quarantined += now.quarantined.num_rows - before.quarantined.num_rows
        self.corrections.append((now.positions + shift, now))

    def frame(self) -> pd.DataFrame:
        """Return the verdicts of all rows, by position."""
        frame = pd.concat(self.frames) if len(self.frames) > 1 else self.frames[0]
        for places, taken in self.corrections:
            there = places < len(frame)  # a source that grew between two reads has rows that were not judged at first
            frame.iloc[places[there]] = taken.verdicts.matrix.T[there]
        return frame

    def counts(self) -> dict[str, object]:
        """Return read = valid + quarantined, and what the source could not hand over as it stood (read as null)."""
        odd = {f"{one.column}: {one.what}": count for one, count in sorted(self.oddities.items(), key=str)}
        rows = {"read": self.read, "valid": self.read - self.quarantined, "quarantined": self.quarantined}
        return rows | {"oddities": odd} | self.suppression


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The judgement on a batch: reasons to hold it (none: it may go on), each rule's result, where the Data Docs lie."""

    reasons: tuple[Reason, ...]
    results: tuple[CheckResult, ...]
    docs: str | None


def judge_batch(contract: Contract, checks: tuple[Check, ...], outcome: Outcome, batch: int, *, whole: bool) -> Gate:
    """Let the contract's Great Expectations suite judge the verdict frame once, of the *whole* source or of a window."""
    if not outcome.read:
        return Gate(reasons=(), results=tuple(_result(check, 0, 0) for check in checks), docs=None)
    from schemas.expectations import judge_frame  # noqa: PLC0415 (importing it takes seconds; workers import it once)

    docs = settings().state / "docs" / contract.dataset
    verdict = judge_frame(outcome.frame(), checks, contract.gate, dataset=contract.dataset, batch=str(batch), docs=docs, whole=whole)
    results = tuple(_result(one.check, one.judged, one.failing) for one in verdict.checks)
    reasons = () if verdict.passed else (_too_many(outcome, contract),)
    return Gate(reasons=reasons, results=results, docs=str(verdict.docs))


def _result(check: Check, judged: int, failing: int) -> CheckResult:
    return CheckResult(
        check_id=check.id, rule=check.rule, fields=check.fields, severity=check.severity.value,
        title_zh=check.title.zh, title_en=check.title.en, judged=judged, failing=failing,
    )  # fmt: skip


def _too_many(outcome: Outcome, contract: Contract) -> Reason:
    share, limit = 100 * outcome.quarantined / outcome.read, 100 * contract.gate.failing
    return Reason(
        rule="failing",
        measured=round(share, 2),
        limit=round(limit, 4),
        zh=f"不合格行占 {share:.1f}%，上限 {limit:g}%",
        en=f"{share:.1f} % of the rows break a rule, the gate allows {limit:g} %",
        do_zh="查看未通过的规则，请部门在源端更正；合格行可用时放行，其余留在隔离区",
        do_en="look at the broken rules and let the department correct those rows. Release if the others are right",
    )


def reasons_to_hold(
    connection: sa.Connection, contract: Contract, outcome: Outcome, *, size: Size | None, shares: tuple[Staged, ...]
) -> tuple[Reason, ...]:
    """Return every reason beyond the rules to hold a staged batch; one without a *size* is like no other."""
    found = [*deletes(connection, contract, shares)]
    if contract.gate.volume is not None and size is not None:
        volume = judge_volume(size, sizes_before(connection, contract.dataset), contract.gate.volume)
        found += [volume] if volume else []
    zone = ZoneInfo(settings().timezone)
    return (*found, *judge_freshness(outcome.newest, contract.gate.freshness, now=hub_now(), zone=zone))


def deletes(connection: sa.Connection, contract: Contract, shares: tuple[Staged, ...]) -> Iterator[Reason]:
    """Yield a reason for each entity that would lose more of its rows than the contract's gate allows."""
    for share in shares:
        gone = scalar(connection, f"SELECT count(*) FROM {quoted('staging', share.gone)}")
        held = scalar(connection, f"SELECT count(*) FROM {quoted(share.table.library, share.table.name)}") if gone else 0
        if gone > held * contract.gate.deletes:
            yield _too_many_gone(share.layout.path, gone, held, 100 * contract.gate.deletes)


def _too_many_gone(path: str, gone: int, held: int, limit: float) -> Reason:
    return Reason(
        rule="deletes",
        measured=round(100 * gone / held, 2),
        limit=round(limit, 4),
        zh=f"{path} 共 {held} 行，源端少了 {gone} 行，占 {100 * gone / held:.1f}%，上限 {limit:g}%",
        en=f"{gone} of {held} rows of {path} are gone at the source ({100 * gone / held:.1f} %), the gate allows {limit:g} %",
        do_zh="向部门核实是否真的删除；误清空则作废，待其恢复后重新运行",
        do_en="ask the department whether they were deleted on purpose. If not, discard the batch and run the job again once they are back",
    )
