"""A real server for the tests: uvicorn in a thread, on a free port, over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import uuid
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import uvloop
from starlette.applications import Starlette

import http_
from stafett.client.day import Day
from stafett.protocol.net import Net
from stafett.service import demo
from stafett.service.accounts import Person
from stafett.service.tower import Tower
from stafett.web.app import application
from stafett.web.wire import Protocol

PROTOCOL = "autologous-car-t"


@dataclass
class Site:
    """A running control tower and its people."""

    base: str
    tower: Tower
    people: list[Person]
    loop: asyncio.AbstractEventLoop
    app: Starlette
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, login: str) -> str:
        """Sign `login` in, once."""
        if login not in self.tokens:
            body = {"login": login, "password": demo.PASSWORD}
            answer = http_.post(f"{self.base}/api/session", json=body, timeout=60)
            assert answer.status_code == 200, answer.text
            self.tokens[login] = answer.json()["token"]
        return self.tokens[login]

    def call(self, login: str | None, method: str, path: str, **more: Any) -> httpx.Response:
        """Make one request as `login`."""
        headers = {"Authorization": f"Bearer {self.token(login)}"} if login else {}
        headers |= more.pop("headers", {})
        return http_.request(method, self.base + path, headers=headers, timeout=60, **more)

    def order(self, wristband: str = "19121212-1212", **more: Any) -> str:
        """Open a journey; return its identifier."""
        body = {
            "key": uuid.uuid4().hex,
            "role": "treating_clinic",
            "protocol": PROTOCOL,
            "network": demo.NETWORK,
            "wristband": wristband,
            **more,
        }
        login = f"{body['role'].replace('_', '-')}-1"
        answer = self.call(login, "POST", "/api/journeys", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["journey"])

    def send(
        self,
        login: str,
        journey: str,
        command: dict[str, Any],
        *,
        role: str | None = None,
        key: str | None = None,
        password: str | None = demo.PASSWORD,
    ) -> httpx.Response:
        """Send one command as `login` (whose role is the login without its number)."""
        body = {
            "key": key or uuid.uuid4().hex,
            "role": role or login.rpartition("-")[0].replace("-", "_"),
            "command": {"occurred_at": "2026-11-01T08:00:00+01:00", **command},
            "password": password,
        }
        return self.call(login, "POST", f"/api/journeys/{journey}/commands", json=body)

    def inside(self, what: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the server's own event loop."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(240)

    def day(self, **more: Any) -> Day:
        """Return scripted people for this site, who do not pause."""
        pinned = self.tower.library.current()[PROTOCOL]
        nets: dict[str | None, Net] = {
            p: self.tower.library.net(pinned.sha256, p) for p in pinned.document.products
        }
        people: dict[str, list[str]] = {}
        for person in self.people:
            for role in person.roles:
                people.setdefault(role, []).append(person.login)
        parties = {person.roles[0]: person.organisation for person in self.people if person.roles}
        roles = next(iter(nets.values())).protocol.roles
        parties = {role: parties[role] for role in roles}
        return Day(
            self.base, nets, demo.NETWORK, parties, people, demo.PASSWORD, **{"pace": 0.0, **more}
        )


@contextlib.contextmanager
def serving(url: str, folder: Path) -> Iterator[Site]:
    """Serve in a thread until the block ends."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    tower = Tower(url, folder, cheap_hashing=True)
    ready = threading.Event()
    stop: list[Any] = []
    people: list[Person] = []
    failed: list[BaseException] = []

    loops: list[asyncio.AbstractEventLoop] = []
    apps: list[Starlette] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        async with tower:
            people.extend(await demo.furnish(tower))
            app = application(tower, people[:1], demo.PASSWORD, opened=True)
            apps.append(app)
            config = uvicorn.Config(
                app,
                log_level="warning",
                lifespan="off",
                timeout_graceful_shutdown=1,
                access_log=False,
                http=Protocol,
            )
            server = uvicorn.Server(config)
            stop.append(server)
            serving = asyncio.create_task(server.serve([listening]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            ready.set()
            await serving

    def main() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run())
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    ready.wait(120)
    if failed:
        raise failed[0]
    try:
        yield Site(base, tower, people, loops[0], apps[0])
    finally:
        stop[0].should_exit = True
        thread.join(30)
        listening.close()
