"""What a batch saw of its source's columns, and what had changed."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; run as the owner role."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: what sources once looked like is a record."""
    raise NotImplementedError("this revision cannot be undone: restore a backup instead")
