"""Server-sent events: what follows a position, without a gap and without a double.

Sent over a plain streaming response; the ledger position is the event id, so that a browser that
comes back says where it was (`Last-Event-ID`). A `beat` every few seconds tells a live connection
from a dead one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

BEAT_S = 5.0


def event(name: str, data: bytes, id: int | None = None) -> bytes:
    """Return one event as bytes. `data` must hold no line break (JSON does not)."""
    head = f"id: {id}\n" if id is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"


def response(events: AsyncIterator[bytes]) -> StreamingResponse:
    """Return the streaming response; proxies are told not to buffer it."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
