"""The board's rows with their place in the record, so that a restart reads only what is new."""

from alembic import op

revision = "board_0001"
down_revision = None
branch_labels = ("board",)
depends_on = "service_0001"


def upgrade() -> None:
    """Make the tables. They hold nothing that the ledger does not say."""
    op.execute(
        """
        -- Two releases may run beside each other: each keeps the rows of its own format.
        CREATE TABLE service.board (
            format text PRIMARY KEY,
            position bigint NOT NULL,
            rows bigint NOT NULL,
            saved timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE service.board_row (
            format text NOT NULL,
            journey text NOT NULL,
            body bytea NOT NULL,
            digest bytea NOT NULL,
            PRIMARY KEY (format, journey)
        );
        GRANT SELECT, INSERT, UPDATE, DELETE ON service.board, service.board_row TO stafett_append;
        """
    )
