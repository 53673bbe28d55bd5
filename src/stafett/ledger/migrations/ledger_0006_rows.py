"""An append takes its events as rows, not as columns; nodes are stored where there are any.

One array of a composite type for each table. The database made rows of nine arrays, each of which
it first put aside whole, and read an audience from text; the appender wrote nine columns.

The old `ledger.append` is dropped: a process of the previous release can't append any more, and
asks for the lease in vain until it is replaced.
"""

from alembic import op

revision = "ledger_0006"
down_revision = "ledger_0005"
branch_labels = None
depends_on = None

APPEND = """
CREATE TYPE ledger.entry AS (
  version bigint, leaf_hash bytea, leaf bytea, occurred_at timestamptz, kind text, stream text,
  organisation text, person text, audience text[]);
COMMENT ON TYPE ledger.entry IS 'An event as ledger.append takes it: its place is not in it.';

CREATE TYPE ledger.claim AS (
  key text, request_hash bytea, first_position bigint, count integer);
COMMENT ON TYPE ledger.claim IS 'A submission as ledger.append takes it.';

DROP FUNCTION ledger.append(
  bigint, bigint, timestamptz, float8, boolean, bytea, bytea, bytea[], bytea[], bigint[], text[],
  text[], text[], text[], text[], timestamptz[], text[], bytea[], bigint[], integer[], integer[],
  bigint[], bytea[]);

CREATE FUNCTION ledger.append(
  old bigint, held bigint, now timestamptz, lease_s float8, tell boolean,
  new_frontier bytea, new_root bytea, entries ledger.entry[], claims ledger.claim[],
  node_levels integer[], node_indexes bigint[], node_hashes bytea[]
) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE new bigint := old + cardinality(entries);
BEGIN
  IF new > old THEN
    INSERT INTO ledger.event_store (position, recorded_at, version, leaf_hash, leaf, occurred_at,
                                    kind, stream, organisation, person, audience)
    SELECT old + n, now, version, leaf_hash, leaf, occurred_at,
           kind, stream, organisation, person, audience
    FROM unnest(entries) WITH ORDINALITY AS t (version, leaf_hash, leaf, occurred_at, kind, stream,
                                               organisation, person, audience, n);
    INSERT INTO ledger.submission (key, request_hash, first_position, count)
    SELECT key, request_hash, first_position, count FROM unnest(claims);
    IF cardinality(node_levels) > 0 THEN
      INSERT INTO ledger.node (level, index, hash)
      SELECT * FROM unnest(node_levels, node_indexes, node_hashes);
    END IF;
    IF tell THEN PERFORM pg_notify('ledger_grew', new::text); END IF;
  END IF;
  UPDATE ledger.head
  SET size = new, recorded_at = now, frontier = new_frontier, root = new_root,
      lease_until = clock_timestamp() + make_interval(secs => lease_s)
  WHERE size = old AND epoch = held;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'another sequencer has appended' USING ERRCODE = 'SF001';
  END IF;
  RETURN clock_timestamp();
END $$;
"""


def upgrade() -> None:
    """Make the types; put the new function in the old one's place."""
    op.execute(APPEND)
