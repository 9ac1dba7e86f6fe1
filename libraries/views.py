"""What a library says, as SQL: composed and collected entities, now and as of a version.

A composed field takes the value of the highest-ranked dataset that has a row for the subject, null included:
an authority that clears a value has spoken (Decree 809 Art. 19, one datum one source).
"""

from collections.abc import Callable

from libraries.layout import ContributionTable, EntityLayout, StoredColumn
from schemas.library import Form

Relation = Callable[[ContributionTable], str]


def quoted(*names: str) -> str:
    """Return a qualified, quoted SQL name."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def current(table: ContributionTable) -> str:
    """Return the relation of the rows that hold now."""
    return quoted(table.library, table.name)


def as_of(version: int) -> Relation:
    """Return the relation of the rows that held in library version *version*."""

    def relation(table: ContributionTable) -> str:
        columns = ", ".join(quoted(name) for name, _ in table.stored)
        now, history = quoted(table.library, table.name), quoted(table.library, table.history)
        return (
            f"(SELECT {columns} FROM {now} WHERE since <= {version:d} "
            f"UNION ALL SELECT {columns} FROM {history} WHERE since <= {version:d} AND until > {version:d})"
        )

    return relation


def select(layout: EntityLayout, relation: Relation = current, ranks: dict[str, tuple[str, ...]] | None = None) -> str:
    """Return the SELECT that gives *layout*'s entity: ``subject``, its fields, for a collected one also ``dataset`` and ``row_key``."""
    if layout.form is Form.COLLECTED:
        return _collected(layout, relation)
    return _composed(layout, relation, ranks if ranks is not None else layout.ranks)


def _composed(layout: EntityLayout, relation: Relation, ranks: dict[str, tuple[str, ...]]) -> str:
    alias = {table.dataset: f"c{number}" for number, table in enumerate(layout.tables)}
    fields = [f"{_voice(column, ranks.get(column.field, ()), alias)} AS {quoted(column.name)}" for column in layout.columns]
    joins = [f"LEFT JOIN {relation(table)} {alias[table.dataset]} ON {alias[table.dataset]}.subject = k.subject" for table in layout.tables]
    exists = " OR ".join(f"{alias[dataset]}.subject IS NOT NULL" for dataset in layout.exists_by if dataset in alias) or "false"
    columns = ",\n  ".join(["k.subject", "k.key AS subject_key", *fields])
    return "SELECT " + columns + f"\nFROM {layout.spine} k\n" + "\n".join(joins) + f"\nWHERE k.current AND ({exists})"


# Casts that lose nothing and never fail. What cannot be cast so stays in its column for the record.
_LOSSLESS = {
    ("bigint", "numeric"), ("bigint", "text"), ("numeric", "text"), ("double precision", "text"), ("double precision", "numeric"),
    ("date", "text"), ("boolean", "text"),
}  # fmt: skip


def value(alias: str, column: StoredColumn) -> str:
    """Return the value of *column* in the row *alias*: of a row from before its type changed, the one stored then."""
    name = f"{alias}.{quoted(column.name)}"
    if column.earlier is None or (column.earlier, column.sql_type) not in _LOSSLESS:
        return name
    return f"coalesce({name}, {alias}.{quoted(column.earlier_name)}::{column.sql_type})"


def _voice(column: StoredColumn, ranked: tuple[str, ...], alias: dict[str, str]) -> str:
    voices = [alias[dataset] for dataset in ranked if dataset in alias]
    if not voices:
        return f"NULL::{column.sql_type}"
    if len(voices) == 1:
        return value(voices[0], column)
    return "CASE " + " ".join(f"WHEN {voice}.subject IS NOT NULL THEN {value(voice, column)}" for voice in voices) + " END"


def _collected(layout: EntityLayout, relation: Relation) -> str:
    if not layout.tables:
        columns = ", ".join(f"NULL::{column.sql_type} AS {quoted(column.name)}" for column in layout.columns)
        return f"SELECT NULL::bigint AS subject, NULL::text AS dataset, NULL::bytea AS row_key, {columns} WHERE false"
    return "\nUNION ALL\n".join(_one_owner(layout, table, relation) for table in layout.tables)


def _one_owner(layout: EntityLayout, table: ContributionTable, relation: Relation) -> str:
    given = {column.name for column in table.columns}
    fields = [
        f"{value('c', column)} AS {quoted(column.name)}" if column.name in given else f"NULL::{column.sql_type} AS {quoted(column.name)}"
        for column in layout.columns
    ]
    columns = ", ".join(["c.subject", f"'{table.dataset}'::text AS dataset", "c.row_key", *fields])
    return f"SELECT {columns} FROM {relation(table)} c"
