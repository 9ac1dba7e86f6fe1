"""What was taken of one part of a divided source, kept in staging until all parts are there. It holds tags and verdicts, no values."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from connectors.protocol import Oddity
from hub.flows.keysets import NONE
from hub.flows.staging import Names, Stage
from libraries.views import quoted
from masking.fingerprints import Tags

POSITIONS_PER_PART: Final = 1_000_000_000
"""A row's position in a divided batch is its part times this, and its place in the part."""
COLUMNS: Final = "part integer, what text, number integer, content bytea"
_BOUNDS: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTaken:
    """What came of one part, in rows, with the tags that the whole is accounted by; ``verdicts[check, row]`` if there are rows."""

    read: int
    quarantined: int
    unchanged: tuple[int, ...]
    keys: Tags
    subjects: Mapping[int, Tags]
    staged: Tags
    absent: Tags
    broken: Tags
    verdicts: NDArray[np.uint8] | None
    checks: tuple[str, ...] = ()
    oddities: Counter[Oddity] = field(default_factory=Counter)
    suppressed: int = 0
    erasures_seen: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)


_FACTS = ("read", "quarantined", "unchanged", "checks", "suppressed", "erasures_seen", "seconds")
_TAGS = ("keys", "staged", "absent", "broken")


def write(stage: Stage, part: int, taken: PartTaken) -> None:
    """Write what was *taken* of *part*; it counts when *stage* commits, with the part's rows."""
    rows = [(part, what, number, content) for what, number, content in _written(taken)]
    columns = dict(zip(("part", "what", "number", "content"), zip(*rows, strict=True), strict=True))
    types = {"part": pa.int32(), "what": pa.string(), "number": pa.int32(), "content": pa.binary()}
    stage.write(stage.names.parts, pa.RecordBatch.from_pydict({name: pa.array(columns[name], types[name]) for name in types}))


def _written(taken: PartTaken) -> Iterator[tuple[str, int, bytes]]:
    facts: dict[str, Any] = {name: getattr(taken, name) for name in _FACTS}
    facts["oddities"] = [(one.column, one.what, count) for one, count in taken.oddities.items()]
    yield "facts", 0, json.dumps(facts).encode()
    for name in _TAGS:
        yield name, 0, getattr(taken, name).tobytes()
    for number, tags in taken.subjects.items():
        yield "subjects", number, tags.tobytes()
    if taken.verdicts is not None:
        yield "verdicts", 0, pa.compress(np.ascontiguousarray(taken.verdicts).tobytes(), codec="zstd", asbytes=True)


def write_bounds(stage: Stage, sealed: bytes) -> None:
    """Write where the parts begin, sealed."""
    row = {"part": pa.array([_BOUNDS], pa.int32()), "what": ["bounds"], "content": pa.array([sealed], pa.binary())}
    stage.write(stage.names.parts, pa.RecordBatch.from_pydict(row))


def bounds(connection: sa.Connection, batch: int) -> bytes | None:
    """Return where the parts of *batch* begin, sealed; ``None`` if it is not there: a crash of the server empties the table."""
    table = quoted("staging", Names(batch=batch).parts)
    if connection.execute(sa.text("SELECT to_regclass(:table)"), {"table": table}).scalar_one() is None:
        return None
    found = connection.execute(sa.text(f"SELECT content FROM {table} WHERE part = {_BOUNDS}")).scalar_one_or_none()
    return None if found is None else bytes(found)


def recorded(connection: sa.Connection, batch: int) -> frozenset[int]:
    """Return the numbers of the parts of *batch* that were taken."""
    query = f"SELECT part FROM {quoted('staging', Names(batch=batch).parts)} WHERE what = 'facts'"
    return frozenset(connection.execute(sa.text(query)).scalars())


def read(connection: sa.Connection, batch: int) -> Iterator[PartTaken]:
    """Yield what was taken of each part of *batch*, in their order."""
    query = f"SELECT part, what, number, content FROM {quoted('staging', Names(batch=batch).parts)} WHERE part >= 0"
    found: dict[int, dict[tuple[str, int], bytes]] = {}
    for part, what, number, content in connection.execute(sa.text(query)):
        found.setdefault(part, {})[what, number] = bytes(content)
    for part in sorted(found):
        yield _taken(found.pop(part))


def _taken(contents: Mapping[tuple[str, int], bytes]) -> PartTaken:
    facts = json.loads(contents["facts", 0])
    oddities = Counter({Oddity(column, what): count for column, what, count in facts.pop("oddities")})
    facts |= {name: tuple(facts[name]) for name in ("unchanged", "checks")}
    tags: dict[str, Any] = {name: _tags(contents[name, 0]) for name in _TAGS}
    subjects = {number: _tags(content) for (what, number), content in contents.items() if what == "subjects"}
    taken = PartTaken(**facts, **tags, subjects=subjects, oddities=oddities, verdicts=None)
    packed = contents.get(("verdicts", 0))
    if packed is None:
        return taken
    shape = (len(taken.checks), taken.read)
    plain = pa.decompress(packed, decompressed_size=shape[0] * shape[1], codec="zstd", asbytes=True)
    return replace(taken, verdicts=np.frombuffer(plain, np.uint8).reshape(shape).copy())


def _tags(content: bytes) -> Tags:
    return np.frombuffer(content, np.uint64).copy() if content else NONE
