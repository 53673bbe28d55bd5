"""FHIR resources of journeys, made from the record and found by what can be asked of them.

They hold nothing that the ledger does not say, and may be thrown away at any time.
"""

from alembic import op

revision = "exchange_0007"
down_revision = "exchange_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; an organisation's own login reads the journeys that it takes part in."""
    op.execute(
        """
        -- Two releases may run beside each other: each keeps what its own code makes.
        CREATE TABLE exchange.fhir_format (
          format   integer     PRIMARY KEY,
          position bigint      NOT NULL DEFAULT 0,
          asked    timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN exchange.fhir_format.position IS
          'Every journey that changed up to here is there as it was at its last event, or newer.';

        CREATE TABLE exchange.fhir_journey (
          format   integer NOT NULL,
          journey  text    COLLATE "C" NOT NULL,
          position bigint  NOT NULL,
          audience text[]  NOT NULL,
          PRIMARY KEY (format, journey)
        );

        CREATE TABLE exchange.fhir_resource (
          format   integer     NOT NULL,
          kind     text        COLLATE "C" NOT NULL,
          opened   timestamptz NOT NULL,
          journey  text        COLLATE "C" NOT NULL,
          n        integer     NOT NULL,
          updated  timestamptz NOT NULL,
          made     timestamptz,
          modified timestamptz,
          words    text        NOT NULL,
          keys     uuid[]      NOT NULL,
          body     text        NOT NULL,
          PRIMARY KEY (format, journey, n),
          FOREIGN KEY (format, journey) REFERENCES exchange.fhir_journey ON DELETE CASCADE
        );
        COMMENT ON COLUMN exchange.fhir_resource.keys IS
          'Digests of what it is found by (exchange/fhir_keys.py), its readers among them.';
        CREATE INDEX fhir_resource_order ON exchange.fhir_resource
          (format, kind, opened, journey, n);
        CREATE INDEX fhir_resource_updated ON exchange.fhir_resource (format, kind, updated);
        CREATE INDEX fhir_resource_keys ON exchange.fhir_resource USING gin (keys)
          WITH (gin_pending_list_limit = 256);
        ALTER TABLE exchange.fhir_resource ALTER COLUMN keys SET STATISTICS 1000;

        GRANT SELECT, INSERT, UPDATE, DELETE ON exchange.fhir_format, exchange.fhir_journey,
          exchange.fhir_resource TO stafett_append;
        GRANT USAGE ON SCHEMA exchange TO stafett_read;
        GRANT SELECT ON exchange.fhir_journey, exchange.fhir_resource TO stafett_read;
        ALTER TABLE exchange.fhir_journey ENABLE ROW LEVEL SECURITY;
        ALTER TABLE exchange.fhir_resource ENABLE ROW LEVEL SECURITY;
        CREATE POLICY service_does ON exchange.fhir_journey TO stafett_append
          USING (true) WITH CHECK (true);
        CREATE POLICY service_does ON exchange.fhir_resource TO stafett_append
          USING (true) WITH CHECK (true);
        CREATE POLICY party_reads ON exchange.fhir_journey FOR SELECT TO stafett_read
          USING ((SELECT ledger.reader()) = ANY (audience));
        CREATE POLICY party_reads ON exchange.fhir_resource FOR SELECT TO stafett_read
          USING (EXISTS (SELECT FROM exchange.fhir_journey j
                         WHERE j.format = fhir_resource.format
                           AND j.journey = fhir_resource.journey));
        """
    )
