"""The closed list of audit events, ``subject:action``, each with the fields its entry carries."""

from enum import StrEnum


class Event(StrEnum):
    """What can be recorded. Entries hold identifiers of records and counts, never values of people."""

    SOURCE_DRIFTED = "source:drifted"
    BATCH_STAGED = "batch:staged"
    BATCH_HELD = "batch:held"
    BATCH_PUBLISHED = "batch:published"
    BATCH_DISCARDED = "batch:discarded"
    BATCH_RELEASED = "batch:released"
    BATCH_WITHDRAWN = "batch:withdrawn"
    JOB_PAUSED = "job:paused"
    JOB_RESUMED = "job:resumed"
    LIBRARY_APPLIED = "library:applied"
    SUBJECT_EXPLAINED = "subject:explained"
    SUBJECT_ERASED = "subject:erased"
    SUBJECT_LIFTED = "subject:lifted"
    SUBJECT_HELD = "subject:held"
    DATASET_HELD = "dataset:held"
    HOLD_RELEASED = "hold:released"
    HISTORY_PRUNED = "history:pruned"
    QUARANTINE_EXPIRED = "quarantine:expired"
    REMAINS_CLEANED = "remains:cleaned"
    TABLES_REWRITTEN = "tables:rewritten"
    QUARANTINE_READ = "quarantine:read"
    QUARANTINE_EXPORTED = "quarantine:exported"
    QUARANTINE_UNSEALED = "quarantine:unsealed"
    QUARANTINE_REFUSED = "quarantine:refused"
    QUARANTINE_REPLAYED = "quarantine:replayed"
    BACKUP_MADE = "backup:made"
    BACKUP_REMOVED = "backup:removed"
    KEYS_COPIED = "keys:copied"
    DATABASE_RESTORED = "database:restored"
    DATABASE_RECOVERED = "database:recovered"


FIELDS: dict[Event, tuple[str, ...]] = {
    Event.SOURCE_DRIFTED: ("batch", "dataset", "changes"),
    Event.BATCH_STAGED: ("batch", "dataset", "read", "valid", "quarantined"),
    Event.BATCH_HELD: ("batch", "dataset", "reasons"),
    Event.BATCH_PUBLISHED: ("batch", "dataset", "versions", "counts", "target_checksum"),
    Event.BATCH_DISCARDED: ("batch", "dataset", "reason"),
    Event.BATCH_RELEASED: ("batch", "dataset", "reason"),
    Event.BATCH_WITHDRAWN: ("batch", "dataset", "reason", "versions", "counts"),
    Event.JOB_PAUSED: ("dataset", "reason"),
    Event.JOB_RESUMED: ("dataset", "reason"),
    Event.LIBRARY_APPLIED: ("steps",),
    Event.SUBJECT_EXPLAINED: ("library", "entity", "found"),
    Event.SUBJECT_ERASED: ("erasure", "requester", "approver", "reason", "legal_basis", "subjects", "versions", "counts"),
    Event.SUBJECT_LIFTED: ("erasures", "requester", "approver", "reason"),
    Event.SUBJECT_HELD: ("hold", "subjects", "reason", "legal_basis"),
    Event.DATASET_HELD: ("hold", "dataset", "reason", "legal_basis"),
    Event.HOLD_RELEASED: ("hold", "reason"),
    Event.HISTORY_PRUNED: ("library", "entity", "dataset", "oldest", "rows"),
    Event.QUARANTINE_EXPIRED: ("dataset", "rows"),
    Event.REMAINS_CLEANED: ("tables", "documents"),
    Event.TABLES_REWRITTEN: ("tables",),
    Event.QUARANTINE_READ: ("dataset", "rows"),
    Event.QUARANTINE_EXPORTED: ("dataset", "batch", "rows"),
    Event.QUARANTINE_UNSEALED: ("dataset", "batch", "rows", "department", "recipient", "expires"),
    Event.QUARANTINE_REFUSED: ("dataset", "department", "recipient"),
    Event.QUARANTINE_REPLAYED: ("dataset", "batch", "rows", "valid"),
    Event.BACKUP_MADE: ("backup", "bytes", "epoch", "versions"),
    Event.BACKUP_REMOVED: ("backup", "kept"),
    Event.KEYS_COPIED: ("versions",),
    Event.DATABASE_RESTORED: ("backup", "versions"),
    Event.DATABASE_RECOVERED: ("epoch", "reason", "found", "libraries", "discarded"),
}
