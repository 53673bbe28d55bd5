"""Chunks that one leaf of the record is about: which batch a row belongs to."""

from alembic import op

revision = "watch_0004"
down_revision = "watch_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. A row from before has a leaf of its own: its digest is its batch."""
    op.execute(
        """
        ALTER TABLE watch.chunk ADD COLUMN batch bytea;
        """
    )
