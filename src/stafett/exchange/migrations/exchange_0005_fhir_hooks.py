"""Webhooks may speak FHIR: a rest-hook of a Subscription in either version."""

from alembic import op

revision = "exchange_0005"
down_revision = "exchange_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Allow two more modes."""
    op.execute("ALTER TABLE exchange.webhook DROP CONSTRAINT webhook_mode_check")
    op.execute(
        "ALTER TABLE exchange.webhook ADD CONSTRAINT webhook_mode_check CHECK"
        " (mode IN ('epcis', 'structured', 'binary', 'fhir-r5', 'fhir-r4b'))"
    )
