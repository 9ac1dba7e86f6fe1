"""Epochs of the hub and its libraries, restorations, and key check values."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and open the first epoch; run as the owner role."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: which versions were lost must never be forgotten."""
    raise NotImplementedError("epochs cannot be undone: restore a backup instead")
