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
    "COPY (SELECT leaf FROM ledger.event) TO PROGRAM 'cat 1>&2'",
    "DECLARE c CURSOR WITH HOLD FOR SELECT leaf FROM ledger.event; FETCH ALL FROM c",
    "SELECT query FROM pg_stat_activity",
    "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats",
    "SELECT * FROM pg_statistic",
    # Names that mean something else to whoever made them.
    "CREATE DOMAIN pg_temp.text AS char(1); SET stafett.organisation = 'maker';"
    " SELECT leaf FROM ledger.event",
    "CREATE FUNCTION hospital.starts_with(text, text) RETURNS boolean LANGUAGE sql AS"
    " 'SELECT false'; SET search_path = hospital, pg_catalog; SET stafett.organisation = 'maker';"
    " SELECT leaf FROM ledger.event",
    "CREATE FUNCTION hospital.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
    " CREATE OPERATOR hospital.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hospital.same);"
    " SET search_path = hospital, pg_catalog; SELECT leaf FROM ledger.event",
    # What else an organisation's login may read.
    *(
        f"SET stafett.organisation = 'maker'; SELECT * FROM {table}"
        for table in (
            "watch.travel", "watch.chunk", "service.own_network",
            "service.own_network_withdrawn", "exchange.fhir_journey", "exchange.fhir_resource",
        )
    ),
    "SET stafett.organisation = 'maker'; SELECT organisation, number, model FROM watch.logger",
)  # fmt: skip
# The maker's: a logger on its way, what it said, a network that is withdrawn, a resource.
ELSEWHERE = """
INSERT INTO service.organisation VALUES ('maker', 'Maker', 'x', 'SE', 'Europe/Stockholm');
INSERT INTO watch.logger (organisation, number, key_hash, model, registered_by)
  VALUES ('maker', 'L1', 'x', %(secret)s, 'x');
INSERT INTO watch.travel VALUES ('maker', 'L1', 'j', %(secret)s, now(), NULL, '{maker}');
INSERT INTO watch.chunk (day, organisation, number, sequence, sha256, earliest, latest, arrived_at,
                         readings, way, payload)
  VALUES (current_date, 'maker', 'L1', 1, 'x', now(), now(), now(), 1, 'http',
          convert_to(%(secret)s, 'UTF8'));
INSERT INTO service.own_network (organisation, name, version, title, protocol, content, reason,
                                 person, person_name)
  VALUES ('maker', 'own', 1, %(secret)s, 'x', 'x', 'x', 'x', 'x');
INSERT INTO service.own_network_withdrawn (organisation, name, version, reason, person, person_name)
  VALUES ('maker', 'own', 1, %(secret)s, 'x', 'x');
"""


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
    with psycopg.connect(database) as connection:
        psycopg.ClientCursor(connection).execute(ELSEWHERE, {"secret": SECRET})
    return database


@pytest.fixture
def login(filled: str) -> str:
    """The hospital's own login on that database; roles belong to the whole server and stay."""
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("ANALYZE ledger.event_store")
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            connection.execute("CREATE ROLE stafett_org_hospital LOGIN IN ROLE stafett_read")
        # As an administrator may give it, for its reports' own views.
        connection.execute("CREATE SCHEMA hospital AUTHORIZATION stafett_org_hospital")
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
@pytest.mark.parametrize("what", ["ledger.event", "(TABLE ledger.event)", "ledger.event_store"])
async def test_a_copy_has_what_a_query_has(filled: str, login: str, what: str) -> None:
    """COPY asks the same policies, or is refused."""
    seen = b""
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {login}".encode())
        with (
            contextlib.suppress(psycopg.Error),
            connection.cursor().copy(f"COPY {what} TO STDOUT".encode()) as copy,
        ):
            seen = b"".join(bytes(block) for block in copy)
    assert SECRET.encode().hex().encode() not in seen


@pytest.mark.anyio
async def test_what_a_login_may_read_asks_who_is_connected(filled: str) -> None:
    """No table is open to readers without a policy; no policy believes what a session has set."""
    with psycopg.connect(filled) as connection:
        open_ = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relrowsecurity"
            " AND n.nspname !~ '^(pg_|information_schema)'"
            " AND has_any_column_privilege('stafett_read', c.oid, 'SELECT') ORDER BY 1"
        ).fetchall()
        words = connection.execute(
            "SELECT tablename, qual FROM pg_policies WHERE 'stafett_read' = ANY (roles)"
        ).fetchall()
    assert [name for (name,) in open_] == ["ledger.checkpoint", "ledger.cosignature", "ledger.node"]
    assert len(words) > 5
    assert not [table for table, qual in words if "current_setting" in qual]


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
