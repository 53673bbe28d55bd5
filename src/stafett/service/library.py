"""The protocols that journeys are pinned to: the very bytes, by their SHA-256.

A journey keeps the version it was opened under for as long as it lives; a newer version of the file
changes nothing for it. Parsed protocols are shared by all journeys of the same version and product.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import anyio.to_thread
from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import Event
from stafett.protocol.net import Net
from stafett.protocol.read import Document, parse
from stafett.service.changes import CHANGED

ADMITTED = "protocol admitted"
# In the order in which they were admitted; what a start admits has its own time only.
_IN_ORDER = """
SELECT p.sha256, p.name FROM service.protocol p
LEFT JOIN (SELECT sha256, max(at) AS at FROM service.admission GROUP BY sha256) a USING (sha256)
ORDER BY greatest(p.added, a.at)
"""


@dataclass(frozen=True)
class Pinned:
    """A protocol file in the library: its digest and its parsed content."""

    sha256: str
    document: Document

    @property
    def name(self) -> str:
        """The protocol's name."""
        return str(self.document.value["protocol"])

    @property
    def version(self) -> str:
        """The protocol's version."""
        return str(self.document.value["version"])


class Library:
    """Every protocol version that was ever admitted. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._pinned: dict[str, Pinned] = {}
        self._nets: dict[tuple[str, str | None], Net] = {}
        self._current: dict[str, str] = {}
        self._shipped: dict[str, tuple[str, bytes]] = {}
        self._heard = asyncio.Event()

    async def open(self, shipped: Sequence[bytes] | None = None) -> None:
        """Load what the database holds; admit the built-in protocols whose names it does not have.

        Another version of a name that it has is only known of (`shipped`): what is in force for
        patients changes by somebody's decision with a reason, not because a server was upgraded.
        `shipped` are the built-in files, where they are others than this package's.
        """
        await self.refresh()
        for text in _built_in() if shipped is None else shipped:
            pinned = await anyio.to_thread.run_sync(_read, _digest(text), text)
            if pinned.name not in self._current:
                await self.admit(text)
            elif pinned.sha256 not in self._pinned:
                self._shipped[pinned.name] = (pinned.version, text)

    def shipped(self, name: str) -> str | None:
        """Return the version that this release ships of a protocol, if nobody has admitted it."""
        found = self._shipped.get(name)
        return None if found is None or _digest(found[1]) in self._pinned else found[0]

    async def renew(self) -> None:
        """Put what this release ships in force, without anybody's decision: for a demonstration."""
        for _, text in self._shipped.values():
            await self.admit(text)

    def hear(self, events: list[Event]) -> None:
        """Take note of admissions in other processes, as the record tells of them."""
        told = (event.body.get("change") for event in events if event.kind == CHANGED)
        if any(isinstance(one, dict) and one.get("what") == ADMITTED for one in told):
            self._heard.set()

    async def follow(self) -> None:
        """Learn what was heard of, for ever; what cannot be read now is read by the next time."""
        while True:
            await self._heard.wait()
            self._heard.clear()
            try:
                await self.refresh()
            except BaseException:
                self._heard.set()
                raise

    async def refresh(self) -> None:
        """Learn what has been admitted since, here or elsewhere: the last of each name counts."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(_IN_ORDER)
            rows = await cursor.fetchall()
        for sha256, _ in rows:
            await self.fetch(sha256)
        self._current |= {name: sha256 for sha256, name in rows}

    async def admit(self, text: bytes) -> Pinned:
        """Keep a protocol file and make it the current version of its name.

        The caller has proven it (`stafett.protocol.check`); this only reads it and raises ReadError
        if it is no protocol.
        """
        async with self._pool.connection() as connection:
            pinned = await self.store(connection, text)
        self.put_in_force(pinned)
        return pinned

    async def store(self, connection: AsyncConnection[Any], text: bytes) -> Pinned:
        """Keep a protocol file on `connection`, with what else it commits; see `put_in_force`."""
        sha256 = _digest(text)
        if sha256 in self._pinned:
            return self._pinned[sha256]
        pinned = await anyio.to_thread.run_sync(_read, sha256, text)
        await connection.execute(
            "INSERT INTO service.protocol (sha256, name, version, text)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (sha256, pinned.name, pinned.version, text),
        )
        return pinned

    async def make_last(self, connection: AsyncConnection[Any], pinned: Pinned) -> None:
        """Note on `connection` that a protocol is admitted now, also where it was before.

        Which one is in force must be the same in every process, whoever restarts when.
        """
        await connection.execute(
            "INSERT INTO service.admission (sha256) VALUES (%s)", (pinned.sha256,)
        )

    def put_in_force(self, pinned: Pinned) -> None:
        """Open new journeys under a protocol that is kept: only once that is committed."""
        self._pinned[pinned.sha256] = pinned
        self._current[pinned.name] = pinned.sha256

    async def fetch(self, sha256: str) -> None:
        """Load a protocol that another process has admitted; raise KeyError if nobody has."""
        if sha256 in self._pinned:
            return
        pinned = await anyio.to_thread.run_sync(_read, sha256, await self.text(sha256))
        self._pinned[sha256] = pinned
        self._current.setdefault(pinned.name, sha256)

    async def text(self, sha256: str) -> bytes:
        """Return the very file of a protocol; raise KeyError if nobody has admitted it."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute("SELECT text FROM service.protocol WHERE sha256 = %s", (sha256,))
            row = await cursor.fetchone()
        if row is None:
            raise KeyError(sha256)
        return bytes(row[0])

    def knows(self, sha256: str) -> bool:
        """Say whether the protocol is loaded in this process."""
        return sha256 in self._pinned

    def current(self) -> dict[str, Pinned]:
        """Return the current version of each protocol, by name."""
        return {name: self._pinned[sha256] for name, sha256 in sorted(self._current.items())}

    def versions(self, name: str) -> dict[str, str]:
        """Return the SHA-256 of every version of a protocol that this process knows."""
        return {p.version: p.sha256 for p in self._pinned.values() if p.name == name}

    def pinned(self, sha256: str) -> Pinned:
        """Return a version that this process knows. Raises KeyError."""
        return self._pinned[sha256]

    def net(self, sha256: str, product: str | None) -> Net:
        """Return the net of a pinned protocol for one product. Raises KeyError, ReadError."""
        key = (sha256, product)
        if key not in self._nets:
            self._nets[key] = Net(self._pinned[sha256].document.bind(product))
        return self._nets[key]


def _built_in() -> list[bytes]:
    folder = resources.files("stafett") / "catalogue" / "protocols"
    files = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return [entry.read_bytes() for entry in files if entry.name.endswith(".yaml")]


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


@lru_cache(maxsize=64)  # the same bytes are the same protocol, whichever library asks
def _read(sha256: str, text: bytes) -> Pinned:
    document = parse(text, f"protocol {sha256[:12]}")
    document.bind()
    return Pinned(sha256, document)
