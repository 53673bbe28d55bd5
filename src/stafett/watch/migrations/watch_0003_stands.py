"""Loggers that are fixed to a place, and since when: they tell of what is put there later."""

from alembic import op

revision = "watch_0003"
down_revision = "watch_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A logger stands in one place at a time; where it stood before is kept."""
    op.execute(
        """
        CREATE TABLE watch.stand (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            organisation text NOT NULL,
            number text NOT NULL,
            role text NOT NULL,
            place text NOT NULL CHECK (place <> ''),
            since timestamptz NOT NULL,
            until timestamptz CHECK (until >= since),
            fixed_by text NOT NULL,
            FOREIGN KEY (organisation, number) REFERENCES watch.logger
        );
        CREATE UNIQUE INDEX one_place ON watch.stand (organisation, number) WHERE until IS NULL;
        GRANT SELECT, INSERT, UPDATE ON watch.stand TO stafett_append;
        """
    )
