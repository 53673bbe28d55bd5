"""A journey that is with the courier, and the readings of the logger that travels with it."""

from __future__ import annotations

import random
import time
import uuid
from datetime import datetime
from typing import Any

import numpy as np

from site_ import Site
from stafett.journey.label import Labels
from stafett.watch.reading import encode
from stafett.watch.shipment import number_of
from web_walk import walk


def travelling(site: Site) -> tuple[str, dict[str, Any], float]:
    """Bring a journey to the courier; return it, its registered logger and when it was packed."""
    labels = Labels(random.SystemRandom().randrange(1, 900_000))
    journey = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, journey, labels, ("H08", "accept")))
    live = site.inside(site.tower.journeys.live(journey))
    lot = live.state.lot("shipper_out")
    body = {
        "number": number_of(lot.identifiers["logger"]),
        "calibrated_until": "2036-01-01T00:00:00Z",
    }
    answer = site.call("courier-1", "POST", "/api/loggers", json=body)
    assert answer.status_code == 201, answer.text
    row = site.call("courier-1", "GET", f"/api/shipments/{journey}/shipper_out/1").json()
    return journey, answer.json(), datetime.fromisoformat(row["since"]).timestamp()


def send(site: Site, logger: dict[str, Any], temperatures: list[float], start: float) -> None:
    """Send readings, five a second."""
    channels = {
        "temperature_c": np.array(temperatures),
        "tilt_deg": np.full(len(temperatures), 3.0),
    }
    path = f"/api/loggers/{logger['organisation']}/{logger['number']}/readings"
    payload = encode(1, start, 0.2, channels, time.time())
    head = {"Authorization": f"Bearer {logger['key']}"}
    answer = site.call(None, "POST", path, content=payload, headers=head)
    assert answer.status_code == 201, answer.text
