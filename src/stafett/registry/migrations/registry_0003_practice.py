"""Find the results of practice among the record's events without reading the journeys."""

from alembic import op

revision = "registry_0003"
down_revision = "registry_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index. Its condition is the one that `Ledger.of_room` asks with."""
    op.execute(
        "CREATE INDEX registry_practice ON ledger.event_store (position)"
        " WHERE stream LIKE 'practice/%'"
    )
