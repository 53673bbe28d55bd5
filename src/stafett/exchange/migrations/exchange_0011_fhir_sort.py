"""FHIR resources can be put in order by their tokens and texts too."""

from alembic import op

revision = "exchange_0011"
down_revision = "exchange_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what they are sorted by; what was made by older code is made anew by newer code."""
    op.execute(
        """
        ALTER TABLE exchange.fhir_resource ADD COLUMN sorts jsonb NOT NULL DEFAULT '{}';
        COMMENT ON COLUMN exchange.fhir_resource.sorts IS
          'For each token and text parameter its values, sorted (exchange/fhir_sort.py).';
        """
    )
