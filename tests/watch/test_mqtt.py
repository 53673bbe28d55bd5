"""Readings over a real broker: restarts, kills, two servers; nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import Ledger
from stafett.ledger.schema import migrate
from stafett.ledger.server import Server
from stafett.service import mqtt
from stafett.service.accounts import Accounts, Organisation, Person
from stafett.service.intake import Intake
from stafett.service.loggers import Id, Loggers, seal, topic
from stafett.service.mqtt import Subscriber, broker_files
from stafett.service.storing import digest_of
from stafett.service.tower import _as_service
from stafett.watch.reading import encode

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="Mosquitto is not installed"),
]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop that the server runs on."""
    return "asyncio", {"use_uvloop": True}


PERSON = Person("p", "p", "P", "courier")


class Broker:
    """A Mosquitto of this test's own, with credentials and a store."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"mqtt://service:secret@127.0.0.1:{self.port}"

    def write(self, passwords: list[str]) -> None:
        """Write its files."""
        service = f"service:{seal('secret')}"
        for name, text in broker_files(passwords, service, self.port, str(self.folder)).items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600)
        if os.geteuid() == 0:  # said twice, it would be an error
            with (self.folder / "mosquitto.conf").open("a") as file:
                file.write("user root\n")

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = ["mosquitto", "-c", str(self.folder / "mosquitto.conf")]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert time.monotonic() < until, "the broker did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in good order: it saves what it holds."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Give a broker that is not started yet."""
    folder = tmp_path / "broker"
    folder.mkdir()
    made = Broker(folder)
    yield made
    made.stop()


class Place:
    """An intake over a database, as one server process has it."""

    def __init__(self, url: str, broker: str, **allowance: float) -> None:
        self.url = url
        self.pool: Any = AsyncConnectionPool(
            url, open=False, configure=_as_service, check=AsyncConnectionPool.check_connection,
            timeout=5,
        )  # fmt: skip
        self.ledger = Ledger(url, patience_s=5)
        self.loggers = Loggers(self.pool)
        self.intake = Intake(self.pool, self.ledger, self.loggers, **allowance)
        self.subscriber = Subscriber(url, broker, self.intake)

    async def __aenter__(self) -> Place:
        await self.pool.open(wait=True)
        await self.ledger.open()
        await self.intake.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.subscriber.close()
        await self.intake.close()
        await self.ledger.close()
        await self.pool.close()

    async def register(self, number: str) -> tuple[Id, str]:
        """Register a logger; return it and its key."""
        await Accounts(self.pool, cheap=True).add_organisation(
            Organisation("courier", "Courier", "courier")
        )
        made = await self.loggers.register(PERSON, number, "", None, renew=True)
        assert made.key is not None
        return Id("courier", number), made.key


@contextlib.asynccontextmanager
async def device(broker: Broker, id: Id, key: str) -> AsyncIterator[aiomqtt.Client]:
    """Connect as a logger."""
    async with aiomqtt.Client("127.0.0.1", broker.port, username=id.user, password=key) as client:
        yield client


def chunk(n: int) -> bytes:
    """Return chunk `n` of ten readings."""
    return encode(n, 1.77e9 + 600 * n, 60.0, {"temperature_c": np.full(10, -150.0 + n % 9)})


async def send(client: aiomqtt.Client, id: Id, numbers: Iterable[int]) -> None:
    """Publish these chunks together; the broker has all of them afterwards."""
    client.pending_calls_threshold = 1000
    await asyncio.gather(*(client.publish(topic(id), chunk(n), qos=1, timeout=60) for n in numbers))


def stored(url: str) -> tuple[list[int], int]:
    """Return the sequence numbers of the rows, and how many chunks the leaves tell of."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT sequence FROM watch.chunk ORDER BY 1").fetchall()
    return [row[0] for row in rows], sum(len(chunks_of(one)) for one in leaves(url))


def leaves(url: str) -> list[dict[str, Any]]:
    """Return what the record says of readings, in its order."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT leaf FROM ledger.event_store WHERE kind = 'ReadingsStored' ORDER BY position"
        ).fetchall()
    return [json.loads(row[0])["body"]["readings"] for row in found]


