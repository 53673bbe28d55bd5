"""Resources, chains and their slots, the waitlist and the rule, and what waits for the record."""

from alembic import op

revision = "capacity_0001"
down_revision = None
branch_labels = ("capacity",)
depends_on = "ledger_0001"


def upgrade() -> None:
    """Make the tables. The exclusion constraint is what makes a double booking impossible."""
    op.execute(
        """
        CREATE EXTENSION IF NOT EXISTS btree_gist;
        CREATE SCHEMA capacity AUTHORIZATION CURRENT_USER;
        CREATE TABLE capacity.resource (
            id text PRIMARY KEY,
            organisation text NOT NULL,
            version int NOT NULL DEFAULT 1,
            value jsonb NOT NULL
        );
        CREATE TABLE capacity.chain (
            id text PRIMARY KEY,
            template text NOT NULL,
            network text NOT NULL,
            patient text NOT NULL,
            organisation text NOT NULL,
            organisations text[] NOT NULL,
            status text NOT NULL CHECK (status IN ('held', 'booked', 'cancelled', 'expired')),
            version int NOT NULL DEFAULT 1,
            hold_until timestamptz,
            urgency int NOT NULL DEFAULT 3,
            deadline timestamptz,
            offered jsonb,
            CHECK ((status = 'held') = (hold_until IS NOT NULL))
        );
        CREATE INDEX chain_hold ON capacity.chain (hold_until) WHERE status = 'held';
        -- Only what stands: a chain that is cancelled or has expired has no slots.
        CREATE TABLE capacity.slot (
            chain text NOT NULL REFERENCES capacity.chain,
            link text NOT NULL,
            resource text NOT NULL REFERENCES capacity.resource,
            unit int NOT NULL,
            begins bigint NOT NULL,
            ends bigint NOT NULL CHECK (begins < ends),
            PRIMARY KEY (chain, link),
            EXCLUDE USING gist (
                resource WITH =, unit WITH =, int8range(begins, ends) WITH &&
            )
        );
        CREATE TABLE capacity.request (
            organisation text NOT NULL,
            key text NOT NULL,
            digest bytea NOT NULL,
            chain text NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (organisation, key)
        );
        CREATE TABLE capacity.waiting (
            patient text NOT NULL,
            organisation text NOT NULL,
            value jsonb NOT NULL,
            PRIMARY KEY (organisation, patient)
        );
        CREATE TABLE capacity.rule (
            version int PRIMARY KEY,
            value jsonb NOT NULL,
            person text NOT NULL,
            reason text NOT NULL,
            at timestamptz NOT NULL DEFAULT now()
        );
        -- What the record has yet to be told; written with what it tells of or not at all.
        CREATE TABLE capacity.told (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            stream text NOT NULL,
            kind text NOT NULL,
            body jsonb NOT NULL,
            audience text[] NOT NULL,
            organisation text NOT NULL,
            person text,
            at timestamptz NOT NULL DEFAULT now(),
            recorded bigint
        );
        CREATE INDEX told_waits ON capacity.told (id) WHERE recorded IS NULL;
        GRANT USAGE ON SCHEMA capacity TO stafett_append;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA capacity TO stafett_append;
        """
    )
