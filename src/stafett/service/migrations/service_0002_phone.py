"""An organisation's telephone number: whom to call when a journey is stopped."""

from alembic import op

revision = "service_0002"
down_revision = "service_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE service.organisation ADD COLUMN phone text NOT NULL DEFAULT ''")
