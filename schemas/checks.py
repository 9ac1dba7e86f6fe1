"""Rules across files: each is one function that yields every mistake of its kind.

``hub check``, the tests and every job run the same list, so that nothing half right is ever executed.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from difflib import get_close_matches

from croniter import croniter

from hub.errors import Finding
from schemas.contract import Contract, Contribution, Field, Mode
from schemas.declarations import Declarations
from schemas.declared import FieldType
from schemas.library import Entity, EntityField, Form, Library, OnErasure
from schemas.opening import ALWAYS, within
from schemas.reading import Written
from schemas.schedule import Schedule
from schemas.source import Source
from schemas.vocabulary import Treatment

POSTGRES_NAME_BYTES = 63
_TIMES = 1500  # a day of a minute-wise expression, and a bit
RESERVED = frozenset({"subject", "subject_key", "dataset", "row_key", "row_hash", "since", "until"})

Check = Callable[[Declarations], Iterator[Finding]]


def check(declared: Declarations) -> list[Finding]:
    """Return every mistake of every file, in order of file and line; empty if all is well."""
    findings = list(declared.findings)
    for rule in CHECKS:
        findings += rule(declared)
    return sorted(set(findings))


def _contracts(declared: Declarations) -> Iterator[tuple[Contract, Written]]:
    for name, contract in declared.contracts.items():
        yield contract, declared.written[("dataset", name)]


def _entities(declared: Declarations) -> Iterator[tuple[Library, int, Entity, Written]]:
    for name, library in declared.libraries.items():
        for index, entity in enumerate(library.entities):
            yield library, index, entity, declared.written[("library", name)]


def _contributions(declared: Declarations) -> Iterator[tuple[Contract, int, Contribution, Entity, Written]]:
    for contract, written in _contracts(declared):
        for index, given in enumerate(contract.contributes):
            try:
                _, entity = declared.entity(given.entity)
            except KeyError:
                continue
            yield contract, index, given, entity, written


def names_exist(declared: Declarations) -> Iterator[Finding]:
    """A contract's source, department and entities, and a source's department, must be declared."""
    for contract, written in _contracts(declared):
        if contract.source not in declared.sources:
            yield written.finding(
                "source", problem=f"there is no source `{contract.source}`", remedy=f"declare connectors/sources/{contract.source}.yaml"
            )
        if contract.department not in declared.departments:
            yield written.finding(
                "department", problem=f"there is no department `{contract.department}`", remedy="add it to catalog/departments.yaml"
            )
        for index, given in enumerate(contract.contributes):
            if given.entity not in _entity_paths(declared):
                nearest = _one_of(_entity_paths(declared), given.entity)
                yield written.finding("contributes", index, "entity", problem=f"there is no entity `{given.entity}`", remedy=nearest)
    for name, source in declared.sources.items():
        if source.department not in declared.departments:
            yield declared.written[("source", name)].finding(
                "department", problem=f"there is no department `{source.department}`", remedy="add it to catalog/departments.yaml"
            )


def _entity_paths(declared: Declarations) -> set[str]:
    return {f"{library.library}.{entity.entity}" for library, _, entity, _ in _entities(declared)}


def _one_of(names: set[str], meant: str = "") -> str:
    near = get_close_matches(meant, names, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return "choose one of: " + ", ".join(sorted(names)) if names else "none is declared yet"


def files_stand_where_their_names_say(declared: Declarations) -> Iterator[Finding]:
    """``schemas/contracts/<department>/<dataset>.yaml`` holds that department's dataset."""
    for contract, written in _contracts(declared):
        expected = f"{contract.department}/{contract.dataset}.yaml"
        if not written.file.endswith(expected):
            yield written.finding(
                "dataset", problem="the file is not named after its dataset", remedy=f"move it to schemas/contracts/{expected}"
            )


def fields_are_named_once(declared: Declarations) -> Iterator[Finding]:
    """No two fields of a contract or entity share a name; reserved names are the hub's own."""
    for contract, written in _contracts(declared):
        yield from _named_once([field.name for field in contract.fields], written, "fields")
    for _, index, entity, written in _entities(declared):
        yield from _named_once([field.name for field in entity.fields], written, "entities", index, "fields")
        for place, field in enumerate(entity.fields):
            if field.name in RESERVED or "__" in field.name:
                yield written.finding(
                    "entities",
                    index,
                    "fields",
                    place,
                    "name",
                    problem=f"`{field.name}` is a name the hub uses itself",
                    remedy="choose another",
                )


