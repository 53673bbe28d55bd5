"""Report a deviation, and look at who was told of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg

from site_ import Site

CLINIC, REFERRER = "treating-clinic-1", "referring-clinic-1"


def report(site: Site, journey: str, code: str, about: str = "H01") -> str:
    """Report a deviation as the clinic; return its number."""
    command = {
        "type": "RaiseDeviation", "code": code, "about": about, "note": "seen at the desk",
        "occurred_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    answer = site.send(CLINIC, journey, command)
    assert answer.status_code == 200, answer.text
    return next(
        str(e["deviation"]) for e in answer.json()["events"] if e["type"] == "DeviationRaised"
    )


def alerts(site: Site, login: str, journey: str) -> list[dict[str, Any]]:
    """Return the open alerts that `login` is told of in one journey."""
    answer = site.call(login, "GET", "/api/alerts")
    assert answer.status_code == 200, answer.text
    return [x["alert"] for x in answer.json()["alerts"] if x["alert"]["journey"] == journey]


def wait_for(what: Callable[[], Any], seconds: float = 40) -> Any:
    """Wait until `what()` is true; return it."""
    until, pause = time.monotonic() + seconds, 0.02
    while not (found := what()):
        assert time.monotonic() < until, "it never happened"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.1)  # who asks all the time takes from what is waited for
    return found


def rows(site: Site, journey: str) -> list[tuple[Any, ...]]:
    """Return the alert rows of a journey as the database has them."""
    with psycopg.connect(site.tower.url) as connection:
        return connection.execute(
            "SELECT id, cause, rung, role, kind, acknowledged, ended FROM alerts.alert"
            " WHERE journey = %s ORDER BY id",
            [journey],
        ).fetchall()
