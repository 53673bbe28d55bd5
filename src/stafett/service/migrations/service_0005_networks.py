"""What a network is called: until now pages showed its identifier."""

from alembic import op

revision = "service_0005"
down_revision = "service_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; a network that is not in it is shown by its identifier."""
    op.execute(
        """
        CREATE TABLE service.network (
            network text PRIMARY KEY,
            title text NOT NULL CHECK (title <> '')
        );
        GRANT SELECT, INSERT, UPDATE, DELETE ON service.network TO stafett_append;
        """
    )
