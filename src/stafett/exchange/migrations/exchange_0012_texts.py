"""Texts of extensions in order, for the fields that somebody ordered many events by."""

from alembic import op

revision = "exchange_0012"
down_revision = "exchange_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; they are filled when they are asked for, and can be emptied at any time."""
    op.execute(
        """
        CREATE TABLE exchange.epcis_text (
          name  uuid   NOT NULL,
          value bytea  NOT NULL,
          seq   bigint NOT NULL
        );
        CREATE INDEX epcis_text_value ON exchange.epcis_text (name, value, seq);
        COMMENT ON TABLE exchange.epcis_text IS
          'First 1,000 octets of texts under a field, of the events up to epcis_text_reach.';
        CREATE TABLE exchange.epcis_text_reach (
          name uuid   PRIMARY KEY,
          seq  bigint NOT NULL
        );
        GRANT SELECT, INSERT ON exchange.epcis_text TO stafett_append;
        GRANT SELECT, INSERT, UPDATE ON exchange.epcis_text_reach TO stafett_append;
        """
    )
