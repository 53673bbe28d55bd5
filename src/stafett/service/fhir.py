"""FHIR over the record: read, search, an order in a transaction, and who is told of changes.

An organisation finds the journeys that it takes part in and nothing else: what is somebody else's
is not there. Resources are made from the record, each time the journey has changed, and found by an
index (`fhir_index`). Each journey that an answer shows is noted in the audit of reads.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import cmp_to_key
from typing import Any, NamedTuple

import msgspec

from stafett.exchange import fhir_extra as extra
from stafett.exchange import fhir_order
from stafett.exchange.fhir_keys import wanted
from stafett.exchange.fhir_parameters import types
from stafett.exchange.fhir_search import WITHIN, Search, matches, read_search, since
from stafett.exchange.fhir_sort import compare, keys
from stafett.exchange.fhir_store import Hits, Place
from stafett.exchange.fhir_write import Version, journey_of
from stafett.exchange.problem import Finding, Problem
from stafett.exchange.subscriptions import Subscriptions, Webhook
from stafett.ledger import Ledger
from stafett.service import fhir_pages, policy
from stafett.service.accounts import Person
from stafett.service.board import Board
from stafett.service.fhir_along import OTHERS, Companions
from stafett.service.fhir_index import FhirIndex
from stafett.service.fhir_pages import OtherPlace
from stafett.service.journeys import Journeys
from stafett.service.network import Networks
from stafett.service.readings import Look, Readings
from stafett.service.registry import Registry
from stafett.service.request import Order

Json = dict[str, Any]
PUBLIC = frozenset({"ResearchStudy"})


class Found(NamedTuple):
    """One page of a search: resources, the way to the next page, and how many where counted.

    `included` is what they refer to, where that was asked for.
    """

    resources: list[Json]
    next: str | None
    total: int | None
    included: Sequence[Json] = ()


class Fhir:
    """The use cases behind `/fhir`."""

    def __init__(
        self,
        ledger: Ledger,
        board: Board,
        journeys: Journeys,
        networks: Networks,
        registry: Registry,
        readings: Readings,
        subscriptions: Subscriptions,
        index: FhirIndex,
    ) -> None:
        self._ledger, self._board, self._journeys = ledger, board, journeys
        self._networks, self._registry, self._readings = networks, registry, readings
        self._subscriptions = subscriptions
        self._index = index
        self._companions = Companions(self._hits, readings)

    # -- reading -------------------------------------------------------------------------------

    async def read(self, person: Person | None, version: Version, kind: str, id_: str) -> Json:
        """Return one resource; raise `Problem` 404 where there is none for this person."""
        async for resource in self._named(person, version, kind, id_):
            return resource
        raise _absent(kind, id_)

    async def _named(
        self, person: Person | None, version: Version, kind: str, id_: str
    ) -> AsyncIterator[Json]:
        asked = read_search(kind, [("_id", id_)])
        if kind in OTHERS:
            async for _, one in self._others(person, version, asked):
                if one["id"] == id_:
                    yield one
            return
        assert person is not None
        for place, one in (await self._hits(person, version, asked, None, 1)).resources:
            await self._readings.note(person, "journey", place.journey)
            yield one

    async def versions(self, person: Person, version: Version, kind: str, id_: str) -> list[Json]:
        """Return a resource as it was after each event that changed it, the first first.

        Raises `Problem` 404 where there is none for this person, or none of this type.
        """
        if kind in OTHERS:
            raise Problem(404, "NoSuchResourceException", f"{kind} has no history here")
        asked = read_search(kind, [("_id", id_)])
        for place, _ in (await self._hits(person, version, asked, None, 1)).resources:
            await self._readings.note(person, "journey", place.journey)
            row = self._board.rows[place.journey]
            return await self._index.versions(version, row, f"{kind}/{id_}")
        raise _absent(kind, id_)

    async def search(self, person: Person | None, version: Version, asked: Search) -> Found:
        """Return a page of what answers to a search."""
        if asked.kind in OTHERS:
            found = await self._among_others(person, version, asked)
            along = [(one, "") for one in found.resources]
            return found._replace(included=await self._included(person, version, asked, along))
        assert person is not None
        after = fhir_pages.read_place(asked.page, asked.sorts)
        limit = 0 if asked.only_count else asked.count + 1
        hits = await self._hits(person, version, asked, after, limit)
        shown = hits.resources[: asked.count]
        more = len(hits.resources) > len(shown) and bool(shown)
        await self._readings.note_journeys(person, {place.journey for place, _ in shown})
        total = hits.total if after is None else None
        if total is None and not (more or after):
            total = len(shown)
        along = [(one, place.journey) for place, one in shown]
        return Found(
            [r for _, r in shown],
            fhir_pages.write(shown[-1][0], asked.sorts) if more else None,
            total,
            await self._included(person, version, asked, along),
        )

    async def _included(
        self, person: Person | None, version: Version, asked: Search, shown: list[tuple[Json, str]]
    ) -> list[Json]:
        if person is None or not asked.alongs:
            return []
        return await self._companions.of(person, version, asked, shown)

    async def _hits(
        self, person: Person, version: Version, asked: Search, after: Place | None, limit: int
    ) -> Hits:
        """Find among the journeys that the person's organisation takes part in, as they are now."""
        named = {
            journey_of(v.rpartition("/")[2])
            for name in ("_id", *WITHIN)
            for v in asked.values(name)
        }
        await self._board.caught_up()  # who has just ordered finds the order
        only = [] if None in named else [n for n in named if n is not None]
        await self._index.complete(version, person.organisation, only)
        counting = asked.only_count or asked.accurate
        return await self._index.store.search(
            version, person.organisation, asked.kind, wanted(asked),
            after=after, limit=limit, count=counting and after is None,
        )  # fmt: skip

    async def _among_others(self, person: Person | None, version: Version, asked: Search) -> Found:
        """Look at each of what is no journey's: they are few, or in order of time."""
        found: list[Json] = []
        total, last, more = 0, OtherPlace(""), False
        counting = asked.only_count or asked.accurate
        after = fhir_pages.read_other(asked.page, asked.sorts)
        async for place, resource in self._in_order(person, version, asked, after):
            total += 1
            if asked.only_count or len(found) == asked.count:
                more = not asked.only_count
                if not counting:
                    break
                continue
            found.append(resource)
            last = place
        known = counting or not (more or after)
        following = fhir_pages.write(last, asked.sorts) if more else None
        return Found(found, following, total if known and not after else None)

    async def _in_order(
        self, person: Person | None, version: Version, asked: Search, after: OtherPlace | None
    ) -> AsyncIterator[tuple[OtherPlace, Json]]:
        """Give what answers and is no journey's, beyond `after`, in the order that is asked for."""
        if asked.kind == "AuditEvent" or not asked.sorts:  # the one order of looks is their own
            seek = after.id if after else ""
            async for name, one in self._others(person, version, asked, seek):
                if matches(asked, one, {}):
                    yield OtherPlace(name, keys(asked.sorts, one, {})), one
            return
        order = asked.sorts

        def before(a: OtherPlace, b: OtherPlace) -> int:
            return compare(order, a.keys, b.keys) or (a.id > b.id) - (a.id < b.id)

        def both(a: tuple[OtherPlace, Json], b: tuple[OtherPlace, Json]) -> int:
            return before(a[0], b[0])

        every = [
            (OtherPlace(name, keys(order, one, {})), one)
            async for name, one in self._others(person, version, asked)
            if matches(asked, one, {})
        ]
        for place, one in sorted(every, key=cmp_to_key(both)):
            if after is None or before(place, after) > 0:
                yield place, one

    async def _others(
        self, person: Person | None, version: Version, asked: Search, seek: str = ""
    ) -> AsyncIterator[tuple[str, Json]]:
        """Give (place in the order, resource) of what is no journey's, beyond `seek`."""
        if asked.kind == "ResearchStudy":
            await self._registry.refresh()
            for trial in sorted(self._registry.all("trial"), key=lambda t: str(t.id)):
                if str(trial.id) > seek:
                    latest = self._registry.history("trial", trial.id)[-1]
                    yield (
                        str(trial.id),
                        extra.study(version, trial, latest.version, latest.recorded_at),
                    )
            return
        assert person is not None
        if asked.kind == "Subscription":
            _may(person, "administer")
            for hook in sorted(await self._subscriptions.webhooks(), key=lambda h: str(h.id)):
                mine = hook.owner == person.organisation and hook.mode == mode_of(version)
                if mine and str(hook.id) > seek:
                    yield str(hook.id), extra.subscription(version, hook)
            return
        _may(person, "audit")
        async for look in self._looks(person, asked, seek):
            yield (
                str(look.id),
                extra.audit_event(
                    version, look.id, look.at, look.person, look.organisation, look.what
                ),
            )

    async def _looks(self, person: Person, asked: Search, seek: str) -> AsyncIterator[Look]:
        """Give looks, the latest first, no further back than an answer may be."""
        shared = frozenset(r.journey for r in self._board.of(person.organisation))
        numbers = sorted((_number(v) for v in asked.values("_id")), reverse=True)
        about = {journey_of(v.rpartition("/")[2]) for v in asked.values("entity")}
        journey = about.pop() if len(about) == 1 else None
        lows = [*since(asked), *since(asked, "date")]
        before = _number(f"read-{seek}") or None
        for number in numbers:
            for look in await self._readings.of(
                person.organisation, shared, before=number + 1, limit=1
            ):
                if look.id == number and (before is None or number < before):
                    yield look
        while not numbers:
            looks = await self._readings.of(
                person.organisation, shared, journey=journey or "", before=before, limit=500
            )
            for look in looks:
                if any(look.at < low for low in lows):
                    return
                yield look
            if len(looks) < 500:
                return
            before = looks[-1].id

    # -- writing -------------------------------------------------------------------------------

    async def transaction(self, person: Person, version: Version, body: Json) -> Json:
        """Open a journey by a transaction Bundle; return the transaction-response.

        The same bundle again opens nothing and gives the same answer. Raises `Problem` and No.
        """
        _may(person, "order")
        asked = fhir_order.read(body)
        network = asked.network or await self._only_network(person)
        protocol = self._journeys.library.current().get(asked.protocol)
        owner = protocol.document.value.get("owner") if protocol is not None else None
        role = asked.role or (owner if owner in person.roles else next(iter(person.roles), ""))
        content = msgspec.json.encode([person.organisation, body], order="sorted")
        order = Order(
            key="fhir-" + hashlib.sha256(content).hexdigest(),
            role=role or "coordinator",
            protocol=asked.protocol,
            product=asked.product,
            network=network,
            wristband=asked.wristband,
            coi=asked.coi,
        )
        done = await self._journeys.order(person, order)
        await self._board.caught_up()
        kept = await self._index.made_of(version, self._board.rows[done.journey])
        return fhir_order.response(body, list(_shown(kept.resources)), done.replayed)

    async def _only_network(self, person: Person) -> str:
        every = await self._networks.all()
        own = [n for n, parties in every.items() if person.organisation in parties.values()]
        if len(own) != 1:
            why = f"say which network: one of {', '.join(sorted(own)) or '(you are in none)'}"
            raise Problem(
                422, "ValidationException", why, [Finding("ServiceRequest.performer", why)]
            )
        return own[0]

    async def subscribe(self, person: Person, version: Version, body: Json) -> Json:
        """Tell an address of each change; raise `Problem` for a wrong wish."""
        _may(person, "administer")
        dest, secret = extra.wish(body)
        hook = await self._subscriptions.announce(
            dest, mode_of(version), owner=person.organisation, secret=secret,
            position=await self._ledger.size(),
        )  # fmt: skip
        return extra.subscription(version, hook)

    async def unsubscribe(self, person: Person, version: Version, id_: str) -> None:
        """End a subscription of the person's organisation; raise `Problem` 404 if there is none."""
        _may(person, "administer")
        await self._subscriptions.unsubscribe((await self._hook(person, version, id_)).id)

    async def _hook(self, person: Person, version: Version, id_: str) -> Webhook:
        absent = Problem(404, "NoSuchResourceException", f"there is no Subscription/{id_[:80]}")
        try:
            hook = await self._subscriptions.webhook(uuid.UUID(id_))
        except (ValueError, Problem):
            raise absent from None
        if hook.owner != person.organisation or hook.mode != mode_of(version):
            raise absent
        return hook


def _absent(kind: str, id_: str) -> Problem:
    return Problem(404, "NoSuchResourceException", f"there is no {kind}/{id_[:80]} for you")


def mode_of(version: Version) -> Any:
    """Return the deliveries' mode for a FHIR version."""
    return "fhir-r5" if version == "R5" else "fhir-r4b"


def allowed(kind: str, version: Version) -> None:
    """Raise `Problem` 404 unless there is such a type in this version."""
    if kind not in types(version):
        why = f"{version} here has: {', '.join(types(version))}"
        raise Problem(404, "NoSuchResourceException", f"{kind[:60]!r} is not served; {why}")


def _may(person: Person, line: str) -> None:
    if not policy.allows(line, person):
        duties = " or ".join(policy.TABLE[line])
        raise Problem(403, "SecurityException", f"your account may not do this: it takes {duties}")


def _shown(resources: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for name, resource in resources.items():
        yield name, str(resource["meta"]["versionId"])


def _number(identifier: str) -> int:
    """Return the number of an AuditEvent's id; 0, which none has, where it is none."""
    digits = identifier.removeprefix("read-")
    good = digits.isascii() and digits.isdigit() and len(digits) < 19
    return int(digits) if good and identifier.startswith("read-") else 0
