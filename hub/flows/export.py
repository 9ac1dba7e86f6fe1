"""Quarantined rows for the department that supplied them: without values for anybody, with values for its officer alone."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from audit.events import Event
from audit.log import record
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Refused
from hub.flows.readiness import acting, require_ready
from hub.flows.remembered import Remembered, remembered, target_of, unsealed
from masking import letters
from schemas.contract import Contract
from schemas.declarations import declarations

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
# What a spreadsheet takes for a formula, in either width (OWASP: CSV injection).
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A check of one batch as it was worded when it judged."""

    check_id: str
    fields: tuple[str, ...]
    severity: str
    zh: str
    en: str


def without_values(name: str, *, by: str) -> tuple[bytes, int]:
    """Return a CSV of the open rows of a dataset or batch, a line for each rule a row breaks, and the number of rows.

    A row is named by its key, or by its token where the key is sensitive. Recorded before it is returned.
    """
    target = target_of(name)
    with engine(Role.WRITER).begin() as connection:
        require_ready(connection)
        rows = remembered(connection, target)
        checks = _checks(connection, rows)
        details = {"dataset": target.dataset, "batch": target.batch, "rows": len(rows)}
        record(connection, Event.QUARANTINE_EXPORTED, actor=by, details=details)
    header = ["批次 batch", "第几行 row", "主键 key", "字段 fields", "规则", "rule", "严重度 severity"]
    return _csv(header, _lines(rows, checks)), len(rows)


def _lines(rows: Iterable[Remembered], checks: Mapping[tuple[int, str], Broken]) -> Iterator[list[str]]:
    for row in rows:
        for name in row.checks:
            one = checks[row.batch, name]
            yield [str(row.batch), str(row.position + 1), _key(row), ", ".join(one.fields), one.zh, one.en, one.severity]


def _key(row: Remembered) -> str:
    if row.row_key is None:
        return ""
    return f"token {row.row_key.hex()}" if row.key_is_token else row.row_key.decode("utf-8", "replace")


def with_values(name: str, *, key_file: str, days: int, by: str, now: datetime | None = None) -> tuple[bytes, int]:
    """Return the open rows of a dataset or batch with their values, encrypted to an officer of the department that supplied them.

    *key_file* is the text of a file with the officer's public key, which the department must have declared
    (`officer_keys` in catalog/departments.yaml): :class:`Refused`, and recorded, otherwise.
    The unsealing is recorded before anything is returned. Values exist in clear in this process's memory only.
    """
    target = target_of(name)
    recipient = letters.public_key(key_file)
    contract = declarations().contract(target.dataset)
    _require_own_officer(contract, recipient, by)
    made = now or datetime.now(UTC)
    expires = made + timedelta(days=days)
    with engine(Role.WRITER).begin() as connection:
        require_ready(connection)
        rows = remembered(connection, target)
        checks = _checks(connection, rows)
        values = unsealed(rows)
        details = {
            "dataset": target.dataset, "batch": target.batch, "rows": len(rows), "department": contract.department,
            "recipient": recipient, "expires": expires.isoformat(),
        }  # fmt: skip
        record(connection, Event.QUARANTINE_UNSEALED, actor=by, details=details)
    letter = letters.Letter(
        dataset=target.dataset, department=contract.department, made_by=by, made_at=made, expires_at=expires, rows=len(rows),
        csv=_csv(_header(contract), _whole(rows, values, checks, contract)).decode("utf-8-sig"),
    )  # fmt: skip
    return letters.written(letter, recipient), len(rows)


def _require_own_officer(contract: Contract, recipient: str, by: str) -> None:
    if recipient in declarations().departments[contract.department].officer_keys:
        return
    with acting() as connection:
        details = {"dataset": contract.dataset, "department": contract.department, "recipient": recipient}
        record(connection, Event.QUARANTINE_REFUSED, actor=by, details=details)
    raise Refused(
        f"values of {contract.dataset} go to officers of {contract.department} only, and this is no key of theirs",
        remedy="declare the officer's key under `officer_keys` of the department in catalog/departments.yaml, or export without --values",
    )


def _header(contract: Contract) -> list[str]:
    fields = [f"{each.title.zh} {each.title.en} ({each.source_column})" for each in contract.fields]
    return ["批次 batch", "第几行 row", "所违规则", "broken rules", *fields]


def _whole(
    rows: Sequence[Remembered], values: Sequence[Mapping[str, str | None]], checks: Mapping[tuple[int, str], Broken], contract: Contract
) -> Iterator[list[str]]:
    for row, cells in zip(rows, values, strict=True):
        broken = [checks[row.batch, name] for name in row.checks]
        told = ["; ".join(one.zh for one in broken), "; ".join(one.en for one in broken)]
        yield [str(row.batch), str(row.position + 1), *told, *(cells.get(each.name) or "" for each in contract.fields)]


def _checks(connection: sa.Connection, rows: Iterable[Remembered]) -> dict[tuple[int, str], Broken]:
    query = sa.text("SELECT batch, check_id, fields, severity, title_zh, title_en FROM hub.batch_check WHERE batch = ANY(:batches)")
    found = connection.execute(query, {"batches": sorted({row.batch for row in rows})})
    return {
        (one.batch, one.check_id): Broken(
            check_id=one.check_id, fields=tuple(one.fields), severity=one.severity, zh=one.title_zh, en=one.title_en
        )
        for one in found
    }


def _csv(header: Sequence[str], lines: Iterable[Sequence[str]]) -> bytes:
    """Return a CSV that Excel reads as UTF-8 and in which no cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([harmless(cell) for cell in line] for line in lines)
    return out.getvalue().encode("utf-8-sig")


def harmless(cell: str) -> str:
    """Return *cell* so that no spreadsheet takes it for a formula; plain numbers stay numbers."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell
