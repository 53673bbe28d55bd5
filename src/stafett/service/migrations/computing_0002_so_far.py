"""What a computation has found so far, for whoever watches it."""

from alembic import op

revision = "computing_0002"
down_revision = "computing_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Empty where nothing was found yet, and again once there is an answer."""
    op.execute("ALTER TABLE service.computation ADD COLUMN so_far bytea")
