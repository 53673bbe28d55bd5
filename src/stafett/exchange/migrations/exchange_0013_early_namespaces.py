"""Which namespaces were captured before an event's token said by itself what it names.

Since then an identifier in an extension is found whatever its namespace (`named=`). Events from
before are found by the namespaces that there were then, and by no later one.
"""

import hashlib
import uuid

import sqlalchemy as sa
from alembic import op

revision = "exchange_0013"
down_revision = "exchange_0012"
branch_labels = None
depends_on = None


# As `epcis_facts` had them when this was written.
FIELDS = ("coi", "chainOfIdentity", "chainOfIdentityIdentifier", "din", "donationId",
          "donationIdentificationNumber")  # fmt: skip
AT_ONCE = 5_000


def upgrade() -> None:
    """Mark the namespaces under which an event names something; most are only declared."""
    op.execute("ALTER TABLE exchange.namespace ADD COLUMN early boolean NOT NULL DEFAULT false")
    connection = op.get_bind()
    uris = list(
        connection.execute(sa.text("SELECT DISTINCT uri FROM exchange.namespace")).scalars()
    )
    keys = {_key(uri, field): uri for uri in uris for field in FIELDS}
    for first in range(0, len(keys), AT_ONCE):
        used = connection.execute(
            sa.text(
                "SELECT key FROM unnest(cast(:keys AS uuid[])) AS key WHERE EXISTS"
                " (SELECT FROM exchange.epcis_event WHERE keys @> ARRAY[key])"
            ),
            {"keys": list(keys)[first : first + AT_ONCE]},
        ).scalars()
        connection.execute(
            sa.text("UPDATE exchange.namespace SET early = true WHERE uri = ANY(:uris)"),
            {"uris": sorted({keys[key] for key in used})},
        )


def _key(uri: str, field: str) -> uuid.UUID:
    token = f":{{{uri}}}{field}"
    return uuid.UUID(bytes=hashlib.blake2b(token.encode(), digest_size=16).digest())
