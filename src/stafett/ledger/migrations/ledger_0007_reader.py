"""Whom a session reads for is settled once: no name in it is looked up as the reader has set it.

`ledger.reader` was a text that each session read anew, with a search path of its own. A login could
make a type called `text` in its temporary schema, be taken for somebody without a name, and read as
any organisation. As a parsed expression it means what it meant when it was made.
"""

from alembic import op

revision = "ledger_0007"
down_revision = "ledger_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put the parsed function in the place of the text."""
    op.execute(
        """
        CREATE OR REPLACE FUNCTION ledger.reader() RETURNS text LANGUAGE sql STABLE
        RETURN CASE
          WHEN pg_catalog.starts_with(session_user::pg_catalog.text, 'stafett_org_')
          THEN pg_catalog.substr(session_user::pg_catalog.text, 13)
          ELSE pg_catalog.current_setting('stafett.organisation', true) END
        """
    )
