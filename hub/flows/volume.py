"""Volume against recent batches: half a table, or twice a table, is looked at before it is published."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import sqlalchemy as sa

from hub.flows.reasons import Reason
from schemas.contract import Volume

ENOUGH = 3
"""Batches that must have gone before: two may both be odd."""
_LOOKED_THROUGH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much one batch read, whether it read the whole source, and the seconds since the batch before it."""

    rows: int
    whole: bool
    seconds: float | None

    def is_like(self, other: "Size") -> bool:
        """Whether both read the whole source, or windows of which neither is more than twice as long."""
        if self.whole or other.whole:
            return self.whole and other.whole
        if not self.seconds or not other.seconds:
            return False
        return 1 / 2 <= self.seconds / other.seconds <= 2  # noqa: PLR2004 (twice as long)


def judge_volume(size: Size, earlier: Sequence[Size], declared: Volume) -> Reason | None:
    """Return the reason to hold a batch of *size* after *earlier* ones (newest first), or ``None``.

    It is compared with batches like it: with their median, and with the newest of them. It must be far from both:
    steady growth is near the newest however far it has left the median behind, and one odd batch moves no median.
    Fewer than :data:`ENOUGH` like it, and nothing is judged.
    """
    like = [one.rows for one in earlier if one.is_like(size)][: declared.recent]
    if len(like) < ENOUGH:
        return None
    middle = median(like)
    if not (_far(size.rows, middle, declared) and _far(size.rows, like[0], declared)):
        return None
    low, high = (max(0, round(middle * (1 + sign * declared.share))) for sign in (-1, 1))
    return Reason(
        rule="volume",
        measured=size.rows,
        limit=f"{low}–{high}",
        zh=f"读取 {size.rows} 行，最近 {len(like)} 个同类批次的中位数为 {middle:g} 行，允许 {low} 至 {high} 行",
        en=f"{size.rows} rows were read; the median of the last {len(like)} batches like it is {middle:g}, {low} to {high} are allowed",
        do_zh="向部门核实：文件是否截断、是否重复、是否批量更新。属实则放行，此后以新的数量为准",
        do_en="ask the department: a file cut off, delivered twice, a mass update? If it is right, release it: it becomes the new measure",
    )


def _far(rows: int, reference: float, declared: Volume) -> bool:
    return abs(rows - reference) > max(declared.rows, declared.share * reference)


def size_of(connection: sa.Connection, batch: int, *, rows: int, whole: bool) -> Size:
    """Return the size of a batch that has just been read."""
    query = sa.text(
        "SELECT extract(epoch FROM b.started_at - max(e.started_at)) FROM hub.batch b "
        "LEFT JOIN hub.batch e ON e.dataset = b.dataset AND e.state = 'published' AND e.id < b.id WHERE b.id = :batch GROUP BY b.id"
    )
    seconds = connection.execute(query, {"batch": batch}).scalar_one()
    return Size(rows=rows, whole=whole, seconds=float(seconds) if seconds is not None else None)


def sizes_before(connection: sa.Connection, dataset: str) -> tuple[Size, ...]:
    """Return the sizes of the published batches of *dataset*, newest first; replays and windows asked for are no measure."""
    query = sa.text(
        "SELECT (counts ->> 'read')::bigint AS rows, coalesce((counts ->> 'whole')::boolean, cursor_after IS NULL) AS whole, "
        "extract(epoch FROM started_at - lag(started_at) OVER (ORDER BY id)) AS seconds FROM hub.batch "
        "WHERE dataset = :dataset AND state = 'published' AND counts ? 'read' "
        "AND NOT counts ?| ARRAY['replayed', 'asked'] ORDER BY id DESC LIMIT :limit"
    )
    found = connection.execute(query, {"dataset": dataset, "limit": _LOOKED_THROUGH})
    return tuple(Size(rows=row.rows, whole=row.whole, seconds=float(row.seconds) if row.seconds is not None else None) for row in found)
