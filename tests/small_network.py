"""A small network with calendars, for the tests of capacity and its benchmark."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg_pool import AsyncConnectionPool

from stafett.capacity.calendar import Hours, Kind, Resource
from stafett.ledger import Ledger
from stafett.service.accounts import Accounts, Organisation, Person
from stafett.service.bookings import Booking, Bookings
from stafett.service.network import Networks

NETWORK = "net"
PARTIES = {
    "apheresis_unit": "hospital", "treating_clinic": "hospital", "courier": "courier",
    "manufacturing": "plant", "quality_control": "laboratory",
}  # fmt: skip
ALWAYS = (Hours(tuple(range(7)), "00:00", "24:00"),)
KINDS: dict[str, tuple[str, Kind]] = {
    "chair": ("hospital", "apheresis-chair"),
    "van": ("courier", "courier"),
    "suite": ("plant", "manufacturing-suite"),
    "qc": ("laboratory", "qc-slot"),
    "bed": ("hospital", "bed"),
}
MONDAY = (datetime.now(UTC) + timedelta(days=10)).replace(
    hour=0, minute=0, second=0, microsecond=0
)  # any day to come: the calendars are always open


def person(organisation: str) -> Person:
    """Return somebody of an organisation."""
    return Person(f"{organisation}-1", f"{organisation}-1", organisation, organisation, ("x",))


def resource(id_: str, **more: Any) -> Resource:
    """Return one of the network's resources: always open, offered to all, on a grid of an hour."""
    organisation, kind = KINDS[id_.split("-")[0]]
    given: dict[str, Any] = {
        "id": id_, "organisation": organisation, "kind": kind, "title": id_, "zone": "UTC",
        "hours": ALWAYS, "step_minutes": 60, "shared_with": ("*",), "units": 50,
    }  # fmt: skip
    return Resource(**{**given, **more})


def booking(n: object, **more: Any) -> Booking:
    """Return a booking of the earliest chain that begins on Monday at 8."""
    given: dict[str, Any] = {
        "key": f"booking-{n}", "template": "autologous-car-t", "network": NETWORK,
        "patient": f"patient-{n}", "begin": MONDAY + timedelta(hours=8),
        "end": MONDAY + timedelta(hours=8),
    }  # fmt: skip
    return Booking(**{**given, **more})


@asynccontextmanager
async def opened(database: str, connections: int = 4, **suite: Any) -> AsyncIterator[Bookings]:
    """Open the use cases with a network whose only suite has one unit (or what `suite` says)."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        database, min_size=1, max_size=connections, open=False
    )
    async with pool, Ledger(database) as ledger:
        accounts = Accounts(pool)
        for organisation in sorted(set(PARTIES.values())):
            await accounts.add_organisation(Organisation(organisation, organisation, "hospital"))
        networks = Networks(pool)
        await networks.put(NETWORK, PARTIES)
        bookings = Bookings(pool, ledger, networks)
        for id_ in KINDS:
            more = {"units": 1, **suite} if id_ == "suite" else {}
            one = resource(id_, **more)
            await bookings.calendars.put(person(one.organisation), one, "made for a test")
        yield bookings


def killed(code: str) -> str:
    """Run `code` in a process of its own until it prints a line; kill -9 it, return the line."""
    path = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    )
    assert child.stdout is not None
    line = child.stdout.readline().decode().strip()
    child.send_signal(signal.SIGKILL)
    child.wait()
    return line
