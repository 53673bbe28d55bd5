"""The watch: lateness becomes a deviation by itself, once, at the moment it is knowable."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from site_ import Site
from stafett.journey.label import Labels
from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.service.demo import NETWORK, train
from stafett.service.tower import Tower
from stafett.watch.limits import limits, next_at, passed
from web_walk import walk

BENCH = Path(__file__).parents[2] / "bench" / "bench_watch.py"
START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


def text() -> str:
    """Return the built-in CAR-T protocol."""
    folder = resources.files("stafett") / "catalogue" / "protocols"
    return (folder / "autologous-car-t.yaml").read_text("utf-8")


def test_nothing_fires_before_its_moment(states: tuple[Net, list[State]]) -> None:
    """In each state, no limit has passed a second before the nearest one, and it has at it."""
    net, every = states
    running = 0
    for state in every:
        at = next_at(net, state)
        if at is None:
            continue
        running += 1
        assert passed(net, state, at - timedelta(seconds=1)) == []
        assert [limit.at for limit in passed(net, state, at)][:1] == [at]
    assert running > 100


def test_an_ended_journey_has_no_limits(states: tuple[Net, list[State]]) -> None:
    """When the journey has its outcome, nothing runs any more."""
    net, every = states
    assert limits(net, every[-1]) == []


def test_the_keys_of_one_state_differ(states: tuple[Net, list[State]]) -> None:
    """Two limits that run at once never share the key that makes each fire once."""
    net, every = states
    for state in every:
        keys = [limit.key for limit in limits(net, state)]
        assert len(keys) == len(set(keys))


def order_with(site: Site, labels: Labels, name: str, part: str, value: str) -> str:
    """Open a journey under a protocol whose referral has another `part`."""
    lines = text().split("\n")
    at = next(i for i, line in enumerate(lines) if line.strip() == "H01:")
    for i in range(at, at + 120):
        if f"{part}:" in lines[i]:
            indent = lines[i][: len(lines[i]) - len(lines[i].lstrip())]
            lines[i] = f"{indent}{part}: {value}"
            break
    changed = "\n".join(lines).replace("protocol: autologous-car-t", f"protocol: {name}", 1)
    site.inside(site.tower.library.admit(changed.encode()))
    site.inside(train(site.tower, site.people))  # also for this protocol
    return site.order(
        labels.patient, coi=labels.coi, protocol=name, network=NETWORK, product="kymriah"
    )


def order_late(site: Site, labels: Labels) -> str:
    """Open a journey under a protocol in which the referral may take one second only."""
    return order_with(site, labels, "hasty-car-t", "takes", "{at_most: 1 s, proposal: true}")


def order_silent(site: Site, labels: Labels) -> str:
    """Open a journey under a protocol that calls somebody when a referral lies for a second."""
    rungs = "[{tell: case_management, after: 1 s}, {tell: owner, after: 1 d}]"
    return order_with(site, labels, "restless-car-t", "escalation", rungs)


def silences(site: Site, journey: str) -> list[str]:
    """Return the sides of H01 whose silence the record has, as often as it has them."""
    return [d["silence"] for d in deviations(site, journey) if d["code"] == "SILENCE"]


def deviations(site: Site, journey: str) -> list[dict[str, Any]]:
    """Return the deviations of a journey, as the record has them."""
    entries = site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}/events").json()
    return [e["event"] for e in entries if e["kind"] == "DeviationRaised"]


def wait_for(what: Any, seconds: float = 40) -> None:
    """Wait until `what()` is true."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.05)


async def until(what: Callable[[], object]) -> None:
    """Wait on the server's own loop until `what()`, which asks the server, is true."""
    async with asyncio.timeout(40):
        while not await asyncio.to_thread(what):
            await asyncio.sleep(0.1)


def test_a_late_handoff_is_raised_once_by_two_watching_processes(site: Site) -> None:
    """Nobody does anything; the deviation is there a moment after the limit, and only once."""

    async def other() -> Tower:
        tower = Tower(site.tower.url, site.tower.folder, cheap_hashing=True)
        await tower.__aenter__()
        return tower

    second = site.inside(other())
    try:
        labels = Labels(770_001)
        journey = order_late(site, labels)
        # The limit runs from the release on; bring it there.
        site.inside(walk(site, journey, labels, ("H01", "accept")))
        wait_for(lambda: deviations(site, journey))
        time.sleep(1.5)
        found = deviations(site, journey)
        assert len(found) == 1
        assert found[0]["by"]["role"] == "watch"
        assert found[0]["kind"] == "timing"
        row = site.call("treating-clinic-1", "GET", f"/api/journeys/{journey}").json()
        assert row["deviations"] == 1
        # Late is not lost: the receiver takes it, and the same lateness is not raised again.
        site.inside(walk(site, journey, labels, ("H02", "accept")))
        assert len(deviations(site, journey)) == 1
    finally:
        site.inside(second.__aexit__(None, None, None))


