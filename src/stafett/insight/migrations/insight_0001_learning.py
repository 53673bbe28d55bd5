"""Trials of a change, and foreign logs that an organisation has brought to learn from."""

from alembic import op

revision = "insight_0001"
down_revision = None
branch_labels = ("insight",)
depends_on = "service_0001"


def upgrade() -> None:
    """Make the tables."""
    op.execute(
        """
        CREATE SCHEMA insight AUTHORIZATION CURRENT_USER;

        -- Registered once, before it is judged; afterwards only its end can be added.
        CREATE TABLE insight.trial (
            id text PRIMARY KEY,
            registered_at timestamptz NOT NULL DEFAULT now(),
            registered_by text NOT NULL,
            organisation text NOT NULL REFERENCES service.organisation,
            partners text[] NOT NULL,
            source text NOT NULL,
            interface text NOT NULL,
            change text NOT NULL,
            outcome text NOT NULL,
            expected double precision NOT NULL,
            starts jsonb NOT NULL,
            ended_at timestamptz,
            ended_by text,
            ended_why text
        );
        CREATE TABLE insight.log (
            id text PRIMARY KEY,
            organisation text NOT NULL REFERENCES service.organisation,
            name text NOT NULL,
            zone text,
            bytes bytea NOT NULL,
            added_at timestamptz NOT NULL DEFAULT now(),
            added_by text NOT NULL
        );
        CREATE INDEX ON insight.log (organisation);

        GRANT USAGE ON SCHEMA insight TO stafett_append;
        GRANT SELECT, INSERT ON insight.trial TO stafett_append;
        GRANT UPDATE (ended_at, ended_by, ended_why) ON insight.trial TO stafett_append;
        GRANT SELECT, INSERT, DELETE ON insight.log TO stafett_append;
        """
    )
