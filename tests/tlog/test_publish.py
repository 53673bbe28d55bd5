"""The log's side: publishing to witnesses, receipts, and the record over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool
from starlette.testclient import TestClient

from stafett.ledger import Author, Draft, KeyReused, Ledger, Submission, checkpoint, proof
from stafett.ledger.author import Signer
from stafett.ledger.keeping import KeepingFailed
from stafett.ledger.merkle import leaf_hash
from stafett.ledger.mirror import Mirror
from stafett.ledger.note import NoteSigner
from stafett.ledger.policy import Policy, parse_policy
from stafett.ledger.publish import NotYet, Publisher
from stafett.ledger.refill import refill
from stafett.ledger.server import Server
from stafett.ledger.source import Http
from stafett.ledger.tiles import decode_bundle
from stafett.ledger.tlog_app import tlog_app
from stafett.ledger.verify import verify
from stafett.ledger.witness import Request
from stafett.ledger.witness_app import Witness, witness_app
from stafett.ledger.witness_client import RolledBack
from stafett.ledger.witness_store import WitnessFolder

pytestmark = pytest.mark.anyio

SIGNER = NoteSigner("host.example/log", b"\x01" * 32)
NAMES = ("north", "south", "west")


class Network:
    """Three organisations with a witness each; some may be away."""

    def __init__(self, folder: Path) -> None:
        self.away: set[str] = set()
        lines = [f"log {SIGNER.vkey}"]
        self.clients = {}
        for name in NAMES:
            made = WitnessFolder.create(folder / name, f"{name}.example/w")
            made.trust(SIGNER.vkey)
            self.clients[name] = TestClient(witness_app(Witness(made)))
            lines.append(f"witness {name} {made.cosigner().vkey} https://{name}.example/")
        own = WitnessFolder.create(folder / "own", "host.example/w").cosigner().vkey
        lines += [f"witness own {own}", f"group g 2 {' '.join(NAMES)}", "quorum g", ""]
        self.policy: Policy = parse_policy("\n".join(lines))

    def post(self, url: str, body: str) -> tuple[int, str]:
        """Reach a witness, unless it is away."""
        name = url.split("/")[2].split(".")[0]
        if name in self.away:
            raise httpx.ConnectError("no route")
        answer = self.clients[name].post("/add-checkpoint", content=body.encode())
        return answer.status_code, answer.text


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """Three witnesses that trust the log."""
    return Network(tmp_path / "network")


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    """Connections that may append, as the service has them."""

    async def configure(connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute("SET ROLE stafett_append")

    kwargs = {"autocommit": True}
    async with AsyncConnectionPool(
        database, min_size=1, max_size=3, open=False, configure=configure, kwargs=kwargs
    ) as opened:
        yield opened


Append = Callable[[int], Any]


@pytest.fixture
async def append(database: str) -> AsyncIterator[Append]:
    """Append that many events."""
    async with Ledger(database) as ledger:

        async def more(count: int) -> None:
            size = await ledger.size()
            draft = Draft("noted", {"n": 1}, datetime(2026, 11, 23, tzinfo=UTC))
            key = f"{size}+{count}"
            await ledger.append(
                Submission(
                    stream="s", expected_version=None, drafts=[draft] * count,
                    audience=("a",), author=Author("a", None), key=key,
                    request_hash=sha256(key.encode()).digest(),
                )
            )  # fmt: skip

        yield more


async def test_a_round_reaches_a_quorum(
    pool: AsyncConnectionPool[Any], append: Append, network: Network
) -> None:
    """All three cosign; a second round has nobody to ask; growth is cosigned again."""
    publisher = Publisher(pool, SIGNER, network.policy, network.post)
    await append(5)
    first = await publisher.publish()
    assert first.verdict.quorum and set(first.verdict.cosigned) == set(NAMES)
    assert first.verdict.checkpoint.size == 5
    assert (await publisher.publish()).outcomes == ()
    await append(300)
    second = await publisher.publish()
    assert second.verdict.quorum and second.verdict.checkpoint.size == 305


async def test_appending_goes_on_while_witnesses_are_away(
    pool: AsyncConnectionPool[Any], append: Append, network: Network
) -> None:
    """Without a quorum the checkpoint says who is missing; it is made up for later."""
    publisher = Publisher(pool, SIGNER, network.policy, network.post)
    network.away = {"north", "south"}
    await append(3)
    alone = await publisher.publish()
    assert not alone.verdict.quorum and alone.verdict.missing == ("north", "south")
    assert {o.witness for o in alone.outcomes if "no route" in o.why} == {"north", "south"}
    await append(4)
    network.away = {"west"}
    later = await publisher.publish()
    assert later.verdict.quorum and later.verdict.checkpoint.size == 7
    network.away = set()
    assert set((await publisher.publish()).verdict.cosigned) == set(NAMES)


async def test_a_rolled_back_store_stops_the_log(
    pool: AsyncConnectionPool[Any], append: Append, network: Network
) -> None:
    """A witness that remembers more than the store has: nothing more is published."""
    await append(3)
    publisher = Publisher(pool, SIGNER, network.policy, network.post)
    ahead = network.clients["south"]
    # The witness cosigned seven entries of this log before its database was restored to three.
    head = checkpoint.Checkpoint(SIGNER.name, 7, leaf_hash(b"lost"))
    lost = Request(0, (), checkpoint.sign(head, SIGNER).text).text
    assert ahead.post("/add-checkpoint", content=lost.encode()).status_code == 200
    with pytest.raises(RolledBack, match="7 entries, we hold 3"):
        await publisher.publish()


async def test_receipt_proves_an_event_to_a_stranger(
    pool: AsyncConnectionPool[Any], append: Append, network: Network, database: str
) -> None:
    """The receipt of an event verifies offline under the policy; an unsigned one has none yet."""
    publisher = Publisher(pool, SIGNER, network.policy, network.post)
    await append(20)
    with pytest.raises(NotYet):
        await publisher.receipt(7)
    await publisher.publish()
    receipt = proof.parse((await publisher.receipt(7)).text)
    async with Ledger(database) as ledger:
        event = (await ledger.read(6, 1))[0]
    async with pool.connection() as connection:
        query = "SELECT leaf FROM ledger.event_store WHERE position = 7"
        entry = bytes((await (await connection.execute(query)).fetchone())[0])  # type: ignore[index]
    assert leaf_hash(entry) == event.leaf_hash
    assert proof.verify(receipt, entry, network.policy).quorum
    with pytest.raises(NotYet):
        await publisher.receipt(21)


async def test_policy_must_name_the_log(pool: AsyncConnectionPool[Any], network: Network) -> None:
    """A policy for another log is refused at once."""
    with pytest.raises(ValueError, match="does not list this log"):
        Publisher(pool, NoteSigner("x.example", b"\x02" * 32), network.policy)


class OverAsgi:
    """A source that reads the application without a network."""

    def __init__(self, app: Any) -> None:
        self._source = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://log.example"
        )

    async def get(self, path: str) -> httpx.Response:
        """Fetch."""
        return await self._source.get(path)


async def test_the_record_over_http(
    pool: AsyncConnectionPool[Any], append: Append, network: Network
) -> None:
    """Only what is signed is served, full tiles for ever, entries to mirrors only."""
    reader = OverAsgi(tlog_app(pool, SIGNER, lambda: network.policy))
    assert (await reader.get("/checkpoint")).status_code == 404
    await append(300)
    assert (await reader.get("/tile/0/000")).status_code == 404
    await Publisher(pool, SIGNER, network.policy, network.post).publish()
    answer = await reader.get("/checkpoint")
    assert network.policy.judge(answer.content).quorum
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    full = await reader.get("/tile/0/000")
    assert len(full.content) == 8192 and "immutable" in full.headers["cache-control"]
    assert len((await reader.get("/tile/0/001.p/44")).content) == 44 * 32
    assert len((await reader.get("/tile/1/000.p/1")).content) == 32
    for path in ("0/001.p/45", "0/001.p/0", "0/001", "2/000.p/1", "0/1", "x"):
        missing = await reader.get(f"/tile/{path}")
        assert missing.status_code == 404, path
        assert missing.headers["cache-control"] == "no-store"  # a tile that is to come
    assert (await reader.get("/tile/entries/000")).status_code == 403
    trusted = OverAsgi(tlog_app(pool, SIGNER, lambda: network.policy, lambda request: True))
    bundle = await trusted.get("/tile/entries/001.p/44")
    assert len(decode_bundle(bundle.content, 44)) == 44
    assert "private" in bundle.headers["cache-control"]


async def mirrored(pool: AsyncConnectionPool[Any], network: Network, folder: Path) -> Mirror:
    """Have a record of 300 events cosigned, and pulled over HTTP into `folder`."""
    app = tlog_app(pool, SIGNER, lambda: network.policy, lambda request: True)
    reader = OverAsgi(app)
    await Publisher(pool, SIGNER, network.policy, network.post).publish()
    paths = ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/entries/000",
             "tile/entries/001.p/44"]  # fmt: skip
    served = {p: (await reader.get("/" + p)).content for p in paths}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=served[request.url.path.removeprefix("/log/")])

    client = httpx.Client(transport=httpx.MockTransport(answer))
    mirror = Mirror(folder, network.policy)
    assert mirror.pull(Http("https://host.example/log/", client)).after == 300
    return mirror


async def test_a_mirror_pulls_over_http_and_is_sound(
    pool: AsyncConnectionPool[Any], append: Append, network: Network, tmp_path: Path
) -> None:
    """From the database, over HTTP, into another organisation's folder, audited there."""
    await append(300)
    mirror = await mirrored(pool, network, tmp_path / "copy")
    assert verify(mirror.source, policy=network.policy).sound


