"""Erasures that one person has asked for and a second one has not confirmed yet.

A row is what was asked and signed; it goes when a second person confirms it, when it is withdrawn,
or when it is asked anew after its time. The trail of changes keeps all three.
"""

from alembic import op

revision = "service_0008"
down_revision = "service_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        """
        CREATE TABLE service.erasure (
            pseudonym text PRIMARY KEY,
            organisation text NOT NULL REFERENCES service.organisation,
            journey text NOT NULL,
            person text NOT NULL,
            basis text NOT NULL,
            reason text NOT NULL,
            documents text[] NOT NULL,
            signature jsonb NOT NULL,
            signed jsonb NOT NULL,
            asked_at timestamptz NOT NULL,
            until timestamptz NOT NULL CHECK (until > asked_at)
        );
        GRANT SELECT, INSERT, DELETE ON service.erasure TO stafett_append;
        """
    )
