"""An organisation's own login reads its own loggers, and what travelled with its own shipments.

It was taken at its word: whatever it set as `stafett.organisation` it read, of everybody.
"""

from alembic import op

revision = "watch_0005"
down_revision = "watch_0004"
branch_labels = None
depends_on = "ledger_0004"


def upgrade() -> None:
    """Let the readers' policies ask who is connected."""
    op.execute(
        """
        ALTER POLICY party_reads ON watch.travel
            USING ((SELECT ledger.reader()) = ANY (readers));
        ALTER POLICY owner_reads ON watch.logger
            USING (organisation = (SELECT ledger.reader()));
        ALTER POLICY owner_reads ON watch.chunk
            USING (organisation = (SELECT ledger.reader()));
        ALTER POLICY party_reads ON watch.chunk
            USING (EXISTS (
                SELECT FROM watch.travel t
                WHERE t.organisation = chunk.organisation AND t.number = chunk.number
                  AND (SELECT ledger.reader()) = ANY (t.readers)
                  AND chunk.latest >= t.since
                  AND (t.until IS NULL OR chunk.earliest <= t.until)));
        """
    )
