"""Who was told of what: alerts, what became of each, shifts, addresses, handovers, messages."""

from alembic import op

revision = "alerts_0001"
down_revision = None
branch_labels = ("alerts",)
depends_on = "service_0001"


def upgrade() -> None:
    """Make the tables."""
    op.execute(
        """
        CREATE SCHEMA alerts AUTHORIZATION CURRENT_USER;

        -- One row per rung that was called. The key is the same in every process, so a rung is
        -- called once, whoever gets there first.
        CREATE TABLE alerts.alert (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            journey text NOT NULL,
            cause text NOT NULL,
            rung integer NOT NULL,
            seen bigint NOT NULL,  -- the journey's version that it was called from
            organisation text NOT NULL,
            role text NOT NULL,
            kind text NOT NULL,
            urgency text NOT NULL,
            code text NOT NULL,
            activity text NOT NULL,
            about text NOT NULL,
            deputy boolean NOT NULL,
            why text NOT NULL,
            worse text NOT NULL,
            bundle text NOT NULL,
            joined bigint REFERENCES alerts.alert,
            due timestamptz NOT NULL,
            raised timestamptz NOT NULL DEFAULT clock_timestamp(),
            tell_at timestamptz NOT NULL,
            told timestamptz,
            people text[],
            holder text,
            acknowledged timestamptz,
            ended timestamptz,
            UNIQUE (journey, cause, rung, organisation, role)
        );
        CREATE INDEX alert_open ON alerts.alert (journey) WHERE ended IS NULL;
        CREATE INDEX alert_desk ON alerts.alert (organisation, role, raised);
        CREATE INDEX alert_held ON alerts.alert (tell_at) WHERE told IS NULL AND ended IS NULL;

        -- What became of each alert, append-only. Positions are given under one lock, so that a
        -- reader who has seen position n has seen everything up to n.
        CREATE TABLE alerts.event (
            position bigint PRIMARY KEY,
            alert bigint NOT NULL REFERENCES alerts.alert,
            what text NOT NULL,
            person text,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            note text NOT NULL DEFAULT ''
        );
        CREATE INDEX event_alert ON alerts.event (alert);
        CREATE FUNCTION alerts.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'alerts.event is append-only: % is refused', TG_OP
            USING ERRCODE = 'insufficient_privilege';
        END $$;
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON alerts.event
          FOR EACH STATEMENT EXECUTE FUNCTION alerts.refuse();

        CREATE TABLE alerts.shift (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            organisation text NOT NULL REFERENCES service.organisation,
            role text NOT NULL,
            person text NOT NULL REFERENCES service.person,
            deputy boolean NOT NULL DEFAULT false,
            days smallint[] NOT NULL,
            begins time NOT NULL,
            ends time NOT NULL,
            zone text NOT NULL,
            UNIQUE (organisation, role, person, begins)
        );
        CREATE TABLE alerts.address (
            person text PRIMARY KEY REFERENCES service.person,
            mail text NOT NULL
        );
        CREATE TABLE alerts.handover (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            organisation text NOT NULL,
            role text NOT NULL,
            giver text NOT NULL REFERENCES service.person,
            receiver text NOT NULL REFERENCES service.person,
            note text NOT NULL,
            alerts bigint[] NOT NULL,
            offered timestamptz NOT NULL DEFAULT clock_timestamp(),
            accepted timestamptz
        );
        CREATE TABLE alerts.message (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            alert bigint NOT NULL REFERENCES alerts.alert,
            person text NOT NULL,
            mail text NOT NULL,
            attempt integer NOT NULL DEFAULT 0,
            next_try timestamptz NOT NULL DEFAULT clock_timestamp(),
            sent timestamptz,
            dead boolean NOT NULL DEFAULT false,
            last_error text
        );
        CREATE INDEX message_due ON alerts.message (next_try) WHERE sent IS NULL AND NOT dead;

        -- A deviation put before other sites without its outcome, and what they judged.
        CREATE TABLE alerts.peer_case (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            journey text NOT NULL,
            deviation text NOT NULL,
            organisation text NOT NULL,
            asked_by text NOT NULL REFERENCES service.person,
            asked timestamptz NOT NULL DEFAULT clock_timestamp(),
            code text NOT NULL,
            kind text NOT NULL,
            protocol text NOT NULL,
            activity text NOT NULL,
            facts text NOT NULL,
            sites text[] NOT NULL,
            UNIQUE (journey, deviation)
        );
        CREATE TABLE alerts.peer_answer (
            peer_case bigint NOT NULL REFERENCES alerts.peer_case,
            person text NOT NULL REFERENCES service.person,
            organisation text NOT NULL,
            severity text NOT NULL,
            disposition text NOT NULL,
            why text NOT NULL,
            answered timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (peer_case, person)
        );

        GRANT USAGE ON SCHEMA alerts TO stafett_append;
        GRANT SELECT, INSERT, UPDATE ON alerts.alert, alerts.handover, alerts.message,
            alerts.address TO stafett_append;
        GRANT SELECT, INSERT ON alerts.event, alerts.peer_case, alerts.peer_answer
            TO stafett_append;
        GRANT SELECT, INSERT, UPDATE, DELETE ON alerts.shift TO stafett_append;
        """
    )
