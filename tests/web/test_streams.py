"""What every stream of events has in common: it says that it lives, and ends with the session."""

from __future__ import annotations

import threading
import time

import httpx

import http_
from site_ import Site
from stafett.service import demo
from stafett.web import sse
from stafett.web.areas import ENDPOINTS

STREAMS = [e.path for e in ENDPOINTS if e.answer == "text/event-stream" and "{" not in e.path]


def test_every_stream_beats_and_tells_nothing_more_after_the_sign_out(site: Site) -> None:
    """A page that was left open on a shared screen goes quiet when its person signs out."""
    body = {"login": "courier-1", "password": demo.PASSWORD}
    token = http_.post(f"{site.base}/api/session", json=body, timeout=60).json()["token"]
    headers = {"Authorization": f"Bearer {token}", "X-Stafett": "1"}
    heard: dict[str, list[str]] = {path: [] for path in STREAMS}
    assert len(STREAMS) >= 3

    def listen(path: str) -> None:
        with (
            httpx.Client(verify=http_.TLS, base_url=site.base, headers=headers, timeout=60) as one,
            one.stream("GET", path) as answer,
        ):
            heard[path] += answer.iter_lines()  # until it ends

    listening = [threading.Thread(target=listen, args=(path,), daemon=True) for path in STREAMS]
    for one in listening:
        one.start()
    time.sleep(0.5)
    assert http_.delete(f"{site.base}/api/session", headers=headers).status_code < 300
    for one in listening:
        one.join(2 * sse.BEAT_S)
    assert not any(one.is_alive() for one in listening)
    assert all("event: beat" in lines for lines in heard.values()), heard