@pytest.fixture
def empty(postgres: Server) -> Iterator[str]:
    """Give the address of a second migrated database with nothing in it."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE refilled TEMPLATE template_stafett")
        yield postgres.url_of("refilled")
        connection.execute("DROP DATABASE refilled WITH (FORCE)")


async def test_the_log_is_restored_from_a_mirror_and_goes_on(
    pool: AsyncConnectionPool[Any], append: Append, network: Network, tmp_path: Path, empty: str
) -> None:
    """The host lost everything: from the mirror it goes on, and its witnesses find it continued."""
    await append(300)
    mirror = await mirrored(pool, network, tmp_path / "copy")
    kept = await asyncio.to_thread(refill, mirror.source, empty, policy=network.policy)
    assert kept.size == 300
    async with Ledger(empty) as ledger:
        assert [e.position for e in await ledger.read(0)] == list(range(1, 301))
        draft = Draft("noted", {"n": 2}, datetime(2026, 11, 26, tzinfo=UTC))
        receipt = await ledger.append(
            Submission("s", 300, [draft], ("a",), Author("a", None), "new", b"")
        )
        assert receipt.first_position == 301
        published = await Publisher(ledger.pool, SIGNER, network.policy, network.post).publish()
    assert published.verdict.quorum and published.verdict.checkpoint.size == 301


async def test_what_authors_signed_is_not_recorded_twice_after_that(
    database: str, pool: AsyncConnectionPool[Any], network: Network, tmp_path: Path, empty: str
) -> None:
    """A client that sends again what the mirror brought back is refused."""
    signer = Signer("a", b"\x07" * 32)
    draft = Draft("noted", {"n": 1}, datetime(2026, 11, 26, tzinfo=UTC))
    plain = Submission("s", None, [draft] * 299, ("a",), Author("a", None), "k", b"r")
    signed = signer.sign(plain)
    async with Ledger(database) as ledger:
        await ledger.append(signer.registration())
        await ledger.append(signed)
    mirror = await mirrored(pool, network, tmp_path / "copy")
    await asyncio.to_thread(refill, mirror.source, empty, policy=network.policy)
    async with Ledger(empty) as ledger:
        known = await ledger.outcome_of("k")
        assert known is not None and known.positions == range(2, 301)
        with pytest.raises(KeyReused):
            await ledger.append(signed)
        assert await ledger.size() == 300


async def test_no_ledger_is_refilled_from_a_copy_that_is_not_sound_or_over_another(
    pool: AsyncConnectionPool[Any], append: Append, network: Network, tmp_path: Path,
    empty: str, database: str,
) -> None:  # fmt: skip
    """A changed entry, or a ledger that holds something: nothing is written."""
    await append(300)
    mirror = await mirrored(pool, network, tmp_path / "copy")
    with pytest.raises(KeepingFailed, match="must be empty"):
        await asyncio.to_thread(refill, mirror.source, database, policy=network.policy)
    bundle = tmp_path / "copy/tile/entries/000"
    bundle.write_bytes(bundle.read_bytes().replace(b'"n":1', b'"n":2', 1))
    with pytest.raises(KeepingFailed, match=r"not sound: .*position 1"):
        await asyncio.to_thread(refill, mirror.source, empty, policy=network.policy)
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT count(*) FROM ledger.event").fetchone() == (0,)
