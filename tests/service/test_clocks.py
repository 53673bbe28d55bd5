"""A clock that is wrong is seen by the clocks of real witnesses, said, and seen to be mended."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from stafett.ledger.note import Vkey
from stafett.ledger.witness_app import Witness, witness_app
from stafett.ledger.witness_store import WitnessFolder
from stafett.protocol.builtin import builtin
from stafett.protocol.net import Net
from stafett.service import publishing
from stafett.service.journeys import _sent_on_time
from stafett.service.refusal import No
from stafett.service.request import ASKED, Ask
from stafett.service.timekeeping import Timekeeping
from stafett.service.tower import Tower
from stafett.web.app import application

pytestmark = pytest.mark.anyio


class Away:
    """Witnesses on machines of their own: real ones over HTTP, whose clocks can be set."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.off = folder, [0, 0, 0]
        self.lines: list[str] = []
        self._servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(self, log: Vkey) -> None:
        """Begin to witness `log`."""
        for n in range(len(self.off)):
            made = WitnessFolder.create(self.folder / f"w{n}", f"w{n}.example/w")
            made.trust(log)
            witness = Witness(made, now=lambda n=n: int(time.time()) + self.off[n])  # type: ignore[misc]
            listening = socket.socket()
            listening.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(witness_app(witness), log_level="error"))
            thread = threading.Thread(target=server.run, args=([listening],))
            thread.start()
            self._servers.append((server, thread))
            address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            self.lines.append(f"witness w{n} {witness.cosigner.vkey} {address}")

    def close(self) -> None:
        """End them."""
        for server, thread in self._servers:
            server.should_exit = True
            thread.join()


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Away]:
    """Three witnesses elsewhere."""
    made = Away(tmp_path / "witnesses")
    yield made
    made.close()


@pytest.fixture
async def tower(
    database: str, tmp_path: Path, away: Away, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Tower]:
    """A tower that those three witness, and that asks them often."""
    monkeypatch.setattr(publishing, "GREET_S", 0.2)
    made = Tower(database, tmp_path / "tower", cheap_hashing=True)
    made.publishing._every_s = 0.2
    away.serve(made.publishing.signer.vkey)
    group = "group g 2 w0 w1 w2\nquorum g\n"
    text = f"log {made.publishing.signer.vkey}\n" + "\n".join(away.lines) + f"\n{group}"
    made.publishing.replace_policy(text)
    async with made:
        yield made


async def until(holds: Callable[[], Any], limit_s: float = 30.0) -> None:
    """Wait until it holds."""
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.1)


def state(tower: Tower) -> tuple[str, float]:
    """Return what is said of the server's clock: its state, whole seconds ahead."""
    found = tower.publishing.clocks.clocks()[0]
    return found.state, round(found.ahead_s)


async def test_a_clock_as_the_witnesses_have_it_is_right(tower: Tower) -> None:
    """Three answers, and nothing to say."""
    await until(lambda: state(tower) == ("good", 0))
    assert tower.publishing.clocks.wrong() == ()


