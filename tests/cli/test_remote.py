"""Commands that ask a running tower."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from stafett.cli.remote import No, signed_in


class _SecondFactor(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.dumps({"challenge": "c", "ways": ["totp"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def asking() -> Iterator[str]:
    """Serve a tower that asks everybody for a second factor."""
    with HTTPServer(("127.0.0.1", 0), _SecondFactor) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_who_has_a_second_factor_is_told_to_use_the_pages(asking: str) -> None:
    """It is one line that says what to do, never a traceback."""
    with pytest.raises(No, match="use the pages"), signed_in(asking, "ward-1", "secret"):
        pass
