"""The Great Expectations suite of a contract, which judges the verdict frame of one batch.

Great Expectations sees verdicts and nothing else: its results, its exceptions and its pages quote what they are given
(`unexpected_list`, `exception_info`), so it is never given a value.
This is the only module that imports it, inside functions, because the import takes seconds.
"""

import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hub.errors import Rejected, Unavailable
from schemas.contract import Gate, Severity
from schemas.declared import Title
from schemas.offline_pages import standalone
from schemas.rules.checks import FAILS, NOT_JUDGED, Check
from schemas.rules.registry import RULES

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.data_context import EphemeralDataContext
    from great_expectations.expectations.expectation import ColumnMapExpectation

    Expectations = dict[str, type[ColumnMapExpectation]]

# Read when the package is imported; there is no other switch before a context exists.
os.environ["GX_ANALYTICS_ENABLED"] = "False"

ROWS = "rows.valid"
_METRIC = "verdict.holds"
_ROWS_TITLE = Title(zh="该行没有错误级问题", en="The row breaks no rule of severity error")
# Counts, and the position of every failing row, but not even the verdicts themselves.
_FORMAT = {"result_format": "COMPLETE", "exclude_unexpected_values": True, "return_unexpected_index_query": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckVerdict:
    """What one check said of a batch: how many rows it judged, and the positions of all that fail."""

    check: Check
    judged: int
    rows: npt.NDArray[np.int64]
    share: float

    @property
    def check_id(self) -> str:
        """Id of the check: its column in the verdict frame."""
        return self.check.id

    @property
    def failing(self) -> int:
        """Number of rows that fail."""
        return len(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """Whether a batch may be published, and why.

    ``failing`` counts the rows that fail at least one check of severity error, ``share`` is their part of ``rows``.
    ``docs`` is the Data Docs page of the batch.
    """

    passed: bool
    rows: int
    failing: int
    share: float
    checks: tuple[CheckVerdict, ...]
    docs: Path


def judge_frame(
    frame: "pd.DataFrame", checks: Sequence[Check], gate: Gate, *, dataset: str, batch: int | str, docs: Path, whole: bool = True
) -> GateVerdict:
    """Judge the verdicts of one batch: one uint8 column per check id, indexed by row position.

    Not passed if the share of rows that fail any check of severity error is above ``gate.failing``; an empty batch passes,
    and so does a window (not the *whole* source) in which fewer rows fail than ``gate.at_least``.
    `Rejected` if Great Expectations could not judge. The page, ``<batch>.html`` in *docs*, shows counts and some row positions,
    and stands alone: opening it loads nothing. Nothing is sent anywhere.
    """
    valid = _valid_rows(frame, checks)
    few = len(valid) - int(valid.sum()) < gate.counts_from(whole=whole)
    result = _validated(frame.assign(**{ROWS: valid}), suite_of(checks, gate, dataset=dataset, few=few))
    positions = _positions(result)
    failing, rows = len(positions[ROWS]), len(frame)
    return GateVerdict(
        passed=_outcomes(result)[ROWS],
        rows=rows,
        failing=failing,
        share=failing / rows if rows else 0.0,
        checks=tuple(_check_verdict(check, frame, positions[check.id]) for check in checks),
        docs=_write_page(_shortened(result), dataset=dataset, batch=str(batch), folder=docs),
    )


def suite_of(checks: Sequence[Check], gate: Gate, *, dataset: str, few: bool = False) -> "ExpectationSuite":
    """Return the suite of a contract: the gate on whole rows first, then one expectation per check, in their order.

    Warnings never fail a batch: their expectation holds whatever the share. So do all where too *few* rows fail to count.
    """
    gx = _great_expectations()
    known = expectations()
    mostly = 0.0 if few else round(1 - gate.failing, 12)  # else 1 - 0.07 is a hair above 0.93
    rows = known[ROWS](column=ROWS, mostly=mostly, description=_both(_ROWS_TITLE), severity="critical")
    return gx.ExpectationSuite(name=dataset, expectations=[rows, *(_expectation(check, mostly) for check in checks)])


def _expectation(check: Check, mostly: float) -> "ColumnMapExpectation":
    error = check.severity is Severity.ERROR
    return expectations()[check.rule](
        column=check.id,
        mostly=mostly if error else 0.0,
        description=_both(check.title),
        severity="critical" if error else "warning",
    )


def _both(title: Title) -> str:
    return f"{title.zh} / {title.en}"


@cache
def expectations() -> "Expectations":
    """Return one expectation class per rule, named after it: ``citizen_number`` is ``ExpectCitizenNumber``."""
    _register_metric()
    classes = {name: _class_of(name, rule.title) for name, rule in RULES.items()}
    return classes | {ROWS: _class_of("valid_rows", _ROWS_TITLE)}


def _class_of(rule: str, title: Title) -> "type[ColumnMapExpectation]":
    _great_expectations()
    from great_expectations.expectations.expectation import ColumnMapExpectation  # noqa: PLC0415

    name = "Expect" + "".join(part.capitalize() for part in rule.split("_"))
    body = {"__doc__": f"{title.en}.", "__module__": __name__, "map_metric": _METRIC}
    return type(ColumnMapExpectation)(name, (ColumnMapExpectation,), body)


def _register_metric() -> None:
    """Teach Great Expectations the one metric all these expectations share: a verdict that is not "fails"."""
    _great_expectations()
    from great_expectations.execution_engine import PandasExecutionEngine  # noqa: PLC0415
    from great_expectations.expectations.metrics.map_metric_provider import (  # noqa: PLC0415
        ColumnMapMetricProvider,
        column_condition_partial,
    )

    class VerdictHolds(ColumnMapMetricProvider):  # type: ignore[misc]
        condition_metric_name = _METRIC

        @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
        def _pandas(cls, column: "pd.Series[int]", **_: object) -> "pd.Series[bool]":  # noqa: N805 (a class method)
            return column != FAILS


@cache
def _great_expectations() -> Any:  # noqa: ANN401 (a module)
    """Import Great Expectations; some of what it imports is deprecated, which is not ours to hear about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations  # noqa: PLC0415
    return great_expectations


def _valid_rows(frame: "pd.DataFrame", checks: Sequence[Check]) -> npt.NDArray[np.uint8]:
    valid = np.ones(len(frame), dtype=np.uint8)
    for check in checks:
        if check.severity is Severity.ERROR:
            valid &= frame[check.id].to_numpy() != FAILS
    return valid


def _validated(frame: "pd.DataFrame", suite: "ExpectationSuite") -> "ExpectationSuiteValidationResult":
    """Run the suite in memory: storing a result first copies every failing position several times over.

    The validator is asked itself: a batch that is made first and then validated is fingerprinted, all of it, twice.
    """
    from great_expectations.validator.v1_validator import Validator  # noqa: PLC0415

    asset = _context().data_sources.add_pandas("verdicts").add_dataframe_asset("batch")
    batch = asset.add_batch_definition_whole_dataframe("whole")
    return Validator(batch, batch_parameters={"dataframe": frame}, result_format=_FORMAT).validate_expectation_suite(suite)


def _context() -> "EphemeralDataContext":
    """Return a context that keeps nothing on disk (the default builds a site of its own) and tells nobody."""
    from great_expectations.data_context.types.base import (  # noqa: PLC0415
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return _great_expectations().get_context(mode="ephemeral", project_config=config)


def _positions(result: "ExpectationSuiteValidationResult") -> dict[str, npt.NDArray[np.int64]]:
    """Return the positions of the failing rows by column; a check that could not be judged is no check passed."""
    for one in result.results:
        if "element_count" not in one.result:
            raise Rejected(
                f"Great Expectations could not judge {_column(one)}",
                remedy="the batch is not published; report this with the batch's number",
            )
    return {_column(one): np.asarray(one.result.get("unexpected_index_list") or [], dtype=np.int64) for one in result.results}


def _outcomes(result: "ExpectationSuiteValidationResult") -> dict[str, bool]:
    return {_column(one): bool(one.success) for one in result.results}


def _column(one: Any) -> str:  # noqa: ANN401 (a result of an untyped package)
    return str(one.expectation_config.kwargs["column"])


def _check_verdict(check: Check, frame: "pd.DataFrame", rows: npt.NDArray[np.int64]) -> CheckVerdict:
    judged = int((frame[check.id].to_numpy() != NOT_JUDGED).sum())
    return CheckVerdict(check=check, judged=judged, rows=rows, share=len(rows) / len(frame) if len(frame) else 0.0)


_SHOWN = 20


def _shortened(result: "ExpectationSuiteValidationResult") -> "ExpectationSuiteValidationResult":
    """Cut the positions to those a page shows: writing a million of them takes minutes."""
    for one in result.results:
        for name in ("unexpected_index_list", "partial_unexpected_index_list"):
            if name in one.result:
                one.result[name] = one.result[name][:_SHOWN]
    return result


def _write_page(result: "ExpectationSuiteValidationResult", *, dataset: str, batch: str, folder: Path) -> Path:
    """Render the result as a Data Docs page and write it, whole or not at all."""
    _great_expectations()
    from great_expectations.core.run_identifier import RunIdentifier  # noqa: PLC0415
    from great_expectations.render.renderer import ValidationResultsPageRenderer  # noqa: PLC0415

    result.meta["run_id"] = RunIdentifier(run_name=batch, run_time=datetime.now(UTC))
    html = _page_view().render(ValidationResultsPageRenderer().render(result))
    page = folder / f"{batch}.html"
    draft = page.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(standalone(html, title=f"{dataset} {batch}"), encoding="utf-8")
        return draft.replace(page)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise Unavailable(
            f"the page of batch {batch} of {dataset} cannot be written into {folder} ({error.strerror}, 无法写入质检报告)",
            remedy="make room on that disk and let the hub's user write there, then run the job again; nothing was published",
        ) from None


@cache
def _page_view() -> Any:  # noqa: ANN401 (an untyped package)
    """Return the one view of this process: each new one compiles its templates anew."""
    from great_expectations.render.view import DefaultJinjaPageView  # noqa: PLC0415

    return DefaultJinjaPageView()
