"""Answers on the wire: whole, in order, and small ones in one piece."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

from stafett.web.wire import LARGE, Protocol


def talk(app: Any, *requests: bytes) -> list[bytes]:
    """Serve `app`; send each request on one connection; return what each call of recv gave."""

    async def run() -> list[bytes]:
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=Protocol, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        client = socket.create_connection(listening.getsockname())
        client.setblocking(False)
        pieces = []
        for request in requests:
            await loop.sock_sendall(client, request)
            pieces.append(await asyncio.wait_for(loop.sock_recv(client, 10 * LARGE), 60))
        while more := await asyncio.wait_for(loop.sock_recv(client, 10 * LARGE), 60):
            pieces.append(more)
        server.should_exit = True
        await serving
        return pieces

    return asyncio.run(run())


def answering(*bodies: bytes) -> Any:
    """Return an application that answers with these bodies, one message each."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        length = str(sum(map(len, bodies))).encode()
        head = [(b"content-length", length), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for body in bodies:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


def test_a_small_answer_is_one_piece() -> None:
    """Head and body of a small answer arrive together, on a connection that is kept too."""
    first, second, *_ = talk(answering(b"hello"), GET, LAST)
    assert first.startswith(b"HTTP/1.1 200") and first.endswith(b"\r\n\r\nhello")
    assert second.endswith(b"\r\n\r\nhello")


def test_nothing_is_lost_or_out_of_order() -> None:
    """Small and large bodies in one answer arrive whole and in order, also at the close."""
    bodies = [b"a" * 10, b"b" * (LARGE + 1), b"c" * 10, b"d" * LARGE, b"e"]
    got = b"".join(talk(answering(*bodies), LAST))
    assert got.partition(b"\r\n\r\n")[2] == b"".join(bodies)
