"""An organisation's own login reads as that organisation, whatever it sets.

The service names the organisation of a transaction in `stafett.organisation`, which any SQL can
set. A login of the name `stafett_org_<organisation>` (a member of `stafett_read`, for an
organisation's own reports) is taken at its name instead.
"""

from alembic import op

revision = "ledger_0004"
down_revision = "ledger_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the readers' policy ask who is connected."""
    op.execute(
        """
        CREATE FUNCTION ledger.reader() RETURNS text LANGUAGE sql STABLE AS $$
          SELECT CASE WHEN starts_with(session_user::text, 'stafett_org_')
                      THEN substr(session_user::text, 13)
                      ELSE current_setting('stafett.organisation', true) END
        $$;
        COMMENT ON FUNCTION ledger.reader() IS 'The organisation that this session reads for.';
        ALTER POLICY audience_reads ON ledger.event
          USING ((SELECT ledger.reader()) <> ''
                 AND ((SELECT ledger.reader()) = ANY (audience) OR '*' = ANY (audience)))
        """
    )
