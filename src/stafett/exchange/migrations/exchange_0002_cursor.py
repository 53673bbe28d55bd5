"""How far the exchange has followed the ledger."""

from alembic import op

revision = "exchange_0002"
down_revision = "exchange_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of cursors."""
    op.execute("""
      CREATE TABLE exchange.cursor (
        name     text   PRIMARY KEY,
        position bigint NOT NULL
      )
    """)
    op.execute("GRANT SELECT, INSERT, UPDATE ON exchange.cursor TO stafett_append")
