"""Labels are printed in sheets; the first form of the table held nothing yet."""

from alembic import op

revision = "signin_0002"
down_revision = "signin_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table anew."""
    op.execute(
        """
        DROP TABLE service.label;
        CREATE TABLE service.label (
            id text PRIMARY KEY,
            sheet text NOT NULL,
            place integer NOT NULL,
            journey text NOT NULL,
            lot text NOT NULL,
            identifier text NOT NULL,
            organisation text NOT NULL,
            person text NOT NULL,
            printed timestamptz NOT NULL,
            lines text[] NOT NULL,
            payload text NOT NULL,
            gs1 boolean NOT NULL,
            fate text CHECK (fate IN ('used', 'spoiled')),
            fate_by text,
            fate_at timestamptz,
            fate_reason text NOT NULL DEFAULT '',
            UNIQUE (sheet, place)
        );
        CREATE INDEX ON service.label (journey, organisation);
        GRANT SELECT, INSERT ON service.label TO stafett_append;
        -- What was printed never changes; what became of it is said once.
        GRANT UPDATE (fate, fate_by, fate_at, fate_reason) ON service.label TO stafett_append;
        """
    )