def test_what_was_late_while_nobody_watched_is_raised_at_the_start(site: Site) -> None:
    """A process that comes up after the limit raises it then; one that comes later does not."""
    site.inside(site.tower.watch.close())
    labels = Labels(770_002)
    journey = order_late(site, labels)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    time.sleep(1.6)
    assert deviations(site, journey) == []

    async def once() -> None:
        async with Tower(site.tower.url, site.tower.folder, cheap_hashing=True) as tower:
            await tower.board.ready.wait()
            await until(lambda: deviations(site, journey))
            await asyncio.sleep(1.5)

    site.inside(once())
    assert len(deviations(site, journey)) == 1
    site.inside(once())
    assert len(deviations(site, journey)) == 1
    site.inside(site.tower.watch.start())


def test_a_look_that_fails_is_made_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the record cannot be reached at the moment, the limit is raised as soon as it can."""
    right = site.tower.journeys.watch
    failures: list[str] = []

    async def fails_once(journey: str, command: Any, key: str) -> Any:
        if not failures:
            failures.append(key)
            raise OSError("the database is away")
        return await right(journey, command, key)

    monkeypatch.setattr(site.tower.journeys, "watch", fails_once)
    labels = Labels(770_003)
    journey = order_late(site, labels)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    wait_for(lambda: deviations(site, journey))
    assert failures
    assert len(deviations(site, journey)) == 1


def test_a_clock_that_jumps_fires_what_is_due_once_and_nothing_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty days forward: the limit has passed and is raised. Back, and forward again: once."""
    labels = Labels(770_004)
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", network=NETWORK)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    time.sleep(1.5)
    assert deviations(site, journey) == []

    class Ahead(datetime):
        """A wall clock that is a month ahead."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            """Return the wrong time."""
            return datetime.now(tz) + timedelta(days=30)

    for _ in range(2):
        with monkeypatch.context() as wrong:
            wrong.setattr("stafett.service.watching.datetime", Ahead)
            wait_for(lambda: deviations(site, journey))
            time.sleep(1)
        time.sleep(1)
    found = deviations(site, journey)
    assert len({(d["code"], d["about"], d["note"]) for d in found}) == len(found) >= 1


def test_a_silence_is_raised_once_by_two_watching_processes(site: Site) -> None:
    """Nobody takes the referral: a second later the silence is a deviation, and only one."""

    async def other() -> Tower:
        tower = Tower(site.tower.url, site.tower.folder, cheap_hashing=True)
        await tower.__aenter__()
        return tower

    second = site.inside(other())
    try:
        labels = Labels(770_005)
        journey = order_silent(site, labels)
        site.inside(walk(site, journey, labels, ("H01", "accept")))
        wait_for(lambda: "H01.accept..1.silence" in silences(site, journey))
        time.sleep(1.5)
        assert silences(site, journey).count("H01.accept..1.silence") == 1
        found = [d for d in deviations(site, journey) if d["silence"] == "H01.accept..1.silence"]
        assert (found[0]["by"]["role"], found[0]["originated"]) == ("watch", "H01")
        assert (found[0]["kind"], found[0]["severity"]) == ("timing", "minor")
    finally:
        site.inside(second.__aexit__(None, None, None))


def test_a_silence_that_nobody_watched_is_raised_at_the_start_and_once(site: Site) -> None:
    """A process that comes up later raises it then; the next ones find it in the record."""
    site.inside(site.tower.watch.close())
    labels = Labels(770_006)
    journey = order_silent(site, labels)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    time.sleep(1.2)
    assert silences(site, journey) == []

    async def once() -> None:
        async with Tower(site.tower.url, site.tower.folder, cheap_hashing=True) as tower:
            await tower.board.ready.wait()
            await until(lambda: silences(site, journey))
            await asyncio.sleep(1.5)

    for _ in range(2):
        site.inside(once())
        assert silences(site, journey) == ["H01.accept..1.silence"]
    site.inside(site.tower.watch.start())


def test_what_is_about_to_be_late_is_listed_as_coming_and_not_written(site: Site) -> None:
    """A quarter of fourteen days before the referral is late: whose act it is, and by when."""
    labels = Labels(770_007)
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", network=NETWORK)
    site.inside(walk(site, journey, labels, ("H01", "accept")))
    site.inside(site.tower.board.caught_up())
    person = next(p for p in site.people if p.login == "treating-clinic-1")
    now = datetime.now(UTC)

    def mine(days: float) -> list[Any]:
        found = site.inside(site.tower.deviations.coming(person, now + timedelta(days=days)))
        return [one for one in found if one.journey == journey]

    assert mine(10) == mine(14.1) == []
    (one,) = mine(11)
    assert (one.about, one.activity, one.side) == ("H01", "H01", "accept")
    assert one.code == "LATE_DELIVERY"
    assert timedelta(days=13.9) < one.due - now < timedelta(days=14)
    assert deviations(site, journey) == []


def test_the_benchmark_of_the_timers_runs_on_the_watch_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every timer fires; a look that has another form would be tried again for ever."""
    spec = importlib.util.spec_from_file_location("bench_watch", BENCH)
    assert spec is not None and spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    asyncio.run(asyncio.wait_for(bench.timers(50, spread=0.2, lead=0.2), 20))
    assert "in the same run" in capsys.readouterr().out
