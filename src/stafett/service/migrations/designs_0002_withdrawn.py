"""Which networks their organisation no longer offers, since when and why; no version goes away."""

from alembic import op

revision = "designs_0002"
down_revision = "designs_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table: a row for the newest version of a network as it was withdrawn, for good.

    A network that is saved again has a newer version, which nobody withdrew.
    """
    op.execute(
        """
        CREATE TABLE service.own_network_withdrawn (
            organisation text NOT NULL,
            name text NOT NULL,
            version integer NOT NULL,
            reason text NOT NULL CHECK (reason <> ''),
            person text NOT NULL,
            person_name text NOT NULL,
            withdrawn_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (organisation, name, version),
            FOREIGN KEY (organisation, name, version) REFERENCES service.own_network
        );
        CREATE FUNCTION service.withdrawal_stays() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'a withdrawal of a network is never changed'; END $$;
        CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON service.own_network_withdrawn
            FOR EACH ROW EXECUTE FUNCTION service.withdrawal_stays();
        CREATE TRIGGER stays_whole BEFORE TRUNCATE ON service.own_network_withdrawn
            EXECUTE FUNCTION service.withdrawal_stays();

        GRANT INSERT, SELECT ON service.own_network_withdrawn TO stafett_append;
        GRANT SELECT ON service.own_network_withdrawn TO stafett_read;
        ALTER TABLE service.own_network_withdrawn ENABLE ROW LEVEL SECURITY;
        CREATE POLICY service_does ON service.own_network_withdrawn TO stafett_append
            USING (true) WITH CHECK (true);
        CREATE POLICY owner_reads ON service.own_network_withdrawn FOR SELECT TO stafett_read
            USING (organisation = (SELECT current_setting('stafett.organisation', true)));
        """
    )
