"""Simulated loggers of the demo: they send what a logger would, through the public API.

Each shipment on its way has a logger; the courier registers it and it sends a chunk every few
seconds. Most stay within their limits; about one in five warms up for a while, some lie on their
side. Made-up readings: they stand for no real shipper.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from stafett.watch.reading import encode

log = logging.getLogger(__name__)
EVERY_S = 1.0
PAUSE_S = 4.0


@dataclass
class _Sending:
    key: str
    organisation: str
    number: str
    high: float
    low: float
    sent_to: float
    chance: random.Random
    sequence: int = 0
    warm_from: float | None = None


@dataclass
class Simulated:
    """The loggers of one demo. `login` registers them: a courier's."""

    base: str
    login: str
    password: str
    token: str = ""
    sending: dict[str, _Sending] = field(default_factory=dict)

    async def run(self) -> None:
        """Send for ever."""
        async with httpx.AsyncClient(base_url=self.base, timeout=30) as client:
            while True:
                try:
                    await self.turn(client)
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    log.warning("the simulated loggers wait: %s", error)
                    self.token = ""
                await asyncio.sleep(PAUSE_S)

    async def turn(self, client: httpx.AsyncClient) -> None:
        """Send one chunk for every shipment on its way."""
        if not self.token:
            body = {"login": self.login, "password": self.password}
            self.token = (await client.post("/api/session", json=body)).json()["token"]
        head = {"Authorization": f"Bearer {self.token}"}
        rows = (await client.get("/api/shipments", headers=head)).json()
        for row in rows:
            name = f"{row['journey']}/{row['lot']}"
            if row["until"] is not None or row["logger"] is None:
                self.sending.pop(name, None)
                continue
            if name not in self.sending and row["high_c"] is not None:
                self.sending[name] = await self._register(client, head, name, row)
            if name in self.sending:
                await self._send(client, self.sending[name])

    async def _register(
        self, client: httpx.AsyncClient, head: dict[str, str], name: str, row: dict[str, Any]
    ) -> _Sending:
        body = {
            "number": row["logger"],
            "model": "Simulated logger",
            "calibrated_until": "2036-01-01T00:00:00Z",
            "renew": True,
        }
        made = (await client.post("/api/loggers", json=body, headers=head)).json()
        chance = random.Random(name)
        high = float(row["high_c"])
        low = float(row["low_c"]) if row["low_c"] is not None else high - 40
        found = _Sending(
            made["key"], made["organisation"], made["number"], high, low, time.time() - 2, chance
        )
        if chance.random() < 0.2:
            found.warm_from = time.time() + chance.uniform(4, 12)
        return found

    async def _send(self, client: httpx.AsyncClient, logger: _Sending) -> None:
        now = time.time()
        count = int((now - logger.sent_to) / EVERY_S)
        if count < 1:
            return
        times = logger.sent_to + EVERY_S * np.arange(1, count + 1)
        middle, room = (logger.low + logger.high) / 2, (logger.high - logger.low) / 2
        noise = np.array([logger.chance.gauss(0, 0.08 * room) for _ in times])
        values = middle + noise
        if logger.warm_from is not None:
            warm = (times > logger.warm_from) & (times < logger.warm_from + 40)
            values = np.where(warm, logger.high + 0.4 * room + noise, values)
        tilt = np.array([abs(logger.chance.gauss(4, 2)) for _ in times])
        told = {"temperature_c": values, "tilt_deg": tilt, "battery": np.full(count, 0.9)}
        payload = encode(logger.sequence, float(times[0]), EVERY_S, told, now)
        answer = await client.post(
            f"/api/loggers/{logger.organisation}/{logger.number}/readings",
            content=payload,
            headers={"Authorization": f"Bearer {logger.key}"},
        )
        if answer.status_code == 201:
            logger.sequence += 1
            logger.sent_to = float(times[-1])
