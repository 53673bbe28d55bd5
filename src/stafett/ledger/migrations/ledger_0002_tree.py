"""The Merkle tree, kept in the append's own transaction, and the checkpoints made of it.

* `ledger.head` gains the frontier (at most 63 hashes) and the root: the *intended checkpoint*, as
  durable as the events that it covers. What is signed later must be equal to it.
* `ledger.node` holds the hash of each complete subtree of 256, 65,536, ... leaves: with the leaf
  hashes these are the tiles (C2SP tlog-tiles), from which every proof can be made without
  rebuilding anything.
* `ledger.checkpoint` holds the signed checkpoints, `ledger.cosignature` what witnesses added.

The old `ledger.append` is dropped: a process of the previous release can't append without the tree.
"""

from alembic import op
from sqlalchemy import text

from stafett.ledger.merkle import Frontier

revision = "ledger_0002"
down_revision = "ledger_0001"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE ledger.head
  ADD frontier bytea NOT NULL DEFAULT '',
  ADD root     bytea NOT NULL DEFAULT sha256('');

CREATE TABLE ledger.node (
  level smallint NOT NULL CHECK (level > 0),
  index bigint   NOT NULL CHECK (index >= 0),
  hash  bytea    NOT NULL CHECK (octet_length(hash) = 32),
  PRIMARY KEY (level, index)
);
COMMENT ON TABLE ledger.node IS
  'Hash of the complete subtree over leaves [index * 256^level, (index + 1) * 256^level).';

CREATE TABLE ledger.checkpoint (
  size      bigint      PRIMARY KEY CHECK (size >= 0),
  root      bytea       NOT NULL CHECK (octet_length(root) = 32),
  note      text        NOT NULL,
  signed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ledger.checkpoint IS 'Checkpoints with the signature of the log (signed notes).';

CREATE TABLE ledger.cosignature (
  size   bigint      NOT NULL REFERENCES ledger.checkpoint,
  name   text        NOT NULL,
  line   text        NOT NULL,
  got_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (size, line)
);
COMMENT ON TABLE ledger.cosignature IS 'Signature lines of witnesses.';
"""

GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{0}
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
ALTER TABLE ledger.{0} ENABLE ALWAYS TRIGGER append_only;
GRANT SELECT, INSERT ON ledger.{0} TO stafett_append;
GRANT SELECT ON ledger.{0} TO stafett_read;
"""

APPEND = """
DROP FUNCTION ledger.append(
  bigint, bigint, timestamptz, float8, bytea[], bytea[], bigint[], text[], text[], text[], text[],
  text[], timestamptz[], text[], bytea[], bigint[], integer[]);

CREATE FUNCTION ledger.append(
  old bigint, held bigint, now timestamptz, lease_s float8, new_frontier bytea, new_root bytea,
  leaves bytea[], hashes bytea[], versions bigint[], streams text[], kinds text[],
  organisations text[], persons text[], audiences text[], occurred timestamptz[],
  keys text[], requests bytea[], firsts bigint[], counts integer[],
  node_levels integer[], node_indexes bigint[], node_hashes bytea[]
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
    INSERT INTO ledger.node (level, index, hash)
    SELECT * FROM unnest(node_levels, node_indexes, node_hashes);
    PERFORM pg_notify('ledger_grew', new::text);
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
    """Make the tables, and the tree of the events that are there already."""
    op.execute(TABLES)
    for table in ("node", "checkpoint", "cosignature"):
        op.execute(GUARDS.format(table))
    op.execute(APPEND)
    _build()


def _build() -> None:
    """Hash the tree over events from before there was one."""
    connection = op.get_bind()
    nodes: list[dict[str, object]] = []

    def keep(level: int, index: int, value: bytes) -> None:
        if level and level % 8 == 0:
            nodes.append({"level": level // 8, "index": index, "hash": value})

    connection.execute(text("SET LOCAL ROLE stafett_append"))
    frontier = Frontier()
    while rows := connection.execute(
        text(
            "SELECT leaf_hash FROM ledger.event_store WHERE position > :size"
            " ORDER BY position LIMIT 10000"
        ),
        {"size": frontier.size},
    ).fetchall():
        frontier = frontier.append((bytes(row[0]) for row in rows), keep)
    if nodes:
        connection.execute(text("INSERT INTO ledger.node VALUES (:level, :index, :hash)"), nodes)
    if frontier.size:
        connection.execute(
            text("UPDATE ledger.head SET frontier = :frontier, root = :root"),
            {"frontier": b"".join(frontier.peaks), "root": frontier.root},
        )
    connection.execute(text("RESET ROLE"))
