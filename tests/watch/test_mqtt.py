"""Readings over a real broker: two servers, one of which goes away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import psycopg
import pytest

from stafett.ledger import Ledger
from stafett.service.accounts import Accounts, Organisation, Person
from stafett.service.intake import Intake
from stafett.service.loggers import Id, Loggers, seal, topic
from stafett.service.mqtt import Subscriber, broker_files
from stafett.watch.reading import encode

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="Mosquitto is not installed"),
]
PERSON = Person("p", "p", "P", "courier")


class Broker:
    """A Mosquitto of this test's own, with credentials and a store."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.process = folder, None
        self.url = f"mqtt://service:secret@127.0.0.1:{self.port}"

    def write(self, passwords: list[str]) -> None:
        """Write its files."""
        service = f"service:{seal('secret')}"
        for name, text in broker_files(passwords, service, self.port, str(self.folder)).items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600)

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = ["mosquitto", "-c", str(self.folder / "mosquitto.conf")]
        if os.geteuid() == 0:
            with (self.folder / "mosquitto.conf").open("a") as file:
                file.write("user root\n")
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
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

    def __init__(self, url: str, broker: str) -> None:
        from psycopg_pool import AsyncConnectionPool

        from stafett.service.tower import _as_service

        self.url = url
        self.pool: Any = AsyncConnectionPool(
            url, open=False, configure=_as_service, check=AsyncConnectionPool.check_connection,
            timeout=5,
        )  # fmt: skip
        self.ledger = Ledger(url, patience_s=5)
        self.loggers = Loggers(self.pool)
        self.intake = Intake(self.pool, self.ledger, self.loggers)
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


def stored(url: str) -> tuple[list[int], int]:
    """Return the sequence numbers of the rows, and how many leaves there are."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT sequence FROM watch.chunk ORDER BY 1").fetchall()
        leaves = connection.execute(
            "SELECT count(*) FROM ledger.event WHERE kind = 'ReadingsStored'"
        ).fetchone()
    return [row[0] for row in rows], leaves[0] if leaves else 0


async def wait_for(what: Any, seconds: float = 30) -> None:
    """Wait until `what()` is true."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never happened"
        await asyncio.sleep(0.05)


async def test_of_two_servers_one_listens_and_the_other_takes_over(
    database: str, broker: Broker
) -> None:
    """The second waits for the lock; when the first is gone it goes on with the same session."""
    async with Place(database, broker.url) as first, Place(database, broker.url) as second:
        one, key = await first.register("ONE")
        broker.write(await first.loggers.passwords())
        broker.start()
        await first.subscriber.start()
        await asyncio.wait_for(first.subscriber.listening.wait(), 10)
        await second.subscriber.start()
        async with device(broker, one, key) as client:
            for n in range(10):
                await client.publish(topic(one), chunk(n), qos=1)
            await wait_for(lambda: stored(database)[0] == list(range(10)))
            assert not second.subscriber.listening.is_set()
            await first.subscriber.close()
            for n in range(10, 20):
                await client.publish(topic(one), chunk(n), qos=1)
            await asyncio.wait_for(second.subscriber.listening.wait(), 15)
        await wait_for(lambda: stored(database) == (list(range(20)), 20))
