"""An organisation's own login reads its own networks only, whatever it sets."""

from alembic import op

revision = "designs_0003"
down_revision = "designs_0002"
branch_labels = None
depends_on = "ledger_0004"


def upgrade() -> None:
    """Let the readers' policies ask who is connected."""
    op.execute(
        """
        ALTER POLICY owner_reads ON service.own_network
            USING (organisation = (SELECT ledger.reader()));
        ALTER POLICY owner_reads ON service.own_network_withdrawn
            USING (organisation = (SELECT ledger.reader()));
        """
    )
