"""The demo's watch: who is on call when, and another hospital that judges cases blind."""

from __future__ import annotations

from datetime import time

from stafett.service.accounts import Organisation, Person
from stafett.service.tower import Tower

PEER = Organisation("southern-university-hospital", "Södra universitetssjukhuset", "hospital")
JUDGES = (("peer-quality-1", "Gunnar Frisk"), ("peer-quality-2", "Signe Alm"))
ZONE = "Europe/Stockholm"
EVERY_DAY = range(7)
DAY, NIGHT = (time(7), time(19)), (time(19), time(7))


async def furnish(tower: Tower, people: list[Person], password: str) -> list[Person]:
    """Make the peer hospital and the shifts, unless they are there; return the judges."""
    await tower.accounts.add_organisation(PEER)
    there = {person.login for person in await tower.accounts.people()}
    judges = [Person(id_, id_, name, PEER.id, (), ("quality",)) for id_, name in JUDGES]
    for judge in judges:
        if judge.login not in there:
            await tower.accounts.add_person(judge, password)
    if await tower.rosters.all():
        return judges
    for role in ("case_management", "qualified_person"):
        mine = [person for person in people if role in person.roles]
        for person, (begins, ends) in zip(mine, (DAY, NIGHT), strict=False):
            await tower.rosters.put(person, person, role, EVERY_DAY, begins, ends, ZONE)
        if len(mine) > 2:
            whole = (time(0), time(23, 59))
            await tower.rosters.put(mine[2], mine[2], role, EVERY_DAY, *whole, ZONE, deputy=True)
    return judges
