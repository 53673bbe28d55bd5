"""The demonstration's calendars: resources, booked and held chains, a waitlist. All made up."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

from stafett.capacity.calendar import Change, Hours, Kind, Resource
from stafett.capacity.rule import Waiting
from stafett.service.accounts import Person
from stafett.service.bookings import Booking, Bookings
from stafett.service.refusal import No
from stafett.service.waitlist import Waitlist

REASON = "demonstration"
ZONE = "Europe/Stockholm"
WEEKDAYS, ALL = (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5, 6)
CHAINS, WAITING = 9, 8
# role, kind, id, title, units, hours, continuous
RESOURCES: tuple[tuple[str, Kind, str, str, int, tuple[Hours, ...], bool], ...] = (
    ("apheresis_unit", "apheresis-chair", "demo-apheresis", "Apheresis chair", 2,
     (Hours(WEEKDAYS, "08:00", "16:00"),), False),
    ("courier", "courier", "demo-courier", "Courier, cold chain", 4,
     (Hours(ALL, "06:00", "22:00"),), True),
    ("manufacturing", "manufacturing-suite", "demo-suite", "CAR-T suite", 2,
     (Hours(ALL, "06:00", "22:00"),), True),
    ("quality_control", "qc-slot", "demo-qc", "Release testing", 3,
     (Hours(WEEKDAYS, "07:00", "17:00"),), True),
    ("treating_clinic", "bed", "demo-bed", "CAR-T bed", 4, (Hours(ALL, "08:00", "20:00"),), True),
)  # fmt: skip


async def furnish(
    bookings: Bookings, waitlist: Waitlist, parties: dict[str, str], network: str
) -> None:
    """Make the calendars live, unless they are there."""
    if await bookings.calendars.every():
        return
    draw, now = random.Random(1), datetime.now(UTC)
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0)
    service = Change(monday + timedelta(days=21), monday + timedelta(days=23), 0, "yearly service")
    await asyncio.gather(
        *(
            bookings.calendars.put(
                _person(parties[role]),
                Resource(
                    id=id_,
                    organisation=parties[role],
                    kind=kind,
                    title=title,
                    zone=ZONE,
                    units=units,
                    hours=hours,
                    continuous=continuous,
                    shared_with=("*",),
                    changes=(service,) if kind == "apheresis-chair" else (),
                ),
                REASON,
            )
            for role, kind, id_, title, units, hours, continuous in RESOURCES
        )
    )
    clinic = _person(parties["treating_clinic"])
    for n in range(CHAINS):
        begin = now + timedelta(days=1 + 2.5 * n)
        try:
            await bookings.book(
                clinic,
                Booking(
                    key=f"demonstration-{n}", template="autologous-car-t", network=network,
                    patient=f"demo-{draw.randrange(1000, 9999)}", begin=begin,
                    end=begin + timedelta(days=20), urgency=draw.choice((1, 2, 2, 3, 3)),
                    hold_minutes=2 * 1440 if n % 4 == 3 else None,
                ),
            )  # fmt: skip
        except No:  # the calendars are full: that is a demonstration too
            break
    await asyncio.gather(
        *(
            waitlist.put(
                clinic,
                Waiting(
                    patient=f"wait-{draw.randrange(1000, 9999)}",
                    organisation=clinic.organisation,
                    template="autologous-car-t",
                    urgency=draw.choice(("1", "2", "3", "3")),
                    completion=round(draw.uniform(0.4, 0.95), 2),
                    listed_at=now - timedelta(days=draw.randrange(5, 200)),
                    group=draw.choice(("Norra", "Mellansverige")),
                ),
            )
            for _ in range(WAITING)
        )
    )


def _person(organisation: str) -> Person:
    return Person("demo-booking", "demo-booking", "Demo booking", organisation)
