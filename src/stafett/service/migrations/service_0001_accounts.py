"""Organisations, people, sessions, pinned protocols, the vault, and the audit of reads."""

from alembic import op

revision = "service_0001"
down_revision = None
branch_labels = ("service",)
depends_on = "ledger_0001"


def upgrade() -> None:
    """Make the tables."""
    op.execute(
        """
        CREATE SCHEMA service AUTHORIZATION CURRENT_USER;

        CREATE TABLE service.organisation (
            id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
            name text NOT NULL,
            kind text NOT NULL,
            country text NOT NULL,
            time_zone text NOT NULL
        );
        CREATE TABLE service.person (
            id text PRIMARY KEY,
            login text NOT NULL UNIQUE,
            name text NOT NULL,
            organisation text NOT NULL REFERENCES service.organisation,
            roles text[] NOT NULL DEFAULT '{}',
            duties text[] NOT NULL DEFAULT '{}',
            language text NOT NULL DEFAULT 'en',
            password text NOT NULL,
            active boolean NOT NULL DEFAULT true,
            failures integer NOT NULL DEFAULT 0,
            locked_until timestamptz
        );
        CREATE TABLE service.session (
            token bytea PRIMARY KEY,
            person text NOT NULL REFERENCES service.person,
            expires timestamptz NOT NULL
        );
        -- Content-addressed: a journey pins the bytes of the protocol that it was opened under.
        CREATE TABLE service.protocol (
            sha256 text PRIMARY KEY,
            name text NOT NULL,
            version text NOT NULL,
            text bytea NOT NULL,
            added timestamptz NOT NULL DEFAULT now()
        );
        -- Which organisation plays which role: the default parties of a new journey.
        CREATE TABLE service.party (
            network text NOT NULL,
            role text NOT NULL,
            organisation text NOT NULL REFERENCES service.organisation,
            PRIMARY KEY (network, role)
        );
        CREATE TABLE service.document (
            sha256 text PRIMARY KEY,
            media_type text NOT NULL,
            bytes bytea NOT NULL,
            added timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE service.document_reader (
            sha256 text NOT NULL REFERENCES service.document,
            organisation text NOT NULL,
            PRIMARY KEY (sha256, organisation)
        );

        -- The hospital's vault: direct identifiers, encrypted under a key per patient that is
        -- itself encrypted under the vault's master key. Erasing a patient destroys the key.
        CREATE SCHEMA vault AUTHORIZATION CURRENT_USER;
        CREATE TABLE vault.patient (
            pseudonym text PRIMARY KEY,
            organisation text NOT NULL,
            wrapped_key bytea,
            sealed bytea,
            erased timestamptz
        );
        CREATE TABLE service.reading (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT now(),
            person text NOT NULL,
            organisation text NOT NULL,
            what text NOT NULL
        );

        GRANT USAGE ON SCHEMA service, vault TO stafett_append;
        GRANT SELECT, INSERT, UPDATE ON service.organisation, service.person,
            service.party TO stafett_append;
        GRANT SELECT, INSERT, DELETE ON service.session TO stafett_append;
        GRANT SELECT, INSERT ON service.protocol, service.document, service.document_reader,
            service.reading TO stafett_append;
        GRANT SELECT, INSERT, UPDATE ON vault.patient TO stafett_append;
        """
    )
