"""One LISTEN connection per process: who waits for the ledger to grow waits here.

Notifications are hints and nothing rests on them: after a lost connection everyone is woken to look
for themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import psycopg

from stafett.ledger.tending import Tended

GREW = "ledger_grew"  # payload: the new size; at most one in `sequencer.TELL_S` under load
WANTED = "ledger_wanted"  # payload: who would like to append
FREE = "ledger_free"  # the lease was handed back


class Listener:
    """The process's ears on one ledger."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.size = 0
        self.wanted = False  # another process would like to append
        self.on_wanted: Callable[[], None] = lambda: None  # called when that becomes true
        self._grew = asyncio.Event()
        self._lease = asyncio.Event()
        self._listening = asyncio.Event()
        self.tended = Tended("ledger listener", self._listen, vital=True, pause_s=0.2)

    async def start(self) -> None:
        """Begin to listen; returns when the first LISTEN is in place."""
        self.tended.start()
        await self._listening.wait()

    async def close(self) -> None:
        """Stop listening."""
        await self.tended.end()

    def grown(self, size: int) -> None:
        """Take note that the ledger has `size` events, and wake those who wait."""
        self.size = max(self.size, size)
        self._wake("_grew")

    async def growth(self, beyond: int, patience_s: float) -> None:
        """Return when there may be more than `beyond` events, or after `patience_s` seconds."""
        if self.size <= beyond:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._grew.wait(), patience_s)

    async def lease_news(self, patience_s: float) -> None:
        """Return when the lease may be free, or after `patience_s` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._lease.wait(), patience_s)

    def _wake(self, which: str) -> None:
        """Wake all who wait now; later comers wait for the next time."""
        getattr(self, which).set()
        setattr(self, which, asyncio.Event())

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
        async with connection:
            for channel in (GREW, WANTED, FREE):
                await connection.execute(f"LISTEN {channel}")
            self._listening.set()
            self._wake("_grew")
            self._wake("_lease")
            async for note in connection.notifies():
                self._hear(note.channel, note.payload)

    def _hear(self, channel: str, payload: str) -> None:
        if channel == GREW:
            # Anybody with a session may notify: what is no size is no news.
            self.grown(int(payload) if payload.isascii() and payload.isdigit() else 0)
        elif channel == FREE:
            self._wake("_lease")
        elif payload != self.name:
            self.wanted = True
            self.on_wanted()
