"""The closed list of audit events, ``subject:action``, each with the fields its entry carries."""

from enum import StrEnum


class Event(StrEnum):
    """What can be recorded. Entries hold identifiers of records and counts, never values of people."""

    BATCH_STAGED = "batch:staged"
    BATCH_HELD = "batch:held"
    BATCH_PUBLISHED = "batch:published"
    BATCH_DISCARDED = "batch:discarded"
    BATCH_RELEASED = "batch:released"
    JOB_PAUSED = "job:paused"
    JOB_RESUMED = "job:resumed"
    LIBRARY_APPLIED = "library:applied"
    SUBJECT_EXPLAINED = "subject:explained"
    QUARANTINE_READ = "quarantine:read"


FIELDS: dict[Event, tuple[str, ...]] = {
    Event.BATCH_STAGED: ("batch", "dataset", "read", "valid", "quarantined"),
    Event.BATCH_HELD: ("batch", "dataset", "reasons"),
    Event.BATCH_PUBLISHED: ("batch", "dataset", "versions", "counts", "target_checksum"),
    Event.BATCH_DISCARDED: ("batch", "dataset", "reason"),
    Event.BATCH_RELEASED: ("batch", "dataset", "reason"),
    Event.JOB_PAUSED: ("dataset", "reason"),
    Event.JOB_RESUMED: ("dataset", "reason"),
    Event.LIBRARY_APPLIED: ("steps",),
    Event.SUBJECT_EXPLAINED: ("library", "entity", "found"),
    Event.QUARANTINE_READ: ("dataset", "rows"),
}
