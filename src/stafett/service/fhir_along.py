"""What a FHIR search brings along, fetched: `_include`, `_revinclude` and `:iterate`.

Everything is found as a search of its own would find it, so nothing comes along that the person
could not have asked for, and each journey that is shown is noted in the audit of reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from stafett.exchange.fhir_along import Along
from stafett.exchange.fhir_parameters import Json, types
from stafett.exchange.fhir_search import Search, read_search
from stafett.exchange.fhir_store import Hits
from stafett.exchange.fhir_write import Bundle, Version
from stafett.exchange.problem import Finding, Problem
from stafett.service.accounts import Person
from stafett.service.readings import Readings

MOST: Final = 2_000  # resources that one answer brings along
AT_ONCE: Final = 100
# What is no journey's; it is read by other rules, and nothing of it is brought along.
OTHERS: Final = frozenset({"AuditEvent", "ResearchStudy", "Subscription"})

Finds = Callable[[Person, Version, Search, None, int], Awaitable[Hits]]
Shown = tuple[Json, str]  # a resource, and its journey or ""


class Companions:
    """Fetches what goes along with an answer; `find` searches the resources of journeys."""

    def __init__(self, find: Finds, readings: Readings) -> None:
        self._find, self._readings = find, readings

    async def of(
        self, person: Person, version: Version, asked: Search, shown: Sequence[Shown]
    ) -> list[Json]:
        """Give what goes along with what is shown, each once; `Problem` 400 if it is too much."""
        seen = {_name(one) for one, _ in shown}
        found: list[Json] = []
        fresh, following = list(shown), list(asked.alongs)
        while fresh and following:
            left = MOST - len(found)
            # Back one more than there is room for, beside what is there already: then it is told.
            new = [
                *await self._forward(person, version, following, fresh, seen),
                *await self._back(person, version, following, fresh, left + len(seen) + 1),
            ]
            unseen = {_name(one): (one, journey) for one, journey in new}
            fresh = [both for name, both in unseen.items() if name not in seen]
            if len(fresh) > left:
                why = f"would bring more than {MOST:,} along; ask for fewer at a time (_count)"
                name = "_revinclude" if any(one.back for one in asked.alongs) else "_include"
                raise Problem(400, "QueryTooLargeException", f"{name} {why}", [Finding(name, why)])
            seen.update(unseen)
            found += [one for one, _ in fresh]
            following = [one for one in asked.alongs if one.again]
        return found

    async def _forward(
        self, person: Person, version: Version, follow: Iterable[Along], fresh: Iterable[Shown],
        seen: set[str],
    ) -> list[Shown]:  # fmt: skip
        ahead = [one for one in follow if not one.back]
        patients = await self._patients(person, version, ahead, {j for _, j in fresh if j})
        names: dict[str, None] = {}
        for resource, journey in fresh:
            about = {"patient": patients[journey]} if journey in patients else {}
            for one in ahead:
                names.update(dict.fromkeys(one.references(resource, about)))
        return await self._by_name(person, version, [name for name in names if name not in seen])

    async def _back(
        self, person: Person, version: Version, follow: Iterable[Along], fresh: Iterable[Shown],
        enough: int,
    ) -> list[Shown]:  # fmt: skip
        found: list[Shown] = []
        for one in follow:
            if not one.back or one.source not in types(version):
                continue
            names = [_name(r) for r, _ in fresh if one.leads_to(str(r["resourceType"]))]
            for first in range(0, len(names), AT_ONCE):
                some = ",".join(names[first : first + AT_ONCE])
                search = read_search(one.source, [(one.name, some)])
                found += await self._hits(person, version, search, enough)
        return found

    async def _patients(
        self, person: Person, version: Version, follow: Iterable[Along], journeys: set[str]
    ) -> dict[str, str]:
        """Give the patient of each journey, as its order names them, where that is asked for."""
        if not any("#patient" in one.paths for one in follow):
            return {}
        orders = {Bundle(j, version).name("ServiceRequest", "order"): j for j in journeys}
        found = await self._by_name(person, version, list(orders))
        return {orders[_name(o)]: o["subject"]["reference"] for o, _ in found}

    async def _by_name(self, person: Person, version: Version, names: list[str]) -> list[Shown]:
        """Give the resources of journeys under these references, as far as the person has them."""
        found: list[Shown] = []
        for kind in sorted({name.partition("/")[0] for name in names} - OTHERS):
            ids = [name.partition("/")[2] for name in names if name.startswith(f"{kind}/")]
            for first in range(0, len(ids), AT_ONCE) if kind in types(version) else ():
                some = ids[first : first + AT_ONCE]
                search = read_search(kind, [("_id", ",".join(some))])
                found += await self._hits(person, version, search, len(some))
        return found

    async def _hits(
        self, person: Person, version: Version, search: Search, limit: int
    ) -> list[Shown]:
        hits = await self._find(person, version, search, None, limit)
        await self._readings.note_journeys(person, {p.journey for p, _ in hits.resources})
        return [(one, place.journey) for place, one in hits.resources]


def _name(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
