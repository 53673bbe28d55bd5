"""Which master key is written under, so that no process goes on with one that is being replaced.

`vault.master` has at most one row: none before the first rotation. `carried` are secrets that stay
as they are when the master key is replaced, wrapped in it.
"""

from alembic import op

revision = "service_0007"
down_revision = "service_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    op.execute(
        """
        CREATE TABLE vault.master (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            key text NOT NULL,
            before text NOT NULL,
            since timestamptz NOT NULL DEFAULT now(),
            checked boolean NOT NULL DEFAULT false
        );
        CREATE TABLE vault.carried (
            name text PRIMARY KEY,
            wrapped bytea NOT NULL
        );
        GRANT SELECT ON vault.master, vault.carried TO stafett_append;
        """
    )
