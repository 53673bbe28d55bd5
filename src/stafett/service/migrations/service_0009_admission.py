"""When each protocol was admitted: also one that was in force before and is again.

The file stays as it was first kept; the last admission of a name says what is in force.
"""

from alembic import op

revision = "service_0009"
down_revision = "service_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        """
        CREATE TABLE service.admission (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            sha256 text NOT NULL REFERENCES service.protocol,
            at timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        GRANT SELECT, INSERT ON service.admission TO stafett_append;
        """
    )