def _named_once(names: list[str], written: Written, *loc: str | int) -> Iterator[Finding]:
    for name, count in Counter(names).items():
        if count > 1:
            place = len(names) - 1 - names[::-1].index(name)
            yield written.finding(*loc, place, "name", problem=f"field `{name}` is declared {count} times", remedy="keep one")


def former_names_and_types_are_former(declared: Declarations) -> Iterator[Finding]:
    """A former name is no field's name now, of one field only; a former type is another one, of a field that is kept as it is."""
    for _, index, entity, written in _entities(declared):
        now = {field.name for field in entity.fields}
        former = Counter(name for field in entity.fields for name in field.was)
        for place, field in enumerate(entity.fields):
            loc = ("entities", index, "fields", place)
            for name in field.was:
                if name in now or former[name] > 1:
                    problem = f"`{name}` was `{field.name}` and is named elsewhere in the entity too"
                    yield written.finding(*loc, "was", problem=problem, remedy="a former name belongs to one field and is not used again")
            treat = declared.treatments.get(field.kind or "")
            if field.type_was is field.type or (field.type_was and treat is not None and treat.treatment is not Treatment.KEEP):
                problem = f"`type_was` of `{field.name}` says nothing: its type is the same, or it is stored protected"
                yield written.finding(*loc, "type_was", problem=problem, remedy="remove it")


def contracts_use_their_own_fields(declared: Declarations) -> Iterator[Finding]:
    """Key, cursor, rules and contributions name fields of the same contract."""
    for contract, written in _contracts(declared):
        have = {field.name for field in contract.fields}
        for loc, name in _field_uses(contract):
            if name not in have:
                yield written.finding(*loc, problem=f"the contract has no field `{name}`", remedy=_one_of(have, name))


def _field_uses(contract: Contract) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for index, name in enumerate(contract.key):
        yield ("key", index), name
    yield from _steering_uses(contract)
    for index, use in enumerate(contract.rules):
        for place, name in enumerate(use.fields):
            yield ("rules", index, "fields", place), name
    yield from _contribution_uses(contract)
    for index, field in enumerate(contract.fields):
        if field.kind_by is not None:
            yield ("fields", index, "kind_by", "field"), field.kind_by.field


def _contribution_uses(contract: Contract) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for index, given in enumerate(contract.contributes):
        for name in given.subject:
            yield ("contributes", index, "subject"), name
        if given.pick is not None:
            yield ("contributes", index, "pick"), given.pick
        for target, name in given.fields.items():
            yield ("contributes", index, "fields", target), name


def _steering_uses(contract: Contract) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if contract.sync.cursor is not None:
        yield ("sync", "cursor"), contract.sync.cursor
    if contract.gate.freshness is not None:
        yield ("gate", "freshness", "field"), contract.gate.freshness.field


def cursors_are_not_sensitive(declared: Declarations) -> Iterator[Finding]:
    """A watermark rests in clear, so it may not be somebody's value."""
    for contract, written in _contracts(declared):
        field = _field(contract, contract.sync.cursor or "")
        if field is not None and field.level.sensitive:
            yield written.finding(
                "sync",
                "cursor",
                problem=f"`{field.name}` is {field.level} and its last value would be kept as the watermark",
                remedy="use a field that says nothing of a person: the time of change, or a serial number",
            )


def cursors_are_always_there(declared: Declarations) -> Iterator[Finding]:
    """A row without a cursor value lies in no window, so the contract must call such a row a mistake."""
    for contract, written in _contracts(declared):
        field = _field(contract, contract.sync.cursor or "")
        if contract.sync.mode is Mode.INCREMENTAL and field is not None and not field.required:
            yield written.finding(
                "sync",
                "cursor",
                problem=f"`{field.name}` may be missing, and a row without it lies in no window",
                remedy="say `required: true` at the field: rows without it are then quarantined and shown; or use `mode: full`",
            )


def freshness_can_be_told(declared: Declarations) -> Iterator[Finding]:
    """The age of a source is told by a date or a time, and told in clear."""
    for contract, written in _contracts(declared):
        freshness = contract.gate.freshness
        field = _field(contract, freshness.field) if freshness else None
        if field is None:
            continue
        loc = ("gate", "freshness", "field")
        if field.type not in {FieldType.DATE, FieldType.TIMESTAMP}:
            yield written.finding(
                *loc, problem=f"`{field.name}` is a {field.type}", remedy="name a date or a timestamp: the time of change"
            )
        if field.level.sensitive:
            yield written.finding(
                *loc,
                problem=f"`{field.name}` is {field.level} and its newest value would be shown",
                remedy="name a field that says nothing of a person: the time of change",
            )


