"""Replans: what happened, what could follow, which of it was chosen, and who has accepted it."""

from alembic import op

revision = "capacity_0003"
down_revision = "capacity_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        """
        CREATE TABLE capacity.replan (
            id text PRIMARY KEY,
            organisation text NOT NULL,
            organisations text[] NOT NULL,
            value jsonb NOT NULL,
            chosen int,
            accepted jsonb NOT NULL DEFAULT '{}',
            reason text NOT NULL DEFAULT '',
            status text NOT NULL DEFAULT 'open' CHECK (
                status IN ('open', 'chosen', 'applied', 'declined', 'overtaken')
            ),
            version int NOT NULL DEFAULT 1,
            at timestamptz NOT NULL DEFAULT now(),
            ends timestamptz NOT NULL
        );
        CREATE INDEX replan_at ON capacity.replan (at);
        GRANT SELECT, INSERT, UPDATE ON capacity.replan TO stafett_append;
        """
    )
