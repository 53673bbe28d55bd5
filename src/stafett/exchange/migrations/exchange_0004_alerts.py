"""Webhooks may follow alerts too."""

from alembic import op

revision = "exchange_0004"
down_revision = "exchange_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Permit the source."""
    op.execute("ALTER TABLE exchange.webhook DROP CONSTRAINT webhook_source_check")
    op.execute(
        "ALTER TABLE exchange.webhook ADD CONSTRAINT webhook_source_check"
        " CHECK (source IN ('epcis', 'ledger', 'alerts'))"
    )