def schedules_are_timetables(declared: Declarations) -> Iterator[Finding]:
    """A schedule is a cron expression of five parts; a job without one is run by hand only."""
    for contract, written in _contracts(declared):
        if contract.schedule is None:
            continue
        if not croniter.is_valid(contract.schedule.cron):
            yield written.finding(
                "schedule",
                problem=f"`{contract.schedule.cron}` is not a timetable",
                remedy="write minute, hour, day, month, weekday, such as '30 1 * * *' for half past one every night",
            )
        elif hours := _never_inside(contract.schedule, declared.sources.get(contract.source)):
            yield written.finding(
                "schedule",
                problem=f"`{contract.schedule.cron}` never falls into the hours {hours}",
                remedy="choose another time, or other hours (the contract's own or its source's)",
            )


def _never_inside(schedule: Schedule, source: Source | None) -> str | None:
    """Return the hours, the timetable's own or its source's, that none of its times lies in."""
    for hours in filter(None, [schedule.hours, source.hours if source else None]):
        times = croniter(schedule.cron, datetime(2026, 1, 1))  # noqa: DTZ001 (the clock of the hours; which year does not matter)
        if hours != ALWAYS and not any(within(hours, times.get_next(datetime)) for _ in range(_TIMES)):
            return hours
    return None


def kinds_and_codes_exist(declared: Declarations) -> Iterator[Finding]:
    """Every kind and code list that a field names is declared."""
    for contract, written in _contracts(declared):
        for index, field in enumerate(contract.fields):
            yield from _known_words(declared, field, written, "fields", index)
    for _, number, entity, written in _entities(declared):
        for index, one in enumerate(entity.fields):
            yield from _known_words(declared, one, written, "entities", number, "fields", index)
        for kind in entity.subject:
            if kind not in declared.kinds:
                yield written.finding(
                    "entities", number, "subject", problem=f"there is no kind `{kind}`", remedy="add it to masking/kinds.yaml"
                )


def _known_words(declared: Declarations, field: Field | EntityField, written: Written, *loc: str | int) -> Iterator[Finding]:
    kinds = [field.kind] if field.kind else []
    if isinstance(field, Field) and field.kind_by is not None:
        kinds += list(field.kind_by.kinds.values())
    for kind in kinds:
        if kind not in declared.kinds:
            yield written.finding(*loc, "kind", problem=f"there is no kind `{kind}`", remedy=_one_of(set(declared.kinds), kind))
    if field.codes and field.codes not in declared.codes:
        remedy = f"{_one_of(set(declared.codes), field.codes)} Or declare schemas/codes/{field.codes}.yaml"
        yield written.finding(*loc, "codes", problem=f"there is no code list `{field.codes}`", remedy=remedy)


def sensitive_fields_have_a_kind(declared: Declarations) -> Iterator[Finding]:
    """A field of level L3 or L4 says what it is, or nothing could protect it."""
    for contract, written in _contracts(declared):
        for index, field in enumerate(contract.fields):
            if field.level.sensitive and not field.kind and not field.kind_by:
                yield written.finding(
                    "fields",
                    index,
                    "level",
                    problem=f"`{field.name}` is {field.level} and has no kind",
                    remedy="add `kind:` (masking/kinds.yaml)",
                )
    for _, number, entity, written in _entities(declared):
        for index, one in enumerate(entity.fields):
            if one.level.sensitive and not one.kind:
                yield written.finding(
                    "entities",
                    number,
                    "fields",
                    index,
                    "level",
                    problem=f"`{one.name}` is {one.level} and has no kind",
                    remedy="add `kind:`",
                )


def no_level_is_lowered(declared: Declarations) -> Iterator[Finding]:
    """A sensitive value is never contributed to a field that would keep it in clear."""
    for contract, index, given, entity, written in _contributions(declared):
        fields = {field.name: field for field in entity.fields}
        for target, name in given.fields.items():
            into, source = fields.get(target), _field(contract, name)
            if into is None or source is None:
                continue
            treat = declared.treatments.get(into.kind or "")
            kept = treat is None or treat.treatment is Treatment.KEEP
            if kept and source.level.sensitive and source.kind_by is None:
                yield written.finding(
                    "contributes", index, "fields", target,
                    problem=f"`{name}` is {source.level} and `{given.entity}.{target}` would keep it in clear",
                    remedy="contribute it to a field whose kind is protected by masking/policies/library.yaml",
                )  # fmt: skip


