"""The networks that organisations made in the studio: every version of each, for good."""

from alembic import op

revision = "designs_0001"
down_revision = None
branch_labels = ("designs",)
depends_on = "service_0001"


def upgrade() -> None:
    """Make the table. A version is written once: no role may change it or take it away."""
    op.execute(
        """
        CREATE TABLE service.own_network (
            organisation text NOT NULL,
            name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9-]*$'),
            version integer NOT NULL CHECK (version > 0),
            title text NOT NULL,
            protocol text NOT NULL,
            content text NOT NULL,
            reason text NOT NULL CHECK (reason <> ''),
            person text NOT NULL,
            person_name text NOT NULL,
            saved_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (organisation, name, version)
        );
        CREATE FUNCTION service.own_network_stays() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'a version of a network is never changed'; END $$;
        CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON service.own_network
            FOR EACH ROW EXECUTE FUNCTION service.own_network_stays();
        CREATE TRIGGER stays_whole BEFORE TRUNCATE ON service.own_network
            EXECUTE FUNCTION service.own_network_stays();

        GRANT USAGE ON SCHEMA service TO stafett_read;
        GRANT INSERT, SELECT ON service.own_network TO stafett_append;
        GRANT SELECT ON service.own_network TO stafett_read;
        ALTER TABLE service.own_network ENABLE ROW LEVEL SECURITY;
        CREATE POLICY service_does ON service.own_network TO stafett_append
            USING (true) WITH CHECK (true);
        CREATE POLICY owner_reads ON service.own_network FOR SELECT TO stafett_read
            USING (organisation = (SELECT current_setting('stafett.organisation', true)));
        """
    )
