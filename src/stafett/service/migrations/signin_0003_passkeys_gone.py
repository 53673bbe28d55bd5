"""Passkeys that were taken away, until the record says so.

`told` is when the record was told, or when it turned out that it had never known the passkey.
"""

from alembic import op

revision = "signin_0003"
down_revision = "signin_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        """
        CREATE TABLE service.passkey_gone (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            organisation text NOT NULL,
            public_key bytea NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            told timestamptz
        );
        CREATE INDEX ON service.passkey_gone (id) WHERE told IS NULL;
        GRANT SELECT, INSERT ON service.passkey_gone TO stafett_append;
        GRANT UPDATE (told) ON service.passkey_gone TO stafett_append;
        """
    )
