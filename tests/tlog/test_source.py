"""A log's prefix that means no good: what it sends is bounded in size and in time."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stafett.ledger.source import LONGEST_BUNDLE, Http, Unreadable


class Hostile(BaseHTTPRequestHandler):
    """Sends a checkpoint that unpacks to more than any tile, and a tile that takes for ever."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip" if "checkpoint" in self.path else "identity")
        self.end_headers()
        if "checkpoint" in self.path:
            self.wfile.write(gzip.compress(bytes(LONGEST_BUNDLE + 1)))
            return
        for _ in range(100):
            self.wfile.write(b"x" * (1 << 16))
            time.sleep(0.05)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def prefix() -> Iterator[str]:
    """Serve it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_what_unpacks_to_more_than_a_tile_is_not_taken(prefix: str) -> None:
    """Nor kept in memory until it is known how long it is."""
    with pytest.raises(Unreadable, match="longer than any tile"):
        Http(prefix).read("checkpoint")


def test_what_comes_too_slowly_is_given_up(prefix: str) -> None:
    """Each piece comes in time, and the whole never would."""
    with pytest.raises(Unreadable, match=r"not there after 0\.2 s"):
        Http(prefix, patience_s=0.2).read("tile/0/000")
