"""No organisation reads what is not its own, whatever SQL it sends; hashes give nothing away."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
import psycopg
import pytest

from stafett.ledger import Author, Draft, Ledger, Submission
from stafett.ledger.canonical import canonical
from stafett.ledger.leaf import leaf_hash

SECRET = "CD19-specific secret of the maker"
# Whatever they are, they end in an error or without the maker's secret.
QUERIES = (
    "SELECT * FROM ledger.event",
    "TABLE ledger.event",
    "SELECT leaf FROM ledger.event_store",
    "SELECT e.* FROM ledger.event e JOIN ledger.event f USING (recorded_at)",
    "SELECT string_agg(encode(leaf, 'escape'), ' ') FROM ledger.event",
    "SELECT * FROM ledger.event WHERE 'hospital' <> ALL (audience)",
    "SELECT * FROM ledger.event WHERE position = 2 OR true",
    "WITH RECURSIVE r AS (SELECT leaf FROM ledger.event UNION SELECT leaf FROM r) TABLE r",
    "SELECT (SELECT leaf FROM ledger.event WHERE position = 2)",
    "SELECT set_config('stafett.organisation', 'maker', false), leaf FROM ledger.event",
    "SET stafett.organisation = 'maker'; SELECT * FROM ledger.event",
    "SET ROLE stafett_append; SELECT leaf FROM ledger.event_store",
    "RESET ROLE; SELECT leaf FROM ledger.event_store",
    "SET row_security = off; SELECT * FROM ledger.event",
    "SELECT * FROM ledger.submission",
    "SELECT * FROM ledger.head",
    "SELECT * FROM pg_stats WHERE schemaname = 'ledger' AND tablename LIKE 'event%'",
    "SELECT * FROM vault.patient",
    "SELECT * FROM service.document",
    "SELECT * FROM service.person",
    "CREATE VIEW pg_temp.v AS SELECT * FROM ledger.event; SELECT * FROM pg_temp.v",
    "CREATE FUNCTION pg_temp.leak(bytea) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
    " $$BEGIN RAISE NOTICE '%', encode($1, 'escape'); RETURN true; END$$;"
    " SELECT position FROM ledger.event WHERE pg_temp.leak(leaf)",
    "DO $$DECLARE x record; BEGIN FOR x IN SELECT * FROM ledger.event LOOP"
    " RAISE NOTICE '%', encode(x.leaf, 'escape'); END LOOP; END$$",
    "DELETE FROM ledger.event RETURNING *",
    "UPDATE ledger.event SET audience = '{hospital}' RETURNING *",
    "INSERT INTO ledger.event SELECT * FROM ledger.event RETURNING *",
    "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM ledger.event WHERE position = 2",
    "LOCK ledger.event_store",
    "ALTER POLICY audience_reads ON ledger.event USING (true)",
    "SELECT pg_read_file('postgresql.conf')",
)


def submission(organisation: str, key: str) -> Submission:
    """Return an event that only `organisation` may read."""
    words = SECRET if organisation == "maker" else "what the hospital may read"
    draft = Draft("noted", {"words": words}, datetime(2026, 11, 25, tzinfo=UTC))
    return Submission(f"j-{organisation}", None, [draft], [organisation], Author("x"), key, b"h")


@pytest.fixture
async def filled(database: str, anyio_backend: str) -> str:
    """A database with an event of the hospital and one of the maker."""
    async with Ledger(database) as ledger:
        await ledger.append(submission("hospital", "k-1"))
        await ledger.append(submission("maker", "k-2"))
    return database


@pytest.fixture
def login(filled: str) -> str:
    """The hospital's own login on that database; roles belong to the whole server and stay."""
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("ANALYZE ledger.event_store")
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            connection.execute("CREATE ROLE stafett_org_hospital LOGIN IN ROLE stafett_read")
    return "stafett_org_hospital"


def answers(url: str, begin: list[str], query: str) -> str:
    """Return everything that a query lets through: rows, notices, the error."""
    seen: list[Any] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: seen.append(notice.message_primary))
        for statement in begin:
            connection.execute(statement.encode())
        try:
            cursor = connection.execute(query.encode())
            while True:
                if cursor.description:
                    seen += [
                        bytes(v) if isinstance(v, memoryview) else v
                        for row in cursor.fetchall() for v in row
                    ]  # fmt: skip
                if not cursor.nextset():
                    break
        except psycopg.Error as error:
            seen.append(str(error))
    return repr(seen)


@pytest.mark.anyio
@pytest.mark.parametrize("query", QUERIES)
async def test_an_organisations_own_login(filled: str, login: str, query: str) -> None:
    """Connected as themselves, with SQL of their own: nothing of another's comes out."""
    # What logging in as the role gives, on a server that lets only its superuser in.
    said = answers(filled, [f"SET SESSION AUTHORIZATION {login}"], query)
    assert SECRET not in said, said


@pytest.mark.anyio
async def test_the_own_events_are_read_by_the_own_login(filled: str, login: str) -> None:
    """The login sees what is its organisation's: the test above is not about an empty table."""
    said = answers(filled, [f"SET SESSION AUTHORIZATION {login}"], QUERIES[0])
    assert "what the hospital may read" in said and SECRET not in said
    everything = answers(filled, ["SET ROLE stafett_append"], QUERIES[0])
    assert SECRET in everything


@pytest.mark.anyio
async def test_hashes_outside_the_audience_cannot_be_guessed(filled: str) -> None:
    """Who knows every word of an event still cannot show that it is the one behind a hash."""
    with psycopg.connect(filled) as connection:
        rows = connection.execute("SELECT leaf, leaf_hash FROM ledger.event_store").fetchall()
    salts = set()
    for raw, hashed in rows:
        leaf = msgspec.json.decode(raw)
        assert leaf_hash(raw) == hashed
        salt = leaf.pop("salt")
        salts.add(salt)
        assert len(bytes.fromhex(salt)) == 16
        for guess in (canonical(leaf), canonical({**leaf, "salt": ""}), canonical(leaf["body"])):
            assert sha256(b"\x00" + guess).digest() != hashed
    assert len(salts) == len(rows)


@pytest.mark.anyio
async def test_the_same_event_twice_has_two_hashes(ledger: Ledger) -> None:
    """Equal content never shows as equal hashes."""
    for key in ("a", "b"):
        await ledger.append(submission("maker", key))
    first, second = await ledger.read(0)
    assert first.leaf_hash != second.leaf_hash
