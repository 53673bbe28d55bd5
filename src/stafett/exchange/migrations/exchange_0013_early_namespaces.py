"""Which namespaces were captured before an event's token said by itself what it names.

Since then an identifier in an extension is found whatever its namespace (`named=`). Events from
before are found by the namespaces that there were then, and by no later one.
"""

from alembic import op

revision = "exchange_0013"
down_revision = "exchange_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Mark the namespaces that there are."""
    op.execute("ALTER TABLE exchange.namespace ADD COLUMN early boolean NOT NULL DEFAULT false")
    op.execute("UPDATE exchange.namespace SET early = true")
