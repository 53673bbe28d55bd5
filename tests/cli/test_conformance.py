"""The conformance kit: a sound endpoint passes, and each wrong one is found for what it is."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from site_ import Site
from stafett.cli.main import main
from stafett.client.conformance import OBLIGATIONS
from stafett.service.accounts import Organisation, Person
from stafett.service.demo import PASSWORD

# What a wrong endpoint makes of a request's body before, and of status and body after.
Before = Callable[[str, dict[str, Any]], dict[str, Any]]
After = Callable[[str, str, dict[str, Any], int, Any], tuple[int, Any]]


def run(base: str, *more: str) -> tuple[int, dict[str, Any]]:
    """Run the kit; give its exit status and its report."""
    result = CliRunner().invoke(main, ["conformance", "run", base, "--json", *more])
    report: dict[str, Any] = json.loads(result.output) if result.exit_code < 2 else {}
    return result.exit_code, report


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    """Give the verdicts by obligation."""
    return {o["name"]: o["verdict"] for o in report["obligations"]}


@contextlib.contextmanager
def wrong(site: Site, before: Before | None = None, after: After | None = None) -> Iterator[str]:
    """Serve the site through a proxy that does something wrong."""

    class Proxy(BaseHTTPRequestHandler):
        def _do(self) -> None:
            data = self.rfile.read(int(self.headers.get("content-length") or 0))
            kept = {"authorization", "content-type"}
            headers = {k: v for k, v in self.headers.items() if k.lower() in kept}
            body: Any = json.loads(data) if data and self.path.endswith("commands") else None
            if before is not None and body is not None:
                data = json.dumps(before(self.path, body)).encode()
            answer = httpx.request(
                self.command, site.base + self.path, content=data, headers=headers, timeout=60
            )
            status, out = answer.status_code, answer.content
            if after is not None and "json" in answer.headers.get("content-type", ""):
                status, plain = after(self.command, self.path, body or {}, status, answer.json())
                out = json.dumps(plain).encode()
            self.send_response(status)
            self.send_header("content-type", answer.headers.get("content-type", "text/plain"))
            self.send_header("content-length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        do_GET = do_POST = _do

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def test_our_own_endpoint_keeps_every_obligation(site: Site) -> None:
    """With an outsider named, all are tried and all hold; without, that one is said not tried."""
    who = Person("stranger", "stranger", "Stranger", "elsewhere", ("courier",))
    site.inside(site.tower.accounts.add_organisation(Organisation("elsewhere", "Else", "courier")))
    site.inside(site.tower.accounts.add_person(who, PASSWORD))
    status, report = run(site.base, "--outsider", "stranger")
    assert {n: v for n, v in verdicts(report).items() if v != "holds"} == {}, report
    assert set(verdicts(report)) == set(OBLIGATIONS)
    assert status == 0 and report["conforms"]


def _accepts_a_mismatch(
    method: str, path: str, body: dict[str, Any], status: int, answer: Any
) -> tuple[int, Any]:
    """Say yes to every acceptance, whatever was found before."""
    kind = body.get("command", {}).get("type")
    if method == "POST" and kind == "Receive" and status in (409, 422):
        return 200, {"journey": path.split("/")[3], "position": 1, "version": 1,
                     "recorded_at": "2026-11-01T08:00:00Z"}  # fmt: skip
    return status, answer


def _forgets_keys(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Take each sending as a new act."""
    return {**body, "key": uuid.uuid4().hex}


@pytest.mark.slow
def test_an_endpoint_that_accepts_a_mismatch_is_found(site: Site) -> None:
    """Accepting after a wrong label or an unknown answer is broken, and so is accepting too
    early."""
    with wrong(site, after=_accepts_a_mismatch) as base:
        status, report = run(base)
    found = verdicts(report)
    assert status == 1 and not report["conforms"]
    assert {found["mismatch"], found["unknown"], found["incomplete"]} == {"broken"}
    assert found["replay"] == found["no-zone"] == "holds"
    assert found["outsider"] == "not tried"


@pytest.mark.slow
def test_an_endpoint_that_forgets_keys_is_found(site: Site) -> None:
    """What is sent again must not be done twice."""
    with wrong(site, before=_forgets_keys) as base:
        status, report = run(base)
    found = verdicts(report)
    assert status == 1
    assert found["replay"] == "broken" and found["mismatch"] == "holds"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "not a url"])
def test_where_there_is_no_endpoint_it_says_so(url: str) -> None:
    """Exit status 2 and one line."""
    result = CliRunner().invoke(main, ["conformance", "run", url])
    assert result.exit_code == 2 and "stafett conformance:" in result.output
