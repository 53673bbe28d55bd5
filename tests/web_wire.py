"""A wire between browsers and a server that a test can cut, mute or turn into a bad gateway."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Literal

Mode = Literal["through", "cut", "mute", "gateway"]
GATEWAY = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 20\r\n"
    b"Connection: close\r\n\r\n<h1>Bad gateway</h1>"
)


class Wire:
    """A TCP forwarder on an address of its own.

    `cut` refuses and drops everything; `mute` carries requests to the server and loses every
    answer; `gateway` answers all with an HTML page and status 502.
    """

    def __init__(self, target: str) -> None:
        self.mode: Mode = "through"
        self.target = target
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.base = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode: Mode) -> None:
        """Change what the wire does; connections that stand are dropped."""
        self.mode = mode
        if mode != "mute":
            self.drop()

    def drop(self) -> None:
        """Break every connection that stands."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop for good."""
        self._closed = True
        self._listening.close()
        self.drop()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            if self.mode == "cut":
                return
            if self.mode == "gateway":
                client.recv(65536)
                client.sendall(GATEWAY)
                return
            host, _, port = self.target.removeprefix("http://").partition(":")
            server = socket.create_connection((host, int(port)))
            self._open.add(server)
            back = threading.Thread(target=self._copy, args=(server, client, True), daemon=True)
            back.start()
            self._copy(client, server, False)
            back.join(30)
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                client.close()
            self._open.discard(client)

    def _copy(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                if self.mode == "cut":
                    break
                if answers and self.mode == "mute":
                    continue
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for one in (source, sink):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._open.discard(source)
