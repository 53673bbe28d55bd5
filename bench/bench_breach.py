"""From the breaching reading to the alert, while other loggers send as fast as they are taken in.

A served tower on its own PostgreSQL. Shipments are under way; loggers of others send chunks over
HTTP all the time, each as soon as its last one was kept. One after the other the logger of each
shipment sends the chunk whose readings make an excursion; timed is from the moment it is sent to
the moment that the stream of who holds the shipper has the alert. The excursion takes two seconds
by the profile used here, so what is timed is the way, not the rule.

Run: python bench/bench_breach.py [shipments] [loading loggers]
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

READINGS = 600  # in each chunk of the load
PACE_S = 0.3  # between two breaches
PATIENCE_S = 20.0


def chunk(sequence: int, temperatures: list[float], start: float, every: float) -> bytes:
    """Return a chunk of temperatures."""
    from stafett.watch.reading import encode

    told = {"temperature_c": np.array(temperatures)}
    return encode(sequence, start, every, told, time.time())


def registered(site: Any, number: str) -> dict[str, Any]:
    """Register a logger of the courier's."""
    body = {"number": number, "calibrated_until": "2036-01-01T00:00:00Z"}
    return dict(site.call("courier-1", "POST", "/api/loggers", json=body).json())


def post(client: httpx.Client, logger: dict[str, Any], payload: bytes) -> int:
    """Send a chunk; return what was answered."""
    path = f"/api/loggers/{logger['organisation']}/{logger['number']}/readings"
    head = {"Authorization": f"Bearer {logger['key']}"}
    return client.post(path, content=payload, headers=head).status_code


def load(site: Any, logger: dict[str, Any], stop: threading.Event, kept: list[int]) -> None:
    """Send chunks until told to stop; what is refused (429) is sent again a little later."""
    rng = random.Random(logger["number"])
    with httpx.Client(base_url=site.base, timeout=30) as client:
        sequence = 0
        while not stop.is_set():
            sequence += 1
            values = [-150.0 + rng.random() for _ in range(READINGS)]
            payload = chunk(sequence, values, time.time() - READINGS * 0.1, 0.1)
            while post(client, logger, payload) != 201 and not stop.is_set():
                time.sleep(0.2)
            kept[0] += 1


def under_way(site: Any, n: int) -> tuple[str, dict[str, Any], float]:
    """Bring a journey to the courier; return it, its logger and when it was packed."""
    from stafett.journey.label import Labels
    from stafett.watch.shipment import number_of
    from web_walk import walk

    labels = Labels(610_000 + n)
    name = site.order(labels.patient, coi=labels.coi, product="kymriah", key=uuid.uuid4().hex)
    site.inside(walk(site, name, labels, ("H08", "accept")))
    live = site.inside(site.tower.journeys.live(name))
    logger = registered(site, number_of(live.state.lot("shipper_out").identifiers["logger"]))
    row = site.call("courier-1", "GET", f"/api/shipments/{name}/shipper_out/1").json()
    return name, logger, datetime.fromisoformat(row["since"]).timestamp()


def main(shipments: int, loggers: int) -> None:
    """Measure, and print the distribution."""
    from alert_stream import listening
    from site_ import serving
    from stafett.ledger.schema import migrate
    from stafett.ledger.server import Server

    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "server") as server:
        migrate(server.url)
        with serving(server.url, Path(folder) / "site") as site:
            watch = site.tower.conditions
            watch.profile = msgspec.structs.replace(
                watch.profile, sustained_s=2.0, cumulative_s=4.0
            )
            travelling = [under_way(site, n) for n in range(shipments)]
            seen: dict[str, float] = {}
            stop, kept = threading.Event(), [0]

            def heard(at: float, alert: dict[str, Any]) -> None:
                if alert["code"] == "TEMP_EXCURSION":
                    seen.setdefault(alert["journey"], at)

            threads = [
                threading.Thread(
                    target=load, args=(site, registered(site, f"LOAD-{k}"), stop, kept)
                )
                for k in range(loggers)
            ]
            for thread in threads:
                thread.start()
            with listening(site, "cell-laboratory-1", heard):
                time.sleep(4.0)
                sent: dict[str, float] = {}
                began, before = time.monotonic(), kept[0]
                with httpx.Client(base_url=site.base, timeout=30) as client:
                    for name, logger, since in travelling:
                        values = [-150.0] * 5 + [-60.0 - 0.1 * n for n in range(15)]
                        payload = chunk(1, values, max(since + 0.1, time.time() - 4.0), 0.2)
                        sent[name] = time.monotonic()
                        assert post(client, logger, payload) == 201
                        time.sleep(PACE_S)
                until = time.monotonic() + PATIENCE_S
                while len(seen.keys() & sent.keys()) < len(sent) and time.monotonic() < until:
                    time.sleep(0.05)
            rate = (kept[0] - before) * READINGS / (time.monotonic() - began)
            stop.set()
            for thread in threads:
                thread.join(30)
    took = 1e3 * np.array([seen[name] - sent[name] for name in sent if name in seen])
    print(f"{len(took)} of {shipments} breaches alerted; {loggers} loggers beside them:"
          f" {rate:,.0f} readings/s kept over HTTP")  # fmt: skip
    if len(took):
        p50, p99 = np.quantile(took, (0.5, 0.99))
        print(f"  reading sent to alert in the stream: p50 {p50:.0f} ms  p99 {p99:.0f} ms"
              f"  max {took.max():.0f} ms")  # fmt: skip


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 60, int(sys.argv[2]) if len(sys.argv) > 2 else 8
    )
