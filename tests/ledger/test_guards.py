"""What the database itself refuses, whoever asks."""

from __future__ import annotations

import psycopg
import pytest

pytestmark = pytest.mark.anyio

TABLES = ("ledger.event", "ledger.event_store", "ledger.submission")


@pytest.mark.parametrize("table", TABLES)
async def test_no_one_rewrites_history(database, ledger, submission, table):
    """UPDATE, DELETE and TRUNCATE are refused to the runtime roles and to the owner."""
    await ledger.append(submission())
    for role in ("stafett", "stafett_append", "stafett_read"):
        for change in ("UPDATE {} SET {} = 1", "DELETE FROM {}", "TRUNCATE {}"):
            column = "count" if table == "ledger.submission" else "version"
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(f"SET ROLE {role}")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(change.format(table, column))


async def test_replica_mode_does_not_switch_the_guards_off(database, ledger, submission):
    """The guards hold also where ordinary triggers are silent."""
    await ledger.append(submission())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM ledger.event")


@pytest.mark.parametrize("change", ["size = size - 1", "epoch = epoch - 1", "size = size + 1"])
async def test_the_head_only_moves_forward_and_without_gaps(database, ledger, submission, change):
    """The head can't go back, nor beyond the events that are there."""
    await ledger.append(submission())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET ROLE stafett_append")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(f"UPDATE ledger.head SET {change}")


async def test_a_leaf_with_another_hash_is_refused(database, ledger, submission):
    """The database checks each leaf hash against the bytes."""
    await ledger.append(submission())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET ROLE stafett_append")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(
                "INSERT INTO ledger.event_store SELECT 2, occurred_at, recorded_at, 2, stream,"
                " kind, organisation, person, audience, leaf_hash, leaf || 'x'"
                " FROM ledger.event_store"
            )


async def test_an_organisation_reads_what_names_it(ledger, submission):
    """Reading for an organisation gives the events whose audience holds it, and no others."""
    await ledger.append(submission("a", audience=("hospital", "maker")))
    await ledger.append(submission("b", audience=("hospital",)))
    await ledger.append(submission("a", audience=("maker", "courier")))
    seen = {
        who: [e.position for e in await ledger.read(0, organisation=who)]
        for who in ("hospital", "maker", "courier", "stranger", "", "hosp")
    }
    assert seen == {
        "hospital": [1, 2],
        "maker": [1, 3],
        "courier": [3],
        "stranger": [],
        "": [],
        "hosp": [],
    }
    assert [e.version for e in await ledger.stream("a", organisation="courier")] == [2]


async def test_a_follower_sees_only_its_audience(ledger, submission):
    """A restricted follower skips what it may not read, and goes on."""
    feed = ledger.follow(0, limit=2, organisation="courier")
    for n in range(9):
        await ledger.append(submission(audience=("courier",) if n % 4 == 0 else ("maker",)))
    seen: list[int] = []
    async for batch in feed:
        seen += [e.position for e in batch]
        if len(seen) == 3:
            break
    assert seen == [1, 5, 9]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT position FROM ledger.event",
        "SELECT position FROM ledger.event WHERE true OR audience @> '{maker}'",
        "SELECT a.position FROM ledger.event a, ledger.event b",
        "SELECT count(*) FROM ledger.event HAVING count(*) > 0",
    ],
)
@pytest.mark.parametrize("who", [None, "", "stranger"])
async def test_the_restricted_role_sees_nothing_whatever_the_query(
    database, ledger, submission, query, who
):
    """Row-level security holds for every query; who names no organisation sees nothing."""
    await ledger.append(submission(audience=("maker",)))
    with psycopg.connect(database) as connection:
        connection.execute("SET LOCAL ROLE stafett_read")
        if who is not None:
            connection.execute("SELECT set_config('stafett.organisation', %s, true)", [who])
        assert connection.execute(query).fetchall() == []


@pytest.mark.parametrize("table", ["event_store", "submission", "head"])
async def test_the_restricted_role_has_no_way_around(database, table):
    """The tables without row-level security are closed to the restricted role."""
    with psycopg.connect(database) as connection:
        connection.execute("SET LOCAL ROLE stafett_read")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT * FROM ledger.{table}")
