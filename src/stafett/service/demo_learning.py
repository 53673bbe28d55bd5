"""A made-up example of a trial: five sites take up a change in turn, and its effect is known.

A fifth less time at the handoff was expected; the log was drawn with a quarter less. So the page of
trials shows what a stepped wedge looks like, and whether the method finds what was put in.
"""

from __future__ import annotations

import math
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from stafett.insight.registered import Trial
from stafett.service.accounts import Person
from stafett.service.foreign_logs import ForeignLogs
from stafett.service.trials import Trials

NAME: Final = "made-up-stepped-wedge.csv"
INTERFACE: Final = "collect → receive"
SITES: Final = ("Norra", "Södra", "Östra", "Västra", "Mellersta")
WEEKS: Final = 52
FIRST_WEEK, WEEKS_APART = 14, 6
HOURS, EFFECT, EXPECTED = 8.0, -0.25, -20.0
SITE_SD, SD = 0.15, 0.45  # of the logarithm of hours, between sites and between handoffs


async def furnish(logs: ForeignLogs, trials: Trials, person: Person) -> None:
    """Bring the log and register the trial for the organisation of `person`, unless it is there."""
    if any(log.name == NAME for log in await logs.of(person.organisation)):
        return
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday(), weeks=WEEKS)
    data = made_up(monday)
    kept = await logs.put(person.organisation, person.id, NAME, data, "Europe/Stockholm")
    starts = {name: start(monday, n).date() for n, name in enumerate(SITES)}
    trial = Trial(
        uuid.uuid4().hex, monday, person.id, person.organisation, (), f"log:{kept.id}", INTERFACE,
        "Papers travel ahead of the bag (made up)", "dwell", EXPECTED, starts,
    )  # fmt: skip
    await trials.register(trial)


def start(monday: datetime, number: int) -> datetime:
    """Return when a site begins: one after the other."""
    return monday + timedelta(weeks=FIRST_WEEK + WEEKS_APART * number)


def made_up(monday: datetime, seed: int = 7) -> bytes:
    """Draw the log: a year of handoffs from five sites to one plant, as CSV."""
    chance = random.Random(seed)
    lines = ["case,activity,timestamp,group"]
    for n, name in enumerate(SITES):
        usual = math.log(HOURS) + chance.gauss(0, SITE_SD)
        for week in range(WEEKS):
            for k in range(4):
                collected = monday + timedelta(weeks=week, days=k, hours=8 + 3 * chance.random())
                shorter = math.log1p(EFFECT) if collected >= start(monday, n) else 0.0
                hours = math.exp(usual + shorter + chance.gauss(0, SD))
                received = collected + timedelta(hours=hours)
                released = received + timedelta(hours=20 + 10 * chance.random())
                case = f"{name}-{week:02d}-{k}"
                for what, at, group in (
                    ("collect", collected, f"{name}: apheresis"),
                    ("receive", received, "Plant: receiving"),
                    ("release", released, "Plant: quality"),
                ):
                    lines.append(f"{case},{what},{at.isoformat(timespec='seconds')},{group}")
    return "\n".join(lines).encode()
