"""HTTP on the wire: a small answer leaves in one piece.

uvicorn writes the head and the body of an answer one after the other, each a call of the operating
system and a packet of its own. Here what is written in one turn of the event loop goes out
together; what is large, or streamed over many turns, is not held back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGE = 65_536


class Joined:
    """A transport that joins the writes of one turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` at the end of this turn, after what was written before it."""
        if not self._held and len(data) < LARGE:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        if len(data) >= LARGE:
            self.flush()

    def writelines(self, data: Iterable[bytes]) -> None:
        """Send the pieces like one `write`."""
        self.write(b"".join(data))

    def flush(self) -> None:
        """Send what is held now."""
        if self._held:
            held, self._held = self._held, []
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def write_eof(self) -> None:
        """Send what is held, and that nothing follows."""
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what is held, and close."""
        self.flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 over httptools, with joined writes. Give it as `Config(http=...)`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        super().connection_made(Joined(transport, self.loop))  # type: ignore[arg-type]
