"""Company prefixes that captured EPC URNs tell, so that links can be given as URNs.

Events captured before are read once, for theirs. A subscription keeps the form of identifiers that
it was made with; one from before this gets them as captured, as it did.
"""

from alembic import op

revision = "exchange_0009"
down_revision = "exchange_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, fill it, and let subscriptions say their form."""
    op.execute(
        r"""
        CREATE TABLE exchange.company_prefix (
          owner  text NOT NULL,
          prefix text NOT NULL CHECK (prefix ~ '^[0-9]{6,12}$'),
          PRIMARY KEY (owner, prefix)
        );
        COMMENT ON TABLE exchange.company_prefix IS
          'GS1 company prefixes, as the EPC URNs that each organisation captured part them.';
        GRANT SELECT, INSERT ON exchange.company_prefix TO stafett_append;

        -- A dot for each colon: a colon and a word would be a parameter here.
        INSERT INTO exchange.company_prefix
        SELECT DISTINCT owner, (regexp_matches(
          body, 'urn.epc.(id|class|idpat).[a-z]+.([0-9]{6,12})\.', 'g'))[2]
        FROM exchange.epcis_event WHERE body LIKE '%urn_epc_%';

        ALTER TABLE exchange.webhook ADD COLUMN epc_format text NOT NULL DEFAULT 'Never_Translates';
        """
    )
