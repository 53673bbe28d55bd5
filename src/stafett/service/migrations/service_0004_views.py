"""The views of the board that a person has saved."""

from alembic import op

revision = "service_0004"
down_revision = "service_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        """
        CREATE TABLE service.board_view (
            person text NOT NULL REFERENCES service.person,
            name text NOT NULL CHECK (name <> ''),
            saved timestamptz NOT NULL DEFAULT now(),
            fields jsonb NOT NULL,
            PRIMARY KEY (person, name)
        );
        GRANT SELECT, INSERT, UPDATE, DELETE ON service.board_view TO stafett_append;
        """
    )
