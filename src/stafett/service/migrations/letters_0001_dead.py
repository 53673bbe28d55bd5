"""Dead letters: what came and was refused, kept until somebody mends it or drops it."""

from alembic import op

revision = "letters_0001"
down_revision = None
branch_labels = ("letters",)
depends_on = "service_0001"


def upgrade() -> None:
    """Make the table."""
    op.execute(
        """
        CREATE TABLE service.letter (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            organisation text NOT NULL,
            channel text NOT NULL,
            came timestamptz NOT NULL DEFAULT now(),
            last timestamptz NOT NULL DEFAULT now(),
            times integer NOT NULL DEFAULT 1,
            peer text NOT NULL,
            number text NOT NULL,
            digest bytea NOT NULL,
            size integer NOT NULL,
            sealed bytea,
            reasons jsonb NOT NULL,
            state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'taken', 'dropped')),
            decided timestamptz,
            decided_by text,
            decided_why text,
            CHECK ((state = 'waiting') = (sealed IS NOT NULL))
        );
        COMMENT ON COLUMN service.letter.organisation IS
          'Whose it is, as its sender is known; empty where it is not: then the operators''.';
        COMMENT ON COLUMN service.letter.sealed IS
          'The bytes, encrypted under a key that is not in the database; gone once decided.';
        CREATE UNIQUE INDEX letter_waiting ON service.letter (channel, organisation, digest)
          WHERE state = 'waiting';
        CREATE INDEX letter_of ON service.letter (organisation, state, id);
        GRANT SELECT, INSERT, UPDATE ON service.letter TO stafett_append;
        """
    )
