"""Erasing reaches documents, and patients whose order came to nothing.

`journey` is the one that a patient was enrolled for; `opened` says that the record has it. One that
never was opened holds a person's details for nothing: it is erased after a while.
"""

from alembic import op

revision = "service_0006"
down_revision = "service_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the service see which enrolments came to nothing, and take documents away."""
    op.execute(
        """
        ALTER TABLE vault.patient
            ADD COLUMN enrolled timestamptz NOT NULL DEFAULT now(),
            ADD COLUMN journey text,
            ADD COLUMN opened boolean NOT NULL DEFAULT false;
        CREATE INDEX ON vault.patient (enrolled) WHERE NOT opened AND erased IS NULL;
        GRANT DELETE ON service.document, service.document_reader TO stafett_append;
        """
    )
