"""EPCIS events captured from partners, what can be asked of them, and who wants to be told.

Events are only ever added. `seq` has no gaps and follows commit order, because captures take one
lock: whoever follows the store by `seq` misses nothing.
"""

from alembic import op

revision = "exchange_0001"
down_revision = None
branch_labels = ("exchange",)
depends_on = "ledger_0001"

TABLES = """
CREATE SCHEMA exchange AUTHORIZATION CURRENT_USER;

CREATE TABLE exchange.context (
  id     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest uuid    NOT NULL UNIQUE,
  body   text    NOT NULL
);
COMMENT ON TABLE exchange.context IS 'The JSON-LD contexts that captured events were written in.';

CREATE TABLE exchange.namespace (
  prefix text NOT NULL,
  uri    text NOT NULL,
  PRIMARY KEY (prefix, uri)
);
COMMENT ON TABLE exchange.namespace IS 'What an extension prefix has meant in captured documents.';

CREATE TABLE exchange.epcis_event (
  seq         bigint      PRIMARY KEY CHECK (seq > 0),
  identity    uuid        NOT NULL UNIQUE,
  content     uuid        NOT NULL,
  owner       text        NOT NULL,
  job         uuid        NOT NULL,
  context     integer     NOT NULL,
  event_time  timestamptz NOT NULL,
  record_time timestamptz NOT NULL,
  error_time  timestamptz,
  keys        uuid[]      NOT NULL,
  body        text        NOT NULL
);
COMMENT ON COLUMN exchange.epcis_event.identity IS
  'eventID, and the error declaration if it is one: both may stand beside each other.';
COMMENT ON COLUMN exchange.epcis_event.keys IS 'Digests of the tokens of exchange/epcis_facts.py.';
CREATE INDEX epcis_event_keys ON exchange.epcis_event USING gin (keys);
CREATE INDEX epcis_event_time ON exchange.epcis_event (event_time, seq);
CREATE INDEX epcis_record_time ON exchange.epcis_event USING brin (record_time);
ALTER TABLE exchange.epcis_event ALTER COLUMN keys SET STATISTICS 1000;

CREATE TABLE exchange.epcis_number (
  name  uuid             NOT NULL,
  value double precision NOT NULL,
  seq   bigint           NOT NULL
);
CREATE INDEX epcis_number_value ON exchange.epcis_number (name, value) INCLUDE (seq);
COMMENT ON TABLE exchange.epcis_number IS 'Quantities, readings and numeric extensions of events.';

CREATE TABLE exchange.name (
  kind  text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (kind, value)
);
COMMENT ON TABLE exchange.name IS 'Top-level resources: steps, dispositions, places, types seen.';

CREATE TABLE exchange.capture_job (
  id         uuid        PRIMARY KEY,
  owner      text        NOT NULL,
  created    timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished   timestamptz,
  running    boolean     NOT NULL,
  success    boolean     NOT NULL,
  behaviour  text        NOT NULL,
  captured   integer     NOT NULL DEFAULT 0,
  duplicates integer     NOT NULL DEFAULT 0,
  errors     text        NOT NULL DEFAULT '[]',
  payload    bytea
);
CREATE INDEX capture_job_open ON exchange.capture_job (created) WHERE running;
CREATE INDEX capture_job_created ON exchange.capture_job (created, id);
COMMENT ON COLUMN exchange.capture_job.payload IS
  'A large document that was accepted and is not captured yet; empty once it is.';

CREATE TABLE exchange.vocabulary (
  n          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  type       text   NOT NULL,
  id         text   NOT NULL,
  attributes text   NOT NULL,
  children   text[] NOT NULL,
  job        uuid   NOT NULL
);
CREATE INDEX vocabulary_id ON exchange.vocabulary (id, type, n DESC);
COMMENT ON TABLE exchange.vocabulary IS 'Master data as captured; the last row of an id counts.';

CREATE TABLE exchange.named_query (
  name    text        PRIMARY KEY,
  owner   text        NOT NULL,
  query   text        NOT NULL,
  context text,
  created timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE exchange.webhook (
  id              uuid        PRIMARY KEY,
  owner           text        NOT NULL,
  source          text        NOT NULL CHECK (source IN ('epcis', 'ledger')),
  query_name      text        REFERENCES exchange.named_query ON DELETE CASCADE,
  dest            text        NOT NULL,
  mode            text        NOT NULL CHECK (mode IN ('epcis', 'structured', 'binary')),
  secret          text,
  schedule        text,
  report_if_empty boolean     NOT NULL DEFAULT false,
  position        bigint      NOT NULL,
  created         timestamptz NOT NULL DEFAULT clock_timestamp(),
  initial_time    timestamptz,
  last_notified   timestamptz,
  last_run        timestamptz,
  failures        integer     NOT NULL DEFAULT 0,
  last_error      text,
  next_try        timestamptz NOT NULL DEFAULT clock_timestamp(),
  dead            boolean     NOT NULL DEFAULT false,
  CHECK ((source = 'epcis') = (query_name IS NOT NULL))
);
COMMENT ON COLUMN exchange.webhook.position IS
  'Everything up to here was received with a 2xx; it only moves on when the receiver says so.';

CREATE TABLE exchange.subject (
  key        uuid NOT NULL,
  journey    text NOT NULL,
  identifier text NOT NULL,
  PRIMARY KEY (key, journey)
);
CREATE INDEX subject_journey ON exchange.subject (journey);
COMMENT ON TABLE exchange.subject IS 'Identifiers by which captured events belong to journeys.';
"""

GUARDS = """
CREATE FUNCTION exchange.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'exchange.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'insufficient_privilege', HINT = 'Capture an error declaration instead.';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange.epcis_event
  FOR EACH STATEMENT EXECUTE FUNCTION exchange.refuse();
ALTER TABLE exchange.epcis_event ENABLE ALWAYS TRIGGER append_only;

GRANT USAGE ON SCHEMA exchange TO stafett_append;
GRANT SELECT, INSERT ON exchange.context, exchange.namespace, exchange.epcis_event,
  exchange.epcis_number, exchange.name, exchange.vocabulary TO stafett_append;
GRANT SELECT, INSERT, UPDATE ON exchange.capture_job TO stafett_append;
GRANT SELECT, INSERT, UPDATE, DELETE ON exchange.named_query, exchange.webhook, exchange.subject
  TO stafett_append;
"""


def upgrade() -> None:
    """Make the room's tables and rights."""
    op.execute(TABLES)
    op.execute(GUARDS)
