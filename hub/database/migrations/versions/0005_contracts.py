"""How fields rest, and what a batch's contract promised."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; run as the owner role."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: what may not rest must never be forgotten."""
    raise NotImplementedError("this cannot be undone: restore a backup instead")
