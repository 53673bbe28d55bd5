"""Listen to a person's alerts over HTTP as an open page does; hang up before the server stops."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx


@contextlib.contextmanager
def listening(
    site: Any, login: str, heard: Callable[[float, dict[str, Any]], None]
) -> Iterator[None]:
    """Tell `heard` each alert of `login` and when it came, until the block ends."""
    connected, sockets = threading.Event(), []

    def listen() -> None:
        head = {"Authorization": f"Bearer {site.token(login)}"}
        path = f"{site.base}/api/alerts/stream"
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.stream("GET", path, headers=head, timeout=None) as answer,
        ):
            sockets.append(answer.extensions["network_stream"].get_extra_info("socket"))
            connected.set()
            for line in answer.iter_lines():
                if line.startswith("data: ") and '"alerts"' in line:
                    at = time.monotonic()
                    for one in json.loads(line[6:])["alerts"]:
                        heard(at, one["alert"])

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    connected.wait(30)
    try:
        yield
    finally:
        # A thread that reads cannot be asked to stop: its connection is ended under it.
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        thread.join(5)
