"""A chain whose journey is over: what was to come is given back, what was is kept."""

from alembic import op

revision = "capacity_0004"
down_revision = "capacity_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a chain be `ended`. Of such a chain only slots that had begun stand."""
    op.execute(
        """
        ALTER TABLE capacity.chain DROP CONSTRAINT chain_status_check;
        ALTER TABLE capacity.chain ADD CONSTRAINT chain_status_check
            CHECK (status IN ('held', 'booked', 'cancelled', 'expired', 'ended'));
        """
    )
