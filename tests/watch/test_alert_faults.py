"""Faults: a process killed in the middle, connections lost, a clock that jumps. Nothing doubles."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from site_ import Site
from stafett.journey.label import Labels
from told_ import CLINIC, alerts, report, rows, wait_for
from web_walk import walk

_numbers = iter(range(791_001, 799_000))
# A second server process on the same database, until it is killed.
OTHER = """
import asyncio, sys
from pathlib import Path
from stafett.service.tower import Tower

async def main():
    async with Tower(sys.argv[1], Path(sys.argv[2]), cheap_hashing=True) as tower:
        await tower.board.ready.wait()
        print("ready", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def open_one(site: Site) -> str:
    """Open a journey that waits for H01."""
    labels = Labels(next(_numbers))
    name = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, name, labels, ("H01", "accept")))
    return name


def told(site: Site, journey: str) -> list[int]:
    """Return the alerts of a journey that were told, once for each telling."""
    with psycopg.connect(site.tower.url) as connection:
        return [
            row[0]
            for row in connection.execute(
                "SELECT e.alert FROM alerts.event e JOIN alerts.alert a ON a.id = e.alert"
                " WHERE a.journey = %s AND e.what IN ('told', 'told-together')",
                [journey],
            )
        ]


def calls(site: Site, journey: str) -> set[tuple[Any, ...]]:
    """Return the rungs of deviations that were called."""
    return {(r[1], r[2], r[3]) for r in rows(site, journey) if r[4] == "deviation"}


def test_a_process_killed_while_it_tells_leaves_nothing_out_and_doubles_nothing(
    site: Site,
) -> None:
    """kill -9 in the middle of twelve critical deviations; another process finishes the work."""
    journeys = [open_one(site) for _ in range(12)]
    site.inside(site.tower.alerting.close())
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, site.tower.url, str(site.tower.folder)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        for journey in journeys:
            report(site, journey, "IDENTITY_MISMATCH")
            if calls(site, journeys[2]):
                break
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        for journey in journeys:
            if not any(r[1].startswith("D") for r in rows(site, journey)):
                report(site, journey, "IDENTITY_MISMATCH")
    finally:
        other.kill()
        other.communicate()  # it is reaped, and its pipe closed
        site.inside(site.tower.alerting.start())
    for journey in journeys:
        wait_for(lambda journey=journey: len(calls(site, journey)) >= 2)  # type: ignore[misc]
    time.sleep(1)
    assert len({frozenset((r, role) for _, r, role in calls(site, j)) for j in journeys}) == 1
    for journey in journeys:
        found = told(site, journey)
        assert len(found) == len(set(found))


def test_lost_connections_cost_time_and_no_alert(site: Site) -> None:
    """The database drops every connection, twice; what was acknowledged is told all the same."""
    journeys = [open_one(site) for _ in range(2)]
    for journey in journeys:
        with psycopg.connect(site.tower.url, autocommit=True) as connection:
            report(site, journey, "IDENTITY_MISMATCH")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        wait_for(lambda journey=journey: calls(site, journey), 60)  # type: ignore[misc]
        wait_for(lambda: _settled(site, journey), 60)  # noqa: B023
    for journey in journeys:
        found = told(site, journey)
        assert len(found) == len(set(found))


def _settled(site: Site, journey: str) -> bool:
    answer = site.call(CLINIC, "GET", "/api/alerts")
    return answer.status_code == 200 and bool(alerts(site, CLINIC, journey))


def test_a_clock_that_jumps_calls_what_is_due_and_nothing_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three days forward: the owner is called. Back again: nothing is undone or doubled."""
    journey = open_one(site)
    report(site, journey, "TEMP_EXCURSION")
    wait_for(lambda: calls(site, journey))
    before = calls(site, journey)

    class Ahead(datetime):
        """A wall clock that is three days ahead."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            """Return the wrong time."""
            return datetime.now(tz) + timedelta(days=3)

    monkeypatch.setattr("stafett.service.alerting.datetime", Ahead)
    after = wait_for(lambda: (now := calls(site, journey)) > before and now)
    assert max(rung for _, rung, _ in after) > 0
    monkeypatch.undo()
    time.sleep(1.5)
    found = told(site, journey)
    assert len(found) == len(set(found))
    assert calls(site, journey) >= after