def _field(contract: Contract, name: str) -> Field | None:
    return next((field for field in contract.fields if field.name == name), None)


def contributions_fit_their_entity(declared: Declarations) -> Iterator[Finding]:
    """Target fields exist, types and kinds agree, the subject is of the entity's kind."""
    for contract, index, given, entity, written in _contributions(declared):
        fields = {field.name: field for field in entity.fields}
        for target, name in given.fields.items():
            loc = ("contributes", index, "fields", target)
            source = _field(contract, name)
            if target not in fields:
                yield written.finding(*loc, problem=f"`{given.entity}` has no field `{target}`", remedy=_one_of(set(fields), target))
            elif source is not None and (misfit := _misfit(declared, source, fields[target])):
                yield written.finding(*loc, problem=misfit, remedy="make the two declarations agree")
        for problem, remedy in _subject_misfits(contract, given, _subject_kinds(declared, given.entity, entity)):
            yield written.finding("contributes", index, "subject", problem=problem, remedy=remedy)


def _subject_misfits(contract: Contract, given: Contribution, expected: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if len(given.subject) != len(expected):
        kinds = ", ".join(expected)
        yield (
            f"{given.entity} knows its subjects by {len(expected)} value(s), and {len(given.subject)} field(s) are named",
            f"name a field for each, in this order of kinds: {kinds}",
        )
        return
    for name, kind in zip(given.subject, expected, strict=True):
        field = _field(contract, name)
        if field is not None and kind not in _kinds_of(field):
            yield (
                f"`{name}` is not of kind `{kind}`, by which {given.entity} knows its subjects",
                f"name the field that holds it, or give the field `kind: {kind}`",
            )
        elif field is not None and field.kind_by is not None and len(expected) > 1:
            yield f"`{name}` is only sometimes of kind `{kind}`, and is one part of several", "name a field that has one kind"


def _kinds_of(field: Field) -> set[str]:
    return set(field.kind_by.kinds.values()) if field.kind_by else {field.kind} if field.kind else set()


def _subject_kinds(declared: Declarations, path: str, entity: Entity) -> tuple[str, ...]:
    if entity.parent is None:
        return entity.subject
    try:
        return declared.entity(f"{path.split('.', maxsplit=1)[0]}.{entity.parent}")[1].subject
    except KeyError:
        return entity.subject


def _misfit(declared: Declarations, source: Field, target: EntityField) -> str | None:
    kinds = _kinds_of(source)
    origin = declared.kinds[target.kind].of if target.kind in declared.kinds else None
    if target.kind and target.kind not in kinds and origin not in kinds:
        return f"`{source.name}` is of kind {', '.join(sorted(kinds)) or 'none'}, `{target.name}` of kind {target.kind}"
    if origin is None and source.type is not target.type:
        return f"`{source.name}` is {source.type}, `{target.name}` is {target.type}"
    if source.codes and target.codes and source.codes != target.codes:
        return f"`{source.name}` uses code list {source.codes}, `{target.name}` uses {target.codes}"
    return None


def picks_can_be_made(declared: Declarations) -> Iterator[Finding]:
    """``pick`` compares all rows of a subject: they must all be read, and the field must be stored in clear."""
    for contract, index, given, entity, written in _contributions(declared):
        if given.pick is None:
            continue
        loc = ("contributes", index, "pick")
        if contract.sync.mode is Mode.INCREMENTAL:
            yield written.finding(
                *loc,
                problem="`pick` needs all rows of a subject, and an incremental sync reads only some",
                remedy="write `sync: {mode: full}`, or contribute to a child entity instead",
            )
        stored = {field.name for field in entity.fields if field.name in given.fields and given.fields[field.name] == given.pick}
        if not stored:
            yield written.finding(
                *loc,
                problem=f"`{given.pick}` is not contributed to {given.entity}",
                remedy="contribute it to a field of the entity",
            )


def an_entity_is_fed_once_by_a_contract(declared: Declarations) -> Iterator[Finding]:
    """One contract has one contribution to an entity: its table is named after both."""
    for contract, written in _contracts(declared):
        for path, count in Counter(given.entity for given in contract.contributes).items():
            if count > 1:
                yield written.finding(
                    "contributes", problem=f"`{path}` is contributed to {count} times", remedy="keep one contribution per entity"
                )


def table_names_fit(declared: Declarations) -> Iterator[Finding]:
    """PostgreSQL cuts names at 63 bytes without a word, and two tables would become one."""
    for contract, index, _, entity, written in _contributions(declared):
        name = f"{entity.entity}__{contract.dataset}__history"
        if len(name.encode()) > POSTGRES_NAME_BYTES:
            yield written.finding(
                "contributes", index, "entity",
                problem=f"table name {name} has {len(name.encode())} bytes, PostgreSQL takes {POSTGRES_NAME_BYTES}",
                remedy="give the dataset a shorter name",
            )  # fmt: skip


def one_authority_per_rank(declared: Declarations) -> Iterator[Finding]:
    """Two datasets cannot both have the first word (Decree 809 Art. 19)."""
    for _, number, entity, written in _entities(declared):
        places: list[tuple[tuple[str | int, ...], list[int]]] = [(("authority",), [each.rank for each in entity.authority])]
        places += [(("fields", index, "authority"), [each.rank for each in field.authority]) for index, field in enumerate(entity.fields)]
        for loc, ranks in places:
            for rank, count in Counter(ranks).items():
                if count > 1:
                    yield written.finding(
                        "entities",
                        number,
                        *loc,
                        problem=f"{count} authorities of rank {rank}",
                        remedy="give each its own rank: 1 speaks first",
                    )


def composed_entities_are_whole(declared: Declarations) -> Iterator[Finding]:
    """A composed entity names who makes a subject exist, and every contributed field somebody with the right to speak."""
    for library, number, entity, written in _entities(declared):
        path = f"{library.library}.{entity.entity}"
        loc = ("entities", number)
        if entity.form is Form.COLLECTED:
            if entity.exists_by:
                yield written.finding(*loc, "exists_by", problem="only composed entities have `exists_by`", remedy="remove it")
            continue
        feeding = {contract.dataset: contract for contract in declared.contributors(path)}
        if feeding and not set(entity.exists_by) & set(feeding):
            yield written.finding(
                *loc, "exists_by", problem=f"no dataset that feeds {path} makes a subject exist", remedy=_one_of(set(feeding))
            )
        for index, field in enumerate(entity.fields):
            yield from _has_a_voice(feeding, path, entity, field, written, *loc, "fields", index)


def _has_a_voice(
    feeding: dict[str, Contract], path: str, entity: Entity, field: EntityField, written: Written, *loc: str | int
) -> Iterator[Finding]:
    speaking = {
        name for name, contract in feeding.items() for given in contract.contributes if given.entity == path and field.name in given.fields
    }
    named = {authority.dataset for authority in field.authority or entity.authority}
    if speaking - named:
        yield written.finding(
            *loc,
            problem=f"`{field.name}` gets values from {', '.join(sorted(speaking - named))}, which has no rank",
            remedy="add it to `authority:` with its legal basis",
        )  # fmt: skip


def keys_of_several_parts_are_public(declared: Declarations) -> Iterator[Finding]:
    """A natural key of several parts rests as text: a part that names a person would rest in clear, or join nothing as a token."""
    for library, number, entity, written in _entities(declared):
        for kind in entity.subject if len(entity.subject) > 1 else ():
            known = declared.kinds.get(kind)
            if known is not None and (known.domain is not None or known.level.sensitive):
                yield written.finding(
                    "entities", number, "subject",
                    problem=f"`{kind}` names a person or is sensitive, and {library.library}.{entity.entity} has a key of several parts",
                    remedy="declare the entity as a child of the one that is known by this kind alone",
                )  # fmt: skip


def parents_and_owners_exist(declared: Declarations) -> Iterator[Finding]:
    """A child's parent is an entity of the same library; an owner rule reads a field of its entity."""
    for library, number, entity, written in _entities(declared):
        siblings = {each.entity: each for each in library.entities}
        if entity.parent is not None and (entity.parent not in siblings or siblings[entity.parent].parent is not None):
            yield written.finding(
                "entities",
                number,
                "parent",
                problem=f"`{entity.parent}` is not an entity that can have children",
                remedy=_one_of(set(siblings)),
            )
        if entity.owner is not None and entity.owner.field not in {field.name for field in entity.fields}:
            yield written.finding(
                "entities",
                number,
                "owner",
                "field",
                problem=f"there is no field `{entity.owner.field}`",
                remedy="name a field of the entity",
            )


def treatments_are_known(declared: Declarations) -> Iterator[Finding]:
    """Every sensitive kind has a treatment, and only kinds of an identity domain become tokens (privacy rule 7)."""
    if "library" not in declared.policies:
        yield Finding(
            file="masking/policies/library.yaml", line=1, problem="there is no policy `library`", remedy="declare how each kind enters"
        )
        return
    written = declared.written[("policy", "library")]
    for index, treat in enumerate(declared.policy.treatments):
        kind = declared.kinds.get(treat.kind)
        if kind is None:
            yield written.finding(
                "treatments", index, "kind", problem=f"there is no kind `{treat.kind}`", remedy="add it to masking/kinds.yaml"
            )
        elif treat.treatment is Treatment.TOKEN and kind.domain is None:
            yield written.finding(
                "treatments", index, "treatment",
                problem=f"`{treat.kind}` has no identity domain: tokens of frequent or public values give people away by their rank",
                remedy="seal it instead",
            )  # fmt: skip
        elif treat.treatment is Treatment.KEEP and kind.level.sensitive:
            yield written.finding(
                "treatments", index, "treatment", problem=f"`{treat.kind}` is {kind.level} and would be kept in clear", remedy="seal it"
            )
    for name, kind in sorted(declared.kinds.items()):
        if kind.level.sensitive and name not in declared.treatments:
            yield written.finding(
                "treatments", problem=f"the sensitive kind `{name}` has no treatment", remedy="add one: token, seal, generalise or drop"
            )


def rules_are_known(declared: Declarations) -> Iterator[Finding]:
    """Every rule exists and gets the fields and parameters it asks for."""
    from schemas.rules import mistakes_of  # noqa: PLC0415 (brings pyarrow, which DAG parsing must not load)

    for contract, written in _contracts(declared):
        for index, use in enumerate(contract.rules):
            for problem in mistakes_of(use, contract):
                yield written.finding("rules", index, problem=problem, remedy="see docs/reference/rules.md")


def erased_people_can_leave_rows_of_others(declared: Declarations) -> Iterator[Finding]:
    """``on_erasure`` finds people by their token, and a field that is emptied must be allowed to be empty."""
    for _, index, entity, written in _entities(declared):
        for place, field in enumerate(entity.fields):
            treat, kind = declared.treatments.get(field.kind or ""), declared.kinds.get(field.kind or "")
            searched = treat is not None and treat.treatment is Treatment.TOKEN and kind is not None and kind.domain is not None
            if field.on_erasure is not OnErasure.REPORT and not searched:
                yield written.finding(
                    "entities", index, "fields", place, "on_erasure",
                    problem=f"`{field.name}` is not kept as a token of people, so nobody can be found in it",
                    remedy="leave `on_erasure` out, or give the field a kind with an identity domain",
                )  # fmt: skip
    for contract, index, given, entity, written in _contributions(declared):
        emptied = {field.name for field in entity.fields if field.on_erasure is OnErasure.CLEAR}
        for target, name in given.fields.items():
            source = _field(contract, name)
            if target in emptied and source is not None and (source.required or name in contract.key):
                yield written.finding(
                    "contributes", index, "fields", target,
                    problem=f"`{name}` is required, and `{given.entity}.{target}` is emptied when the person is erased",
                    remedy="let the field be empty, or declare `on_erasure: row` in the library",
                )  # fmt: skip


CHECKS: tuple[Check, ...] = (
    erased_people_can_leave_rows_of_others,
    names_exist,
    files_stand_where_their_names_say,
    fields_are_named_once,
    former_names_and_types_are_former,
    contracts_use_their_own_fields,
    cursors_are_not_sensitive,
    cursors_are_always_there,
    freshness_can_be_told,
    schedules_are_timetables,
    kinds_and_codes_exist,
    sensitive_fields_have_a_kind,
    no_level_is_lowered,
    contributions_fit_their_entity,
    picks_can_be_made,
    an_entity_is_fed_once_by_a_contract,
    table_names_fit,
    one_authority_per_rank,
    composed_entities_are_whole,
    parents_and_owners_exist,
    keys_of_several_parts_are_public,
    treatments_are_known,
    rules_are_known,
)
