"""Named queries, master data and the meaning of prefixes belong to who captured or wrote them.

A query says what an organisation looks for, and master data what it knows of a place: neither is
anybody else's, and nobody else may change what it answers.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "exchange_0014"
down_revision = "exchange_0013"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE exchange.vocabulary ADD COLUMN owner text NOT NULL DEFAULT '';
UPDATE exchange.vocabulary v SET owner = j.owner FROM exchange.capture_job j WHERE j.id = v.job;
UPDATE exchange.vocabulary v SET owner = e.owner FROM
  (SELECT DISTINCT job, owner FROM exchange.epcis_event) e WHERE e.job = v.job AND v.owner = '';
ALTER TABLE exchange.vocabulary ALTER COLUMN owner DROP DEFAULT;
DROP INDEX exchange.vocabulary_id;
CREATE INDEX vocabulary_id ON exchange.vocabulary (id, type, n DESC) INCLUDE (owner);
COMMENT ON TABLE exchange.vocabulary IS
  'Master data as captured; the last row of an id counts, of each organisation its own.';

ALTER TABLE exchange.webhook DROP CONSTRAINT webhook_query_name_fkey;
ALTER TABLE exchange.named_query DROP CONSTRAINT named_query_pkey;
ALTER TABLE exchange.named_query ADD PRIMARY KEY (owner, name);
-- Who was told of another organisation's query goes on being told, by one of its own.
INSERT INTO exchange.named_query (owner, name, query, context)
  SELECT DISTINCT w.owner, q.name, q.query, q.context FROM exchange.webhook w
  JOIN exchange.named_query q ON q.name = w.query_name AND q.owner <> w.owner;
ALTER TABLE exchange.webhook ADD CONSTRAINT webhook_query_fkey
  FOREIGN KEY (owner, query_name) REFERENCES exchange.named_query ON DELETE CASCADE;

ALTER TABLE exchange.namespace ADD COLUMN owner text NOT NULL DEFAULT '';
ALTER TABLE exchange.namespace DROP CONSTRAINT namespace_pkey;
ALTER TABLE exchange.namespace ADD PRIMARY KEY (owner, prefix, uri);
ALTER TABLE exchange.namespace ALTER COLUMN owner DROP DEFAULT;
"""


def upgrade() -> None:
    """Add the owner to each; what no captured event used in its name stays nobody's."""
    op.execute(TABLES)
    connection = op.get_bind()
    known = {(p, uri): early for p, uri, early in connection.execute(
        sa.text("SELECT prefix, uri, early FROM exchange.namespace"))}  # fmt: skip
    meant = set()
    for owner, body in connection.execute(
        sa.text(
            "SELECT owner, body FROM (SELECT DISTINCT owner, context FROM exchange.epcis_event) e"
            " JOIN exchange.context c ON c.id = e.context"
        )
    ):
        meant |= {(owner, p, uri) for p, uri in _declared(json.loads(body)) if (p, uri) in known}
    rows = [{"o": o, "p": p, "u": u, "e": known[p, u]} for o, p, u in sorted(meant)]
    if rows:
        connection.execute(
            sa.text("INSERT INTO exchange.namespace (owner, prefix, uri, early)"
                    " VALUES (:o, :p, :u, :e)"), rows,
        )  # fmt: skip
    # An event that was found by its namespace before is, whoever captured it: `early` stays.
    connection.execute(sa.text("DELETE FROM exchange.namespace WHERE owner = '' AND NOT early"))


def _declared(context: object) -> set[tuple[str, str]]:
    """Give (prefix, namespace) of a context, as `epcis_context` had it when this was written."""
    out = set()
    for part in context if isinstance(context, list) else [context]:
        for key, value in part.items() if isinstance(part, dict) else ():
            uri = value.get("@id") if isinstance(value, dict) else value
            if isinstance(uri, str) and not key.startswith("@"):
                out.add((key, uri))
    return out
