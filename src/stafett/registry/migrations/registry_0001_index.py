"""The registry's entries are events of the record; this finds them without reading the journeys."""

from alembic import op

revision = "registry_0001"
down_revision = None
branch_labels = ("registry",)
depends_on = "ledger_0001"


def upgrade() -> None:
    """Make the index. Its condition is the one that `Ledger.of_room` asks with."""
    op.execute(
        "CREATE INDEX registry_entry ON ledger.event_store (position)"
        " WHERE stream LIKE 'registry/%'"
    )
