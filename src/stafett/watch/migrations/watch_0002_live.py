"""Whether a logger sends on its way, or only stores and is read as a file when it has arrived."""

from alembic import op

revision = "watch_0002"
down_revision = "watch_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: what nobody has said is taken to send, so that its silence is heard."""
    op.execute(
        """
        ALTER TABLE watch.logger ADD COLUMN live boolean NOT NULL DEFAULT true;
        GRANT SELECT (live) ON watch.logger TO stafett_read;
        """
    )
