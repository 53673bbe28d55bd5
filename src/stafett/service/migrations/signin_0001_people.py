"""How people sign in, what they may sign, who changed what, and labels that were printed."""

from alembic import op

revision = "signin_0001"
down_revision = None
branch_labels = ("signin",)
depends_on = "service_0001"


def upgrade() -> None:
    """Make the tables."""
    op.execute(
        """
        -- A person who was invited has no password yet, or never one (passkey, OIDC).
        ALTER TABLE service.person ALTER COLUMN password DROP NOT NULL;
        ALTER TABLE service.person
            ADD COLUMN totp bytea,                        -- sealed under the master key
            ADD COLUMN totp_step bigint NOT NULL DEFAULT 0,   -- the last step used: a code once
            ADD COLUMN site text NOT NULL DEFAULT '';
        ALTER TABLE service.session
            ADD COLUMN id text NOT NULL UNIQUE DEFAULT gen_random_uuid()::text,
            ADD COLUMN opened timestamptz NOT NULL DEFAULT now(),
            ADD COLUMN used timestamptz NOT NULL DEFAULT now(),
            ADD COLUMN address text NOT NULL DEFAULT '',
            ADD COLUMN agent text NOT NULL DEFAULT '',
            ADD COLUMN method text NOT NULL DEFAULT 'password';
        CREATE INDEX ON service.session (person);

        -- Wrong attempts, by address: what one address may try is limited.
        CREATE TABLE service.failure (
            address text NOT NULL,
            at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX ON service.failure (address, at);
        CREATE TABLE service.recovery_code (
            person text NOT NULL REFERENCES service.person,
            code bytea NOT NULL,
            used timestamptz,
            PRIMARY KEY (person, code)
        );
        CREATE TABLE service.passkey (
            credential bytea PRIMARY KEY,
            person text NOT NULL REFERENCES service.person,
            public_key bytea NOT NULL,
            sign_count bigint NOT NULL,
            name text NOT NULL,
            added timestamptz NOT NULL DEFAULT now(),
            used timestamptz
        );
        CREATE INDEX ON service.passkey (person);
        -- What was asked and is not answered yet: a second factor, a passkey, a provider.
        CREATE TABLE service.challenge (
            token bytea PRIMARY KEY,
            purpose text NOT NULL,
            person text REFERENCES service.person,
            data jsonb NOT NULL DEFAULT '{}',
            tries integer NOT NULL DEFAULT 0,
            expires timestamptz NOT NULL
        );
        -- One-time links: a person makes their own password or passkey with it.
        CREATE TABLE service.invitation (
            token bytea PRIMARY KEY,
            person text REFERENCES service.person,     -- NULL: the first administrator
            expires timestamptz NOT NULL
        );
        CREATE TABLE service.provider (
            id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
            organisation text NOT NULL REFERENCES service.organisation,
            name text NOT NULL,
            issuer text NOT NULL,
            client text NOT NULL,
            secret bytea NOT NULL,
            active boolean NOT NULL DEFAULT true
        );
        -- Accounts at a provider; without a person until an administrator links them.
        CREATE TABLE service.identity (
            provider text NOT NULL REFERENCES service.provider,
            subject text NOT NULL,
            person text REFERENCES service.person,
            name text NOT NULL DEFAULT '',
            seen timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (provider, subject)
        );
        CREATE TABLE service.site (
            id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
            organisation text NOT NULL REFERENCES service.organisation,
            name text NOT NULL,
            time_zone text NOT NULL
        );

        -- Every change by an administrator, with its reason; only ever added to. `recorded` is the
        -- only column that may be written later: when the ledger has it.
        CREATE TABLE service.change (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT now(),
            person text NOT NULL,
            organisation text NOT NULL,
            what text NOT NULL,
            about text NOT NULL,
            reason text NOT NULL CHECK (btrim(reason) <> ''),
            before jsonb,
            after jsonb,
            recorded bigint
        );
        CREATE INDEX ON service.change (organisation, id);
        CREATE INDEX ON service.change (id) WHERE recorded IS NULL;
        CREATE FUNCTION service.only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND to_jsonb(OLD) - 'recorded' = to_jsonb(NEW) - 'recorded'
               AND to_jsonb(OLD) ->> 'recorded' IS NULL THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME;
        END $$;
        CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE ON service.change
            FOR EACH ROW EXECUTE FUNCTION service.only_added_to();
        CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE ON service.reading
            FOR EACH ROW EXECUTE FUNCTION service.only_added_to();
        CREATE INDEX ON service.reading (organisation, id);

        CREATE TABLE service.competence (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            person text NOT NULL REFERENCES service.person,
            protocol text NOT NULL,
            version text NOT NULL,
            role text NOT NULL,
            valid_from timestamptz NOT NULL,
            valid_until timestamptz NOT NULL,
            granted_by text NOT NULL,
            reason text NOT NULL,
            withdrawn timestamptz
        );
        CREATE INDEX ON service.competence (person);

        -- Labels: each print is one row; what became of it is said once.
        CREATE TABLE service.label (
            id text PRIMARY KEY,
            journey text NOT NULL,
            lot text NOT NULL,
            organisation text NOT NULL,
            person text NOT NULL,
            printed timestamptz NOT NULL DEFAULT now(),
            form text NOT NULL,
            lines text[] NOT NULL,
            payload text NOT NULL,
            fate text CHECK (fate IN ('used', 'spoiled')),
            fate_by text,
            fate_at timestamptz,
            fate_reason text NOT NULL DEFAULT ''
        );
        CREATE INDEX ON service.label (journey, lot);

        GRANT SELECT, INSERT, UPDATE, DELETE ON service.session, service.challenge,
            service.invitation, service.failure, service.recovery_code, service.passkey,
            service.identity TO stafett_append;
        GRANT SELECT, INSERT, UPDATE ON service.provider, service.site, service.change,
            service.competence, service.label TO stafett_append;
        GRANT DELETE ON service.party TO stafett_append;
        """
    )
