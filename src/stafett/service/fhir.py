"""FHIR over the record: read, search, an order in a transaction, and who is told of changes.

An organisation finds the journeys that it takes part in and nothing else: what is somebody else's
is not there. Resources are computed from the record, each time the journey has changed; nothing is
stored twice. Each journey that an answer shows is noted in the audit of reads.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC
from typing import Any, NamedTuple

import msgspec

from stafett.exchange import fhir_extra as extra
from stafett.exchange import fhir_order
from stafett.exchange.fhir_search import (
    WITHIN,
    Search,
    matches,
    read_search,
    since,
    types,
)
from stafett.exchange.fhir_write import Bundle, Version, journey_of
from stafett.exchange.problem import Finding, Problem
from stafett.exchange.subscriptions import Subscriptions, Webhook
from stafett.ledger import Ledger
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.board import Board, Row
from stafett.service.fhir_index import FhirIndex
from stafett.service.journeys import Done, Journeys
from stafett.service.network import Networks
from stafett.service.readings import Look, Readings
from stafett.service.registry import Registry
from stafett.service.request import Order

Json = dict[str, Any]
KEPT = 2_000  # journeys whose resources are in memory
PUBLIC = frozenset({"ResearchStudy"})
OTHERS = frozenset({"AuditEvent", "ResearchStudy", "Subscription"})


class Found(NamedTuple):
    """One page of a search: resources, the way to the next page, and how many where counted."""

    resources: list[Json]
    next: str | None
    total: int | None


class _Kept(NamedTuple):
    position: int  # of the latest event, in the ledger
    resources: dict[str, Json]
    about: dict[str, str]


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
    ) -> None:
        self._ledger, self._board, self._journeys = ledger, board, journeys
        self._networks, self._registry, self._readings = networks, registry, readings
        self._subscriptions = subscriptions
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._index = FhirIndex()

    # -- reading -------------------------------------------------------------------------------

    async def read(self, person: Person | None, version: Version, kind: str, id_: str) -> Json:
        """Return one resource; raise `Problem` 404 where there is none for this person."""
        async for resource in self._named(person, version, kind, id_):
            return resource
        raise Problem(404, "NoSuchResourceException", f"there is no {kind}/{id_[:80]} for you")

    async def _named(
        self, person: Person | None, version: Version, kind: str, id_: str
    ) -> AsyncIterator[Json]:
        if kind in OTHERS:
            async for _, one in self._others(person, version, read_search(kind, [("_id", id_)])):
                if one["id"] == id_:
                    yield one
            return
        assert person is not None
        journey = journey_of(id_)
        await self._board.caught_up()  # who has just ordered finds the order
        rows = [r for r in self._board.of(person.organisation) if journey in (None, r.journey)]
        for row in rows:
            kept = await self._resources(person, row, version)
            if kept and (found := kept.resources.get(f"{kind}/{id_}")) is not None:
                await self._journeys.see(person, row.journey)
                yield found

    async def search(self, person: Person | None, version: Version, asked: Search) -> Found:
        """Return a page of what answers to a search."""
        seek = _cursor(asked.page)
        found: list[Json] = []
        total, last, more = 0, "", False
        counting = asked.only_count or asked.accurate
        async for key, resource, about in self._all(person, version, asked, seek):
            if not matches(asked, resource, about):
                continue
            total += 1
            if asked.only_count or len(found) == asked.count:
                more = not asked.only_count
                if not counting:
                    break
                continue
            found.append(resource)
            last = key
        for journey in {j for r in found if (j := journey_of(r["id"])) is not None}:
            if person is not None and asked.kind not in OTHERS:
                await self._readings.note(person, "journey", journey)
        known = counting or not (more or seek)
        return Found(found, _token(last) if more else None, total if known and not seek else None)

    async def _all(
        self, person: Person | None, version: Version, asked: Search, seek: str
    ) -> AsyncIterator[tuple[str, Json, dict[str, str]]]:
        """Give (place in the order, resource, what it is about), beyond `seek`."""
        if asked.kind in OTHERS:
            async for key, one in self._others(person, version, asked, seek):
                yield key, one, {}
            return
        assert person is not None
        named = {
            journey_of(v.rpartition("/")[2])
            for name in ("_id", *WITHIN)
            for v in asked.values(name)
        }
        await self._board.caught_up()
        rows = sorted(self._board.of(person.organisation), key=lambda r: (r.opened, r.journey))
        for row in rows:
            if named and None not in named and row.journey not in named:
                continue
            place = f"{row.opened.astimezone(UTC).isoformat()}|{row.journey}"
            if place < seek.rpartition("|")[0]:
                continue
            if not self._index.may_answer(row.journey, version, row.position, asked):
                continue
            kept = await self._resources(person, row, version)
            if kept is None:
                continue
            if not self._index.knows(row.journey, version, row.position):
                every = kept.resources.values()
                self._index.learn(row.journey, version, row.position, every, kept.about)
            for n, (name, resource) in enumerate(kept.resources.items()):
                key = f"{place}|{n:06d}"
                if name.startswith(asked.kind + "/") and key > seek:
                    yield key, resource, kept.about

    async def _resources(self, person: Person, row: Row, version: Version) -> _Kept | None:
        if person.organisation not in row.parties:
            return None
        key = (row.journey, version)
        kept = self._kept.get(key)
        if kept is None or kept.position < row.position:
            kept = await self._computed(person, row.journey, version)
            if kept is None:
                return None
            self._kept[key] = kept
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept

    async def _computed(self, person: Person, journey: str, version: Version) -> _Kept | None:
        """Make a journey's resources from its record alone: no state of it need be in memory."""
        events = await self._ledger.stream(journey, organisation=person.organisation)
        if not events:
            return None
        opened = events[0].body
        await self._journeys.library.fetch(opened["pinned"])
        net = self._journeys.library.net(opened["pinned"], opened["event"].get("product"))
        giving = [n for n, s in net.protocol.steps.items() if s.kind == "administer"]
        bundle = Bundle(journey, version, giving, pseudonym=opened["pseudonym"])
        bundle.add([(e.version, e.body["event"]) for e in events])
        times = {e.version: e.recorded_at.isoformat() for e in events}
        for name, resource in bundle.resources.items():
            touched = bundle.touched[name]
            resource["meta"] = {"versionId": str(touched), "lastUpdated": times[touched]}
        about = {"patient": bundle.patient, "identifier": opened["pseudonym"]}
        return _Kept(events[-1].position, bundle.resources, about)

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
        wanted = fhir_order.read(body)
        network = wanted.network or await self._only_network(person)
        protocol = self._journeys.library.current().get(wanted.protocol)
        owner = protocol.document.value.get("owner") if protocol is not None else None
        role = wanted.role or (owner if owner in person.roles else next(iter(person.roles), ""))
        content = msgspec.json.encode([person.organisation, body], order="sorted")
        order = Order(
            key="fhir-" + hashlib.sha256(content).hexdigest(),
            role=role or "coordinator",
            protocol=wanted.protocol,
            product=wanted.product,
            network=network,
            wristband=wanted.wristband,
            coi=wanted.coi,
        )
        done = await self._journeys.order(person, order)
        kept = await self._computed(person, done.journey, version)
        assert kept is not None  # it has just been opened
        return fhir_order.response(body, list(_shown(kept, done)), done.replayed)

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


def _shown(kept: _Kept, done: Done) -> Iterator[tuple[str, str]]:
    for name in kept.resources:
        yield name, str(kept.resources[name]["meta"]["versionId"])


def _number(identifier: str) -> int:
    """Return the number of an AuditEvent's id; 0, which none has, where it is none."""
    digits = identifier.removeprefix("read-")
    good = digits.isascii() and digits.isdigit() and len(digits) < 19
    return int(digits) if good and identifier.startswith("read-") else 0


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _cursor(token: str) -> str:
    if not token:
        return ""
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        why = "take the address of the `next` link as it is"
        raise Problem(400, "QueryParameterException", why, [Finding("_page", why)]) from None