async def test_a_clock_that_is_ahead_is_said_everywhere_and_clears_when_mended(
    tower: Tower, away: Away, caplog: pytest.LogCaptureFixture
) -> None:
    """Health, the record's page and the log say it, by a majority; and that it is right again."""
    caplog.set_level(logging.WARNING, "stafett.service.timekeeping")
    away.off[:] = [-60, -60, 0]
    await until(lambda: state(tower)[0] == "out")
    assert state(tower)[1] in (59, 60)
    transport = httpx.ASGITransport(application(tower, opened=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        told = (await client.get("/api/health")).json()
    assert told["ready"], "a wrong clock sends nobody to a server whose clock is no better"
    assert told["clocks"][0]["state"] == "out" and not told["clocks"][0]["blocks"]
    assert (await tower.publishing.standing()).clocks[0].state == "out"
    assert "the clock of the server is" in caplog.text
    away.off[:] = [0, 0, 0]
    await until(lambda: state(tower) == ("good", 0))
    assert "right again" in caplog.text


async def test_a_witness_that_is_wrong_alone_alarms_nobody(tower: Tower, away: Away) -> None:
    """Two of three agree with us."""
    away.off[:] = [0, 3600, 0]
    await until(lambda: tower.publishing.clocks.clocks()[0].others == 3)
    await asyncio.sleep(1.5)
    assert state(tower) == ("good", 0)


async def test_nothing_is_certified_or_given_by_a_clock_that_is_minutes_out(
    tower: Tower, away: Away
) -> None:
    """A certificate and an infusion wait; a collection, a handoff, a thaw do not."""
    net = Net(builtin("autologous-car-t").bind("kymriah"))
    away.off[:] = [600, 600, 600]
    await until(lambda: state(tower)[1] < -590)
    kinds = {step.kind: name for name, step in net.protocol.steps.items()}

    def hold(name: str) -> None:
        """Ask for it as a station does: by finishing the step, or by signing ahead of who does."""
        finish = ASKED["Finish"](step=name, occurred_at=datetime.now(UTC))
        sign = ASKED["Sign"](activity=name, side="step", occurred_at=datetime.now(UTC))
        for asked in (finish, sign):
            tower.journeys._on_time(net, asked)

    for kind in ("certify", "administer"):
        for asked in (
            ASKED["Finish"](step=kinds[kind], occurred_at=datetime.now(UTC)),
            ASKED["Sign"](activity=kinds[kind], side="step", occurred_at=datetime.now(UTC)),
        ):
            with pytest.raises(No) as refused:
                tower.journeys._on_time(net, asked)
            assert refused.value.code == "clock-wrong"
            assert refused.value.reasons[0].what.endswith("s behind")
    for name in (kinds["collect"], kinds["thaw"], next(iter(net.protocol.handoffs))):
        hold(name)
    away.off[:] = [0, 0, 0]
    await until(lambda: state(tower) == ("good", 0))
    hold(kinds["certify"])


def test_minutes_are_not_counted_by_a_station_whose_clock_is_wrong() -> None:
    """By a clock that is behind, what was thawed too long ago would look fresh.

    Answers are recorded all the same, and so is what begins elsewhere; who says nothing of their
    clock is believed.
    """
    net = Net(builtin("autologous-car-t").bind("kymriah"))
    kinds: dict[str, str] = {step.kind: name for name, step in net.protocol.steps.items()}
    now = datetime.now(UTC)

    def sent(kind: str, off_s: float | None, command: str = "Start") -> None:
        asked: dict[str, object] = {"step": kinds[kind], "occurred_at": now}
        if command == "Answer":
            asked = {"activity": kinds[kind], "side": "step", "check": "coi", "value": "x",
                     "occurred_at": now}  # fmt: skip
        at = None if off_s is None else datetime.now(UTC) + timedelta(seconds=off_s)
        ask = Ask(key="station-0001", role="ward", command=ASKED[command](**asked), sent_at=at)
        _sent_on_time(net, ask)

    for kind in ("thaw", "administer", "certify"):
        for off_s, way in ((-900, "behind"), (900, "ahead")):
            with pytest.raises(No, match=way) as refused:
                sent(kind, off_s)
            assert refused.value.code == "station-clock"
        for fine in (-60, 60, None):
            sent(kind, fine)
    sent("collect", -900)
    sent("thaw", -900, "Answer")


async def test_a_clock_that_is_set_is_seen_before_anybody_is_asked_again(tower: Tower) -> None:
    """The clock that only counts was not set with it."""
    off = [0.0]
    clocks = Timekeeping(tower.pool, lambda: time.time() + off[0])
    for name in ("north", "south"):
        now = time.time()
        clocks.told(name, now, float(int(now)), now)
    assert clocks.clocks()[0].state == "good"
    off[0] = -300.0
    found = clocks.clocks()[0]
    assert (found.state, found.blocks) == ("out", True)
    off[0] = 0.0
    assert clocks.clocks()[0].state == "good"


async def test_a_databases_clock_that_is_wrong_is_told_from_ours(tower: Tower) -> None:
    """Two witnesses are with us and not with the database's machine: it is the database's."""
    clocks = Timekeeping(tower.pool)
    for name in ("north", "south"):
        now = time.time()
        clocks.told(name, now, float(int(now)), now)
    now = time.time()
    clocks.told("database", now, now + 40, now, 0.0)
    server, database = clocks.clocks()
    assert (server.state, database.state) == ("good", "out")
    assert database.ahead_s == pytest.approx(40, abs=1.1)