def chunks_of(leaf: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sequence number and digest of each chunk that a leaf is about."""
    return list(leaf.get("chunks") or [{k: leaf[k] for k in ("sequence", "sha256")}])


async def wait_for(what: Any, seconds: float = 30) -> None:
    """Wait until `what()` is true; in a thread, since it may wait for a lock of this loop's own."""
    until = time.monotonic() + seconds
    while not await asyncio.to_thread(what):
        assert time.monotonic() < until, "it never happened"
        await asyncio.sleep(0.05)


async def test_a_logger_is_told_what_is_kept_and_writes_only_its_own_topic(
    database: str, broker: Broker
) -> None:
    """Its answers come after the leaf; another's topic and a wrong key do nothing."""
    async with Place(database, broker.url) as place:
        (one, key), (other, _) = await place.register("ONE"), await place.register("OTHER")
        broker.write(await place.loggers.passwords())
        broker.start()
        await place.subscriber.start()
        await asyncio.wait_for(place.subscriber.listening.wait(), 30)

        async def with_a_wrong_key() -> None:
            with pytest.raises(aiomqtt.MqttError):
                async with device(broker, one, "wrong"):
                    pass

        async def where_it_may_not() -> None:
            # Mosquitto 2.0 ends the connection of a client that writes where it may not.
            with contextlib.suppress(aiomqtt.MqttError):
                async with device(broker, one, key) as client:
                    await client.publish(topic(other), chunk(1), qos=1)

        for refused in (with_a_wrong_key, where_it_may_not):
            # In a loop of its own: what the library leaves behind of a cut connection dies with it.
            await asyncio.to_thread(lambda run=refused: asyncio.run(run()))
        async with device(broker, one, key) as client:
            await client.subscribe(topic(one, "answers"), qos=1)
            await client.publish(topic(one), b"junk", qos=1)
            await client.publish(topic(one), chunk(2), qos=1)
            told = [
                bytes((await asyncio.wait_for(anext(client.messages), 30)).payload)
                for _ in range(2)
            ]
        assert any(b'"kept":false' in t for t in told)
        assert any(t == b'{"kept":true,"sequence":2}' for t in told)
        assert stored(database) == ([2], 1)


async def test_a_broker_that_restarts_loses_nothing(database: str, broker: Broker) -> None:
    """Chunks sent while nobody listened, and a restart in between, are all there once."""
    async with Place(database, broker.url) as place:
        one, key = await place.register("ONE")
        broker.write(await place.loggers.passwords())
        broker.start()
        await place.subscriber.start()
        await asyncio.wait_for(place.subscriber.listening.wait(), 30)
        async with device(broker, one, key) as client:
            for n in range(20):
                await client.publish(topic(one), chunk(n), qos=1)
        broker.stop()
        await asyncio.sleep(0.3)
        broker.start()
        async with device(broker, one, key) as client:
            for n in range(20, 40):
                await client.publish(topic(one), chunk(n), qos=1)
        await wait_for(lambda: stored(database) == (list(range(40)), 40))


async def test_of_two_servers_one_listens_and_the_other_takes_over(
    database: str, broker: Broker
) -> None:
    """The second waits for the lock; when the first is gone it goes on with the same session."""
    async with Place(database, broker.url) as first, Place(database, broker.url) as second:
        one, key = await first.register("ONE")
        broker.write(await first.loggers.passwords())
        broker.start()
        await first.subscriber.start()
        await asyncio.wait_for(first.subscriber.listening.wait(), 30)
        await second.subscriber.start()
        async with device(broker, one, key) as client:
            for n in range(10):
                await client.publish(topic(one), chunk(n), qos=1)
            await wait_for(lambda: stored(database)[0] == list(range(10)))
            assert not second.subscriber.listening.is_set()
            await first.subscriber.close()
            for n in range(10, 20):
                await client.publish(topic(one), chunk(n), qos=1)
            await asyncio.wait_for(second.subscriber.listening.wait(), 30)
        await wait_for(lambda: stored(database) == (list(range(20)), 20))


PROGRAM = """
import asyncio, sys
from stafett.ledger import Ledger
from psycopg_pool import AsyncConnectionPool
from stafett.service.intake import Intake
from stafett.service.loggers import Loggers
from stafett.service.mqtt import Subscriber
from stafett.service.tower import _as_service

async def main(url, broker):
    async with AsyncConnectionPool(url, open=False, configure=_as_service) as pool:
        async with Ledger(url) as ledger:
            intake = Intake(pool, ledger, Loggers(pool))
            await intake.start()
            subscriber = Subscriber(url, broker, intake)
            await subscriber.start()
            await subscriber.listening.wait()
            print("listening", flush=True)
            await asyncio.sleep(120)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_server_killed_in_the_middle_of_a_batch_loses_nothing_acknowledged(
    database: str, broker: Broker
) -> None:
    """kill -9 while chunks stream in: the next server gets the rest; each is there once."""
    async with Place(database, broker.url) as place:
        one, key = await place.register("ONE")
        broker.write(await place.loggers.passwords())
        broker.start()
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, database, broker.url], stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            said = await asyncio.to_thread(process.stdout.readline)
            assert said == b"listening\n"
            async with device(broker, one, key) as client:

                async def stream() -> None:
                    for n in range(0, 200, 4):  # more comes while the server takes and dies
                        await send(client, one, range(n, n + 4))

                sending = asyncio.create_task(stream())
                await wait_for(lambda: stored(database)[0])
                process.send_signal(signal.SIGKILL)
                process.wait()
                await sending
        finally:
            process.kill()
            process.communicate()  # it is reaped, and its pipe closed
        assert 0 < len(stored(database)[0]) < 200
        await place.subscriber.start()
        await wait_for(lambda: stored(database) == (list(range(200)), 200))


async def test_a_database_that_restarts_loses_nothing(tmp_path: Path, broker: Broker) -> None:
    """Chunks that come while it is away stay with the broker, and are told `kept` afterwards."""
    folder = tmp_path / "postgres"
    with contextlib.ExitStack() as first:
        server = first.enter_context(Server(folder))
        migrate(server.url)
        async with Place(server.url, broker.url) as place:
            one, key = await place.register("ONE")
            broker.write(await place.loggers.passwords())
            broker.start()
            await place.subscriber.start()
            await asyncio.wait_for(place.subscriber.listening.wait(), 30)
            async with device(broker, one, key) as client:
                await client.subscribe(topic(one, "answers"), qos=1)
                await send(client, one, range(20))
                await wait_for(lambda: len(stored(server.url)[0]) == 20)
                await asyncio.to_thread(first.close)
                await send(client, one, range(20, 40))
                with Server(folder) as again:
                    assert again.url == server.url
                    await wait_for(lambda: stored(again.url) == (list(range(40)), 40))
                    kept: set[int] = set()
                    while len(kept) < 40:
                        answer = await asyncio.wait_for(anext(client.messages), 20)
                        told = json.loads(bytes(answer.payload))
                        assert told["kept"], told
                        kept.add(told["sequence"])
                    await place.__aexit__()


async def test_a_flood_from_one_logger_is_told_to_wait_and_another_is_served(
    database: str, broker: Broker
) -> None:
    """What is refused is told with when to try again, and is not kept; the next one's is."""
    async with Place(database, broker.url, burst=20, rate_per_s=0.001) as place:
        (one, key), (other, key_2) = await place.register("ONE"), await place.register("OTHER")
        broker.write(await place.loggers.passwords())
        broker.start()
        await place.subscriber.start()
        await asyncio.wait_for(place.subscriber.listening.wait(), 30)
        async with device(broker, one, key) as flood, device(broker, other, key_2) as quiet:
            for client, id in ((flood, one), (quiet, other)):
                await client.subscribe(topic(id, "answers"), qos=1)
            await send(flood, one, range(100))
            await quiet.publish(topic(other), chunk(1000), qos=1)
            answer = await asyncio.wait_for(anext(quiet.messages), 30)
            assert json.loads(bytes(answer.payload)) == {
                "kept": True, "sequence": 1000,
            }  # fmt: skip
            told = [
                json.loads(bytes((await asyncio.wait_for(anext(flood.messages), 30)).payload))
                for _ in range(100)
            ]
        kept = sorted(one["sequence"] for one in told if one["kept"])
        waits = [one for one in told if not one["kept"]]
        assert len(kept) == 20 and len(waits) == 80
        assert all(one["retry_after_s"] == 5 and "sequence" in one for one in waits)
        assert stored(database) == ([*kept, 1000], 21)


async def test_a_chunk_that_cannot_be_dealt_with_holds_up_no_other(
    database: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of this program's own over one chunk: it stays with the broker, the others go on."""
    monkeypatch.setattr(mqtt, "FAULT_S", 0.5)
    async with Place(database, broker.url) as place:
        one, key = await place.register("ONE")
        broker.write(await place.loggers.passwords())
        broker.start()
        check = place.intake.check
        seen: list[bytes] = []

        def faulty(id: Id, payload: bytes) -> Any:
            if payload == chunk(3) and len(seen) < 2:
                seen.append(payload)
                raise RuntimeError("a fault")
            return check(id, payload)

        monkeypatch.setattr(place.intake, "check", faulty)
        await place.subscriber.start()
        await asyncio.wait_for(place.subscriber.listening.wait(), 30)
        async with device(broker, one, key) as client:
            await send(client, one, range(10))
        await wait_for(lambda: len(stored(database)[0]) == 9)
        assert place.subscriber.listening.is_set()
        await wait_for(lambda: stored(database) == (list(range(10)), 10))


async def test_a_fault_in_what_follows_a_batch_does_not_end_the_intake(
    database: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever hears of a chunk fails once, over its whole batch: all are kept, later ones too."""
    monkeypatch.setattr(mqtt, "FAULT_S", 0.5)
    async with Place(database, broker.url) as place:
        one, key = await place.register("ONE")
        broker.write(await place.loggers.passwords())
        broker.start()
        faults: list[object] = []

        def faulty(taken: object) -> None:
            if not faults:
                faults.append(taken)
                raise RuntimeError("a fault")

        place.intake.heard = faulty
        await place.subscriber.start()
        await asyncio.wait_for(place.subscriber.listening.wait(), 30)
        async with device(broker, one, key) as client:
            await client.subscribe(topic(one, "answers"), qos=1)
            await send(client, one, range(10))
            await client.publish(topic(one), chunk(10), qos=1)
            kept: set[int] = set()
            while len(kept) < 11:
                answer = await asyncio.wait_for(anext(client.messages), 20)
                kept.add(json.loads(bytes(answer.payload))["sequence"])
        assert len(faults) == 1
        assert stored(database) == (list(range(11)), 11)


async def test_what_comes_together_is_one_leaf_that_names_each_chunk(
    database: str, broker: Broker
) -> None:
    """Single readings sent before anybody listened: fewer leaves than readings, each one named."""
    async with Place(database, broker.url) as place:
        one, key = await place.register("ONE")
        other, key_2 = await place.register("OTHER")
        broker.write(await place.loggers.passwords())
        broker.start()
        await place.subscriber.start()
        await asyncio.wait_for(place.subscriber.listening.wait(), 30)
        await place.subscriber.close()
        for id, secret in ((one, key), (other, key_2)):
            async with device(broker, id, secret) as client:
                await send(client, id, range(50))
        again = Subscriber(database, broker.url, place.intake)
        await again.start()
        await wait_for(lambda: len(stored(database)[0]) == 100)
        await wait_for(lambda: stored(database)[1] == 100)
        await again.close()
    found = leaves(database)
    assert len(found) < 20
    for id in (one, other):
        mine = [leaf for leaf in found if leaf["logger"] == id.number]
        told = [c for leaf in mine for c in chunks_of(leaf)]
        expected = {n: hashlib.sha256(chunk(n)).hexdigest() for n in range(50)}
        assert {c["sequence"]: c["sha256"] for c in told} == expected and len(told) == 50
        for leaf in mine:
            shas = [bytes.fromhex(c["sha256"]) for c in chunks_of(leaf)]
            assert leaf["sha256"] == digest_of(shas).hex()
            assert leaf["readings"] == 10 * len(shas)


async def test_a_chunk_that_the_database_refuses_costs_its_batch_nothing(
    database: str, broker: Broker
) -> None:
    """One of forty cannot be stored: it is told so, for good; thirty-nine are kept at once."""
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE watch.chunk ADD CHECK (sequence <> 13)")
    async with Place(database, broker.url) as place:
        one, key = await place.register("ONE")
        broker.write(await place.loggers.passwords())
        broker.start()
        await place.subscriber.start()
        await asyncio.wait_for(place.subscriber.listening.wait(), 30)
        async with device(broker, one, key) as client:
            await client.subscribe(topic(one, "answers"), qos=1)
            await send(client, one, range(40))
            kept: set[int] = set()
            refused: list[dict[str, Any]] = []
            while len(kept) + len(refused) < 40:
                answer = await asyncio.wait_for(anext(client.messages), 30)
                told = json.loads(bytes(answer.payload))
                if told["kept"]:
                    kept.add(told["sequence"])
                else:
                    refused.append(told)
        assert [one["sequence"] for one in refused] == [13] and "retry_after_s" not in refused[0]
        assert kept == set(range(40)) - {13}
        assert stored(database) == (sorted(kept), 39)


async def test_the_next_rows_are_written_while_the_last_leaves_wait_and_nobody_is_told_before(
    database: str, broker: Broker
) -> None:
    """The record is held up: one batch of rows goes ahead, no more; then all are told in order."""
    told: list[Any] = []
    async with Place(database, broker.url) as place:
        one, _ = await place.register("ONE")
        with psycopg.connect(database) as held:
            held.execute("LOCK TABLE ledger.event_store IN SHARE MODE")
            for n in range(3):
                payload = encode(n, 1.7e9 + n, 1.0, {"temperature_c": np.array([n])})
                chunk = place.intake.check(one, payload)
                place.intake.offer(one, chunk, payload, "mqtt", told.append)
                await rows_are(database, min(n + 1, 2))
            await asyncio.sleep(0.3)
            await rows_are(database, 2)
            assert told == []
        async with asyncio.timeout(30):
            while len(told) < 3:
                await asyncio.sleep(0.01)
        assert [one.chunk.sequence for one in told] == [0, 1, 2]
        leaves = await place.ledger.stream(f"logger/{one.user}")
        assert [leaf.body["readings"]["sequence"] for leaf in leaves] == [0, 1, 2]


async def rows_are(url: str, count: int) -> None:
    """Wait until so many chunks have a row, and no more."""
    async with (
        asyncio.timeout(30),
        await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
    ):
        while True:
            found = await connection.execute("SELECT count(*) FROM watch.chunk")
            row = await found.fetchone()
            assert row is not None and row[0] <= count
            if row[0] == count:
                return
            await asyncio.sleep(0.01)


async def test_each_chunk_is_answered_by_its_own_number_however_many_are_kept_together(
    database: str, broker: Broker
) -> None:
    """A logger is told `{"kept":true,"sequence":n}` for each, in the order of sending."""
    async with Place(database, broker.url) as place:
        one, key = await place.register("ONE")
        broker.write(await place.loggers.passwords())
        broker.start()
        await place.subscriber.start()
        await asyncio.wait_for(place.subscriber.listening.wait(), 30)
        async with device(broker, one, key) as client:
            await client.subscribe(topic(one, "answers"), qos=1)
            await send(client, one, range(60))
            told = [
                bytes((await asyncio.wait_for(anext(client.messages), 30)).payload)
                for _ in range(60)
            ]
    assert len(leaves(database)) < 60, "nothing was kept together: this shows nothing"
    assert told == [b'{"kept":true,"sequence":%d}' % n for n in range(60)]


POISON = {
    "sent 270,000 years from now": struct.pack(
        "<4sQqqIHHh", b"SFR1", 7, 2**63 - 1, 1_770_000_000_000_000, 1000, 1, 1, -15000
    ),
    "sent before there were clocks": struct.pack(
        "<4sQqqIHHh", b"SFR1", 7, -(2**63), 1_770_000_000_000_000, 1000, 1, 1, -15000
    ),
    "sequence beyond what JSON can carry": struct.pack(
        "<4sQqqIHHh", b"SFR1", 2**53, 0, 1_770_000_000_000_000, 1000, 1, 1, -15000
    ),
    "sequence beyond the database's": struct.pack(
        "<4sQqqIHHh", b"SFR1", 2**64 - 1, 0, 1_770_000_000_000_000, 1000, 1, 1, -15000
    ),
    "sent in the year 9999": b'{"v":1,"sequence":7,"start":"2026-03-02T07:30:00Z","every_s":60,'
    b'"sent":"9999-12-31T23:59:59Z","temperature_c":[-150]}',
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
async def test_numbers_that_nothing_can_hold_are_refused_and_hold_up_nobody(
    database: str, broker: Broker, poison: bytes
) -> None:
    """It is told `kept: false` once, with why; what came before and after it is kept."""
    async with Place(database, broker.url) as place:
        one, key = await place.register("ONE")
        broker.write(await place.loggers.passwords())
        broker.start()
        await place.subscriber.start()
        await asyncio.wait_for(place.subscriber.listening.wait(), 30)
        async with device(broker, one, key) as client:
            await client.subscribe(topic(one, "answers"), qos=1)
            await asyncio.gather(
                client.publish(topic(one), chunk(1), qos=1),
                client.publish(topic(one), poison, qos=1),
                client.publish(topic(one), chunk(2), qos=1),
            )
            told = [
                json.loads(bytes((await asyncio.wait_for(anext(client.messages), 30)).payload))
                for _ in range(3)
            ]
        assert sorted(a["sequence"] for a in told if a["kept"]) == [1, 2]
        (refused,) = [a for a in told if not a["kept"]]
        assert refused["why"] and "retry_after_s" not in refused
        assert stored(database) == ([1, 2], 2)


DIES: str = PROGRAM.replace(
    "async def main",
    """import os, signal
from stafett.service.storing import Storing

async def dies(self, *_):
    os.kill(os.getpid(), signal.SIGKILL)

Storing.leaf = dies

async def main""",
)


async def test_rows_whose_leaf_is_missing_get_it_from_the_next_server(
    database: str, broker: Broker
) -> None:
    """kill -9 between the rows and the record: sent again, all are named once, no row twice."""
    async with Place(database, broker.url) as place:
        one, key = await place.register("ONE")
        broker.write(await place.loggers.passwords())
        broker.start()
        process = subprocess.Popen(
            [sys.executable, "-c", DIES, database, broker.url], stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == b"listening\n"
            async with device(broker, one, key) as client:
                await send(client, one, range(30))
            assert await asyncio.to_thread(process.wait, 20) == -signal.SIGKILL
        finally:
            process.kill()
            process.communicate()
        rows, named = stored(database)
        assert rows and named == 0
        await place.subscriber.start()
        await wait_for(lambda: stored(database) == (list(range(30)), 30))
        named_by = [c["sequence"] for leaf in leaves(database) for c in chunks_of(leaf)]
        assert sorted(named_by) == list(range(30))
