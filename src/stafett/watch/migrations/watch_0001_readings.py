"""Loggers, the shipments they travel with, and their readings: a chunk a row, a day a partition."""

from alembic import op

revision = "watch_0001"
down_revision = None
branch_labels = ("watch",)
depends_on = "service_0001"


def upgrade() -> None:
    """Make the tables."""
    op.execute(
        """
        CREATE SCHEMA watch AUTHORIZATION CURRENT_USER;

        CREATE TABLE watch.logger (
            organisation text NOT NULL REFERENCES service.organisation,
            number text NOT NULL CHECK (number ~ '^[A-Za-z0-9._-]{1,40}$'),
            -- As a Mosquitto password file has it: one credential for HTTP and MQTT.
            key_hash text NOT NULL,
            model text NOT NULL DEFAULT '',
            calibrated_until timestamptz,
            registered_at timestamptz NOT NULL DEFAULT now(),
            registered_by text NOT NULL,
            active boolean NOT NULL DEFAULT true,
            PRIMARY KEY (organisation, number)
        );

        -- Which logger travels with which shipment: read from the record, and made again from it.
        CREATE TABLE watch.travel (
            organisation text NOT NULL,
            number text NOT NULL,
            journey text NOT NULL,
            lot text NOT NULL,
            since timestamptz NOT NULL,
            until timestamptz,
            readers text[] NOT NULL,
            PRIMARY KEY (journey, lot, organisation, number)
        );
        CREATE INDEX ON watch.travel (organisation, number);

        -- `payload` is what arrived, byte for byte; `sha256` is its digest, and is in the ledger.
        CREATE TABLE watch.chunk (
            day date NOT NULL,
            organisation text NOT NULL,
            number text NOT NULL,
            sequence bigint NOT NULL,
            sha256 bytea NOT NULL,
            -- Covers what the device's clock says and what its lag makes of it.
            earliest timestamptz NOT NULL,
            latest timestamptz NOT NULL,
            arrived_at timestamptz NOT NULL,
            readings integer NOT NULL CHECK (readings > 0),
            way text NOT NULL CHECK (way IN ('mqtt', 'http', 'file')),
            payload bytea NOT NULL,
            PRIMARY KEY (day, organisation, number, sequence, sha256)
        ) PARTITION BY RANGE (day);
        CREATE TABLE watch.chunk_other PARTITION OF watch.chunk DEFAULT;

        -- Chunks that were not taken, so that a flood or a fault is seen; by the hour.
        CREATE TABLE watch.refused (
            organisation text NOT NULL,
            number text NOT NULL,
            hour timestamptz NOT NULL,
            reason text NOT NULL,
            chunks bigint NOT NULL,
            said text NOT NULL,
            PRIMARY KEY (organisation, number, hour, reason)
        );

        -- A day's partition, made when its first chunk comes. Called by the service, which may not
        -- make tables itself.
        CREATE FUNCTION watch.have_day(wanted date) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
        DECLARE name text := 'chunk_' || to_char(wanted, 'YYYYMMDD');
        BEGIN
            IF to_regclass('watch.' || name) IS NOT NULL THEN RETURN; END IF;
            PERFORM pg_advisory_xact_lock(823672001);
            IF to_regclass('watch.' || name) IS NOT NULL THEN RETURN; END IF;
            -- What strayed into the default partition keeps that day there: never in the way.
            IF EXISTS (SELECT FROM watch.chunk_other WHERE day = wanted) THEN RETURN; END IF;
            EXECUTE format('CREATE TABLE watch.%I PARTITION OF watch.chunk'
                ' FOR VALUES FROM (%L) TO (%L)', name, wanted, wanted + 1);
        END $$;
        REVOKE ALL ON FUNCTION watch.have_day(date) FROM PUBLIC;

        GRANT USAGE ON SCHEMA watch TO stafett_append, stafett_read;
        GRANT EXECUTE ON FUNCTION watch.have_day(date) TO stafett_append;
        GRANT SELECT, INSERT, UPDATE ON watch.logger TO stafett_append;
        GRANT SELECT, INSERT, UPDATE, DELETE ON watch.travel TO stafett_append;
        GRANT SELECT, INSERT ON watch.chunk TO stafett_append;
        GRANT SELECT, INSERT, UPDATE ON watch.refused TO stafett_append;
        GRANT SELECT (organisation, number, model, calibrated_until, registered_at, active)
            ON watch.logger TO stafett_read;
        GRANT SELECT ON watch.travel, watch.chunk TO stafett_read;

        -- An organisation reads its own loggers, and what others' loggers said while they travelled
        -- with a shipment of a journey that it takes part in.
        ALTER TABLE watch.logger ENABLE ROW LEVEL SECURITY;
        ALTER TABLE watch.travel ENABLE ROW LEVEL SECURITY;
        ALTER TABLE watch.chunk ENABLE ROW LEVEL SECURITY;
        CREATE POLICY service_does ON watch.logger TO stafett_append USING (true) WITH CHECK (true);
        CREATE POLICY service_does ON watch.travel TO stafett_append USING (true) WITH CHECK (true);
        CREATE POLICY service_does ON watch.chunk TO stafett_append USING (true) WITH CHECK (true);
        CREATE POLICY party_reads ON watch.travel FOR SELECT TO stafett_read
            USING ((SELECT current_setting('stafett.organisation', true)) = ANY (readers));
        CREATE POLICY owner_reads ON watch.logger FOR SELECT TO stafett_read
            USING (organisation = (SELECT current_setting('stafett.organisation', true)));
        CREATE POLICY owner_reads ON watch.chunk FOR SELECT TO stafett_read
            USING (organisation = (SELECT current_setting('stafett.organisation', true)));
        CREATE POLICY party_reads ON watch.chunk FOR SELECT TO stafett_read
            USING (EXISTS (
                SELECT FROM watch.travel t
                WHERE t.organisation = chunk.organisation AND t.number = chunk.number
                  AND (SELECT current_setting('stafett.organisation', true)) = ANY (t.readers)
                  AND chunk.latest >= t.since
                  AND (t.until IS NULL OR chunk.earliest <= t.until)));
        """
    )
