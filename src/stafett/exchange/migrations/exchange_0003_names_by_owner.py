"""Top-level resources are listed to those who captured them: places and steps tell about a site."""

from alembic import op

revision = "exchange_0003"
down_revision = "exchange_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the owner to the key; names of before belong to nobody until they are seen again."""
    op.execute("ALTER TABLE exchange.name ADD COLUMN owner text NOT NULL DEFAULT ''")
    op.execute("ALTER TABLE exchange.name DROP CONSTRAINT name_pkey")
    op.execute("ALTER TABLE exchange.name ADD PRIMARY KEY (owner, kind, value)")
    op.execute("ALTER TABLE exchange.name ALTER COLUMN owner DROP DEFAULT")
