"""A look at a document or a dossier is a look at its journey too."""

from alembic import op

revision = "service_0003"
down_revision = "service_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was looked at before keeps its text."""
    op.execute(
        """
        ALTER TABLE service.reading ADD COLUMN journey text;
        CREATE INDEX ON service.reading (journey, id) WHERE journey IS NOT NULL;
        CREATE INDEX ON service.reading (what, id);
        """
    )
