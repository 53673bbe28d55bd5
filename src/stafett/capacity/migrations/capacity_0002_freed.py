"""What has been given back and is still to be offered; written with the giving back."""

from alembic import op

revision = "capacity_0002"
down_revision = "capacity_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. The unique index is what makes a second offer of the same impossible."""
    op.execute(
        """
        CREATE TABLE capacity.freed (
            chain text PRIMARY KEY REFERENCES capacity.chain,
            slots jsonb NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            done timestamptz
        );
        CREATE INDEX freed_waits ON capacity.freed (at) WHERE done IS NULL;
        CREATE UNIQUE INDEX chain_offers ON capacity.chain ((offered ->> 'freed'))
            WHERE offered ? 'freed';
        GRANT SELECT, INSERT, UPDATE ON capacity.freed TO stafett_append;
        """
    )
