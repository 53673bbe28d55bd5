"""The append-only events, the record of submissions, the head, and the roles.

Who may do what is settled here and not in Python:

* `stafett_append`, the runtime role of the service: may add and read events, and move the head.
* `stafett_read`, the restricted role: reads the events of the organisation that the transaction
  has named (`stafett.organisation`), whatever the query; names none, sees none.
* Neither owns anything. UPDATE, DELETE and TRUNCATE of events and submissions are refused to
  everyone, by rights for the roles and by triggers for the owner.

The rows are in a partition of their own, because PostgreSQL refuses COPY into a table with
row-level security: the policies are on the parent, the only table that a reader has rights on.

Roles belong to the whole server: another database on it may have made them already.
"""

from alembic import op

revision = "ledger_0001"
down_revision = None
branch_labels = ("ledger",)
depends_on = None

ROLES = """
DO $$
DECLARE wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['stafett_append', 'stafett_read'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
      IF NOT pg_has_role(current_user, wanted, 'SET') THEN
        EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
      END IF;
    EXCEPTION WHEN invalid_parameter_value THEN  -- PostgreSQL 15 does not know 'SET'
      EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
    END;
  END LOOP;
END $$
"""

TABLES = """
CREATE SCHEMA ledger;

CREATE TABLE ledger.event (
  position      bigint      PRIMARY KEY CHECK (position > 0),
  occurred_at   timestamptz NOT NULL,
  recorded_at   timestamptz NOT NULL,
  version       bigint      NOT NULL CHECK (version > 0),
  stream        text        NOT NULL CHECK (stream <> ''),
  kind          text        NOT NULL CHECK (kind <> ''),
  organisation  text        NOT NULL CHECK (organisation <> ''),
  person        text,
  audience      text[]      NOT NULL CHECK (
    cardinality(audience) > 0
    AND array_position(audience, '') IS NULL AND array_position(audience, NULL) IS NULL),
  leaf_hash     bytea       NOT NULL,
  leaf          bytea       NOT NULL CHECK (octet_length(leaf) BETWEEN 1 AND 65535),
  CHECK (leaf_hash = sha256('\\x00'::bytea || leaf))
) PARTITION BY RANGE (position);
COMMENT ON TABLE ledger.event IS
  'Append-only. leaf is the truth (RFC 8785 JSON); the other columns repeat parts of it.';

CREATE TABLE ledger.event_store PARTITION OF ledger.event FOR VALUES FROM (1) TO (MAXVALUE);
ALTER TABLE ledger.event_store ADD UNIQUE (stream, version);
COMMENT ON TABLE ledger.event_store IS
  'Where the rows are. The sequencer copies into it; readers only have rights on ledger.event.';

CREATE TABLE ledger.submission (
  key            text        PRIMARY KEY CHECK (key <> ''),
  request_hash   bytea       NOT NULL,
  first_position bigint      NOT NULL,
  count          integer     NOT NULL CHECK (count > 0)
);
COMMENT ON TABLE ledger.submission IS 'What each idempotency key came to.';

CREATE TABLE ledger.head (
  one         boolean     PRIMARY KEY DEFAULT true CHECK (one),
  size        bigint      NOT NULL DEFAULT 0,
  epoch       bigint      NOT NULL DEFAULT 0,
  holder      text,
  backend     integer,  -- process number of the holder's session
  lease_until timestamptz NOT NULL DEFAULT 'epoch',
  recorded_at timestamptz NOT NULL DEFAULT 'epoch'
) WITH (fillfactor = 50);
COMMENT ON TABLE ledger.head IS
  'One row: how many events there are, and which sequencer may add (lease and epoch).';
INSERT INTO ledger.head DEFAULT VALUES;
"""

GUARDS = """
CREATE FUNCTION ledger.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'ledger.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'insufficient_privilege', HINT = 'A correction is a new event with a reason.';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.event
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.event_store
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.submission
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER keep_head BEFORE DELETE OR TRUNCATE ON ledger.head
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
ALTER TABLE ledger.event ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.event_store ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.submission ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.head ENABLE ALWAYS TRIGGER keep_head;

CREATE FUNCTION ledger.check_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.size < OLD.size OR NEW.epoch < OLD.epoch OR NEW.recorded_at < OLD.recorded_at THEN
    RAISE EXCEPTION 'the head of the ledger only moves forward' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.size > OLD.size AND
     (SELECT count(*) FROM ledger.event_store WHERE position > OLD.size AND position <= NEW.size)
     <> NEW.size - OLD.size THEN
    RAISE EXCEPTION 'the ledger would have a gap after position %', OLD.size
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER check_head BEFORE UPDATE ON ledger.head
  FOR EACH ROW EXECUTE FUNCTION ledger.check_head();
ALTER TABLE ledger.head ENABLE ALWAYS TRIGGER check_head;
"""

# One call is one transaction: the batch is there with its head, or nothing is. SF001 is this
# project's own code for "another sequencer was here".
APPEND = """
CREATE FUNCTION ledger.append(
  old bigint, held bigint, now timestamptz, lease_s float8,
  leaves bytea[], hashes bytea[], versions bigint[], streams text[], kinds text[],
  organisations text[], persons text[], audiences text[], occurred timestamptz[],
  keys text[], requests bytea[], firsts bigint[], counts integer[]
) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE new bigint := old + cardinality(leaves);
BEGIN
  IF new > old THEN
    INSERT INTO ledger.event_store (position, recorded_at, version, leaf_hash, leaf, occurred_at,
                                    kind, stream, organisation, person, audience)
    SELECT old + n, now, v, h, l, o, k, s, g, p, a::text[]
    FROM unnest(leaves, hashes, versions, streams, kinds, organisations, persons, audiences,
                occurred) WITH ORDINALITY AS t (l, h, v, s, k, g, p, a, o, n);
    INSERT INTO ledger.submission (key, request_hash, first_position, count)
    SELECT * FROM unnest(keys, requests, firsts, counts);
    PERFORM pg_notify('ledger_grew', new::text);
  END IF;
  UPDATE ledger.head
  SET size = new, recorded_at = now,
      lease_until = clock_timestamp() + make_interval(secs => lease_s)
  WHERE size = old AND epoch = held;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'another sequencer has appended' USING ERRCODE = 'SF001';
  END IF;
  RETURN clock_timestamp();
END $$;
"""

RIGHTS = """
GRANT USAGE ON SCHEMA ledger TO stafett_append, stafett_read;
GRANT SELECT, INSERT ON ledger.event_store, ledger.submission TO stafett_append;
GRANT SELECT ON ledger.event TO stafett_append;
GRANT SELECT, UPDATE ON ledger.head TO stafett_append;
GRANT SELECT ON ledger.event TO stafett_read;

ALTER TABLE ledger.event ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger.event FORCE ROW LEVEL SECURITY;
CREATE POLICY service_reads ON ledger.event FOR SELECT TO stafett_append USING (true);
CREATE POLICY audience_reads ON ledger.event FOR SELECT TO stafett_read
  USING ((SELECT current_setting('stafett.organisation', true)) = ANY (audience));
"""


def upgrade() -> None:
    """Make the ledger's tables, guards and roles."""
    for part in (ROLES, TABLES, GUARDS, APPEND, RIGHTS):
        op.execute(part)
