"""A small log of somebody else's, brought to be learned from, and the chapters made of it."""

from __future__ import annotations

import time
from typing import Any

from site_ import Site

CLINIC = "treating-clinic-1"
PATIENCE_S = 120


def small_log() -> bytes:
    """Return a log of forty journeys between three groups, every fifth slow."""
    lines = ["case,activity,timestamp,group"]
    for i in range(40):
        day = f"2026-{1 + i // 20:02d}-{1 + i % 20:02d}"
        late = 9 if i % 5 == 0 else 1
        lines += [
            f"c{i},collect,{day}T08:00:00Z,clinic",
            f"c{i},make,{day}T{9 + late:02d}:00:00Z,factory",
            f"c{i},infuse,{day}T{11 + late:02d}:30:00Z,ward {i % 3}",
        ]
    return "\n".join(lines).encode()


def bring(site: Site, login: str = CLINIC) -> str:
    """Bring the small log; return its source."""
    answer = site.call(
        login, "POST", "/api/learn/logs?name=small.csv&zone=Europe/Stockholm",
        content=small_log(), headers={"Content-Type": "application/octet-stream"},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    assert answer.json()["facts"]["journeys"] == "40"
    return str(answer.json()["source"])


def made(site: Site, chapter: str, source: str, login: str = CLINIC) -> dict[str, Any]:
    """Wait for a chapter."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        answer = site.call(login, "GET", f"/api/learn/chapters/{chapter}?source={source}").json()
        if answer["ready"] or answer["problem"]:
            return answer  # type: ignore[no-any-return]
        time.sleep(0.2)
    raise AssertionError(f"{chapter} was not made within {PATIENCE_S} s")
