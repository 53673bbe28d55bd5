"""A capture job says what was odd about events that were captured all the same."""

from alembic import op

revision = "exchange_0006"
down_revision = "exchange_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the remarks."""
    op.execute("ALTER TABLE exchange.capture_job ADD COLUMN remarks text NOT NULL DEFAULT '[]'")
