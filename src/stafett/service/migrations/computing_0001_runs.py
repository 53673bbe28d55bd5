"""Long computations: what was asked, how far it is, and the answers that are kept."""

from alembic import op

revision = "computing_0001"
down_revision = None
branch_labels = ("computing",)
depends_on = "service_0001"


def upgrade() -> None:
    """Make the tables. An answer follows from its question: any of it can be computed again."""
    op.execute(
        """
        CREATE TABLE service.computed (
            digest text PRIMARY KEY,
            answer bytea NOT NULL,
            kept_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE service.computation (
            id text PRIMARY KEY,
            asked_at timestamptz NOT NULL DEFAULT now(),
            lane text NOT NULL,
            kind text NOT NULL,
            digest text NOT NULL,
            wish bytea NOT NULL,
            person text NOT NULL,
            organisation text NOT NULL,
            state text NOT NULL
                CHECK (state IN ('waiting', 'running', 'done', 'cancelled', 'failed')),
            done integer NOT NULL DEFAULT 0,
            total integer NOT NULL,
            problem text NOT NULL DEFAULT '',
            ended_at timestamptz
        );
        CREATE INDEX ON service.computation (organisation, kind, asked_at DESC);
        CREATE INDEX ON service.computation (digest, asked_at DESC);
        CREATE INDEX ON service.computation (lane, asked_at) WHERE state IN ('waiting', 'running');
        GRANT SELECT, INSERT, UPDATE, DELETE ON service.computed, service.computation
            TO stafett_append;
        """
    )
