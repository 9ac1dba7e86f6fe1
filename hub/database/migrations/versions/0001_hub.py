"""The hub's own tables: batches, watermarks, quarantine, versions, authority, jobs, audit entries."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; run as the owner role."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: the hub's records are never thrown away by a migration."""
    raise NotImplementedError("the first revision cannot be undone: restore a backup instead")
