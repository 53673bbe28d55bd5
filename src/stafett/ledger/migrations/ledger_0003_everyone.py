"""Events for everyone: an audience of `*`, such as the authors' public keys.

Whoever names an organisation reads them besides its own; who names none still reads nothing.
"""

from alembic import op

revision = "ledger_0003"
down_revision = "ledger_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the readers' policy."""
    op.execute(
        """
        ALTER POLICY audience_reads ON ledger.event
          USING ((SELECT current_setting('stafett.organisation', true)) <> ''
                 AND ((SELECT current_setting('stafett.organisation', true)) = ANY (audience)
                      OR '*' = ANY (audience)))
        """
    )
