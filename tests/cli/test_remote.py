"""Commands that ask a running tower."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.cli.remote import No, signed_in


class _SecondFactor(BaseHTTPRequestHandler):
    status, body = 200, json.dumps({"challenge": "c", "ways": ["totp"]})

    def do_POST(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body.encode())

    def log_message(self, *_: object) -> None: ...


class _Page(_SecondFactor):
    body = "<!DOCTYPE html><p>Welcome</p>"


class _Lost(_Page):
    status = 501


@contextlib.contextmanager
def serving(kind: type[_SecondFactor]) -> Iterator[str]:
    """Serve something that is no tower, or an odd one."""
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_who_has_a_second_factor_is_told_to_use_the_pages() -> None:
    """It is one line that says what to do, never a traceback."""
    with (
        serving(_SecondFactor) as asking,
        pytest.raises(No, match="use the pages"),
        signed_in(asking, "ward-1", "secret"),
    ):
        pass


@pytest.mark.parametrize("kind", [_Page, _Lost])
def test_another_server_is_said_to_be_no_tower(kind: type[_SecondFactor]) -> None:
    """A page, or an error with a page, where a session was expected: one line, no HTML."""
    with serving(kind) as base:
        with pytest.raises(No, match="is it a") as refused, signed_in(base, "ward-1", "secret"):
            pass
        assert "<" not in refused.value.message
        called = CliRunner().invoke(main, ["conformance", "run", base])
        assert called.exit_code == 2
        assert "does not speak Stafett's API" in called.output and "<" not in called.output
