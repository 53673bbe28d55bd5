"""Page tokens that were given up: `DELETE /nextPageToken/{token}` (EPCIS 2.0, REST bindings)."""

from alembic import op

revision = "exchange_0010"
down_revision = "exchange_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; a row is of use until its token runs out."""
    op.execute(
        """
        CREATE TABLE exchange.page_token_given_up (
          owner   text NOT NULL,
          digest  uuid NOT NULL,
          expires timestamptz NOT NULL,
          PRIMARY KEY (owner, digest)
        );
        CREATE INDEX ON exchange.page_token_given_up (expires);
        COMMENT ON TABLE exchange.page_token_given_up IS
          'Page tokens that an organisation gave up before they ran out.';
        GRANT SELECT, INSERT, DELETE ON exchange.page_token_given_up TO stafett_append;
        """
    )
