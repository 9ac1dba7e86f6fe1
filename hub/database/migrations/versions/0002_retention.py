"""What is kept, held back and erased: how far histories reach, legal holds, erasures and their marks."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; run as the owner role."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: without the marks of erasures the next sync would bring erased people back."""
    raise NotImplementedError("erasures cannot be forgotten: restore a backup instead")
