"""The scripted people of the demonstration carry a product out of specification to the patient."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from site_ import Site
from stafett.journey.script import Fault


def test_the_scripted_day_supplies_what_is_out_of_specification(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the public API alone: the physician asks, the maker evaluates, both accept."""
    day = site.day(seed=515)
    fault = Fault("OOS_RESULT", activity="TEST")
    monkeypatch.setattr(type(day), "_faults", lambda *_: [fault])

    day.transport = httpx.ASGITransport(app=site.app)  # half the work: no socket is the test

    async def carry() -> str:
        async with day.client() as client:
            return await day.journey(client, 515_001)

    journey = site.inside(carry())
    entries: list[dict[str, Any]] = site.call(
        "treating-clinic-1", "GET", f"/api/journeys/{journey}/events"
    ).json()
    kinds = [entry["kind"] for entry in entries]
    assert kinds.count("OutOfSpecificationStated") == 4
    ended = next(entry["event"] for entry in entries if entry["kind"] == "JourneyEnded")
    assert ended["treated"]
