"""The demo network: a Swedish one, with made-up organisations and people.

A university hospital with apheresis unit, cell laboratory, pharmacy and ward; a courier; a GMP
manufacturer; a QC laboratory. Everybody's password is PASSWORD: never run this for patients.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stafett.protocol.model import Role
from stafett.service import (
    demo_capacity,
    demo_learning,
    demo_registry,
    demo_results,
    demo_watch,
)
from stafett.service.accounts import Organisation, Person
from stafett.service.competence import Wanted
from stafett.service.demo_witnesses import witnessed
from stafett.service.tower import Tower
from stafett.watch.rules import Rules

PASSWORD = "stafett-demo"
NETWORK = "sweden-demo"
TITLE = "Sweden, made up for the demonstration"
LOGGERS = "courier-1"  # whose loggers the demo simulates
# A journey of the demo takes minutes: so does an excursion, and the pages show these figures.
PROFILE = Rules(profile="demo", sustained_s=10.0, cumulative_s=20.0)

# The numbers are among those that Sweden's telecom authority (PTS) keeps for films and books.
ORGANISATIONS = {
    "hospital": Organisation(
        "university-hospital", "Norra universitetssjukhuset", "hospital", phone="+46 8 465 004 01"
    ),
    "courier": Organisation(
        "nordic-cryo-courier", "Nordic Cryo Courier", "courier", phone="+46 8 465 004 02"
    ),
    "manufacturer": Organisation(
        "malaren-cell-works", "Mälaren Cell Works", "manufacturer", phone="+46 8 465 004 03"
    ),
    "laboratory": Organisation(
        "baltic-qc", "Baltic QC Laboratory", "laboratory", phone="+46 8 465 004 04"
    ),
    "authority": Organisation(
        "malaren-qp", "Mälaren QP Office", "authority", phone="+46 8 465 004 05"
    ),
}
# fmt: off
FIRST = (
    "Astrid", "Bengt", "Cecilia", "David", "Elin", "Farid", "Greta", "Henrik", "Ingrid", "Johan",
    "Karin", "Lars", "Maja", "Nils", "Olivia", "Per", "Rebecka", "Samir", "Tove", "Ulf", "Vera",
    "Wilma", "Yusuf", "Zahra", "Anders", "Birgitta", "Carl", "Dunja", "Emil", "Frida",
)
LAST = (
    "Lind", "Berg", "Holm", "Nyström", "Ek", "Sandberg", "Åkesson", "Dahl", "Öberg", "Wallin",
    "Sjögren", "Haddad",
)
# fmt: on
ADMINISTRATORS = {
    "courier": "Torsten Ström",
    "manufacturer": "Eva Mäkinen",
    "laboratory": "Jonas Vik",
    "authority": "Margit Falk",
}  # fmt: skip
COORDINATORS = {"treating_clinic", "case_management"}
PEOPLE_PER_ROLE = 3


def people_of(roles: dict[str, Role], parties: dict[str, str]) -> list[Person]:
    """Return three people for each role: enough for every double check and both signatures."""
    found = []
    for i, role in enumerate(roles):
        for n in range(1, PEOPLE_PER_ROLE + 1):
            k = i * PEOPLE_PER_ROLE + n - 1
            name = f"{FIRST[k % len(FIRST)]} {LAST[(k * 7 + k // len(FIRST)) % len(LAST)]}"
            login = f"{role.replace('_', '-')}-{n}"
            duties = ("coordinator",) if role in COORDINATORS else ()
            found.append(Person(login, login, name, parties[role], (role,), duties))
    return found


async def furnish(tower: Tower) -> list[Person]:
    """Make the demo network and its people, unless they are there; return the people."""
    await tower.library.renew()
    roles: dict[str, Role] = {}
    for pinned in tower.library.current().values():
        protocol = pinned.document.bind()
        for name, role in protocol.roles.items():
            roles.setdefault(name, role)
    parties = {name: ORGANISATIONS[role.organisation].id for name, role in roles.items()}
    if "qualified_person" in parties:
        parties["qualified_person"] = ORGANISATIONS["authority"].id
    for organisation in ORGANISATIONS.values():
        await tower.accounts.add_organisation(organisation)
    await tower.networks.put(NETWORK, parties, TITLE)
    people = people_of(roles, parties)
    administrators = [
        Person("administrator", "administrator", "Ada Admin", ORGANISATIONS["hospital"].id, (),
               ("administrator", "operator", "auditor", "registrar")),
        # An erasure takes two.
        Person("records-officer", "records-officer", "Birgit Norén", ORGANISATIONS["hospital"].id,
               (), ("administrator",)),
        *(
            Person(f"{kind}-admin", f"{kind}-admin", name, ORGANISATIONS[kind].id, (),
                   ("administrator", "auditor"))
            for kind, name in ADMINISTRATORS.items()
        ),
    ]  # fmt: skip
    there = {person.login for person in await tower.accounts.people()}
    for person in (*people, *administrators):
        if person.login not in there:
            await tower.accounts.add_person(person, PASSWORD)
    await train(tower, people)
    await demo_capacity.furnish(tower.bookings, tower.waitlist, parties, NETWORK)
    await demo_registry.furnish(tower.registry, administrators[0])
    await demo_results.furnish(tower.results)
    await demo_learning.furnish(tower.learning.logs, tower.learning.trials, administrators[0])
    witnessed(tower.publishing, [one.id for one in ORGANISATIONS.values()])
    judges = await demo_watch.furnish(tower, people, PASSWORD)
    return [*people, *administrators, *judges]


async def train(tower: Tower, people: list[Person]) -> None:
    """Let each organisation's administrator make its people competent for a year in what they do.

    They are so in the protocols as they are now: also in a version that came with a newer Stafett.
    What somebody was granted once for a version is left as it is, withdrawn or run out.
    """
    trainers: dict[str, Person] = {}
    for known in await tower.accounts.people():  # by name
        if "administrator" in known.duties:
            trainers.setdefault(known.organisation, known)
    granted = {
        (grant.person, grant.protocol, grant.version, grant.role)
        for organisation in trainers
        for grant in await tower.competences.of_organisation(organisation)
    }
    until = datetime.now(UTC) + timedelta(days=365)
    wanted: dict[str, list[Wanted]] = {}
    for person in people:
        for pinned in tower.library.current().values():
            for role in person.roles:
                is_new = (person.id, pinned.name, pinned.version, role) not in granted
                if is_new and role in pinned.document.bind().roles:
                    one = Wanted(person.id, pinned.name, pinned.version, role, until)
                    wanted.setdefault(person.organisation, []).append(one)
    for organisation, grants in wanted.items():
        reason = "the demo network's people are trained"
        await tower.competences.grant(trainers[organisation], grants, reason)
