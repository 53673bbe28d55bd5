"""Mail to people about what waits for them and is no alert of a journey."""

from alembic import op

revision = "alerts_0003"
down_revision = "alerts_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; a row goes when nobody has to be told any more."""
    op.execute(
        """
        CREATE TABLE alerts.notice (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            kind text NOT NULL,
            about text NOT NULL,
            person text NOT NULL REFERENCES service.person,
            until timestamptz NOT NULL,
            attempt integer NOT NULL DEFAULT 0,
            next_try timestamptz NOT NULL DEFAULT clock_timestamp(),
            sent timestamptz,
            last_error text
        );
        CREATE INDEX notice_due ON alerts.notice (next_try) WHERE sent IS NULL;
        GRANT SELECT, INSERT, UPDATE, DELETE ON alerts.notice TO stafett_append;
        """
    )
