"""FHIR over the record: read, search, an order in a transaction, and who is told of changes.

An organisation finds the journeys that it takes part in and nothing else: what is somebody else's
is not there. Resources are made from the record, each time the journey has changed, and found by an
index (`fhir_index`). Each journey that an answer shows is noted in the audit of reads.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from stafett.exchange import fhir_extra as extra
from stafett.exchange import fhir_order
from stafett.exchange.fhir_keys import wanted
from stafett.exchange.fhir_search import (
    WITHIN,
    Search,
    matches,
    read_search,
    referred,
    since,
    types,
)
from stafett.exchange.fhir_store import Hits, Place
from stafett.exchange.fhir_write import Bundle, Version, journey_of
from stafett.exchange.problem import Finding, Problem
from stafett.exchange.subscriptions import Subscriptions, Webhook
from stafett.ledger import Ledger
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.board import Board
from stafett.service.fhir_index import FhirIndex
from stafett.service.journeys import Journeys
from stafett.service.network import Networks
from stafett.service.readings import Look, Readings
from stafett.service.registry import Registry
from stafett.service.request import Order

Json = dict[str, Any]
PUBLIC = frozenset({"ResearchStudy"})
OTHERS = frozenset({"AuditEvent", "ResearchStudy", "Subscription"})


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

    # -- reading -------------------------------------------------------------------------------

    async def read(self, person: Person | None, version: Version, kind: str, id_: str) -> Json:
        """Return one resource; raise `Problem` 404 where there is none for this person."""
        async for resource in self._named(person, version, kind, id_):
            return resource
        raise Problem(404, "NoSuchResourceException", f"there is no {kind}/{id_[:80]} for you")

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
        for (_, journey, _), one in (await self._hits(person, version, asked, None, 1)).resources:
            await self._readings.note(person, "journey", journey)
            yield one

    async def search(self, person: Person | None, version: Version, asked: Search) -> Found:
        """Return a page of what answers to a search."""
        seek = _cursor(asked.page)
        if asked.kind in OTHERS:
            found = await self._among_others(person, version, asked, seek)
            along = [(one, "") for one in found.resources]
            return found._replace(included=await self._included(person, version, asked, along))
        assert person is not None
        after = _place(seek) if seek else None
        limit = 0 if asked.only_count else asked.count + 1
        hits = await self._hits(person, version, asked, after, limit)
        shown = hits.resources[: asked.count]
        more = len(hits.resources) > len(shown) and bool(shown)
        await self._readings.note_journeys(person, {place[1] for place, _ in shown})
        total = hits.total if not seek else None
        if total is None and not (more or seek):
            total = len(shown)
        along = [(one, place[1]) for place, one in shown]
        return Found(
            [r for _, r in shown],
            _token(_said(shown[-1][0])) if more else None,
            total,
            await self._included(person, version, asked, along),
        )

    async def _included(
        self, person: Person | None, version: Version, asked: Search, shown: list[tuple[Json, str]]
    ) -> list[Json]:
        """Give what the resources shown, each with its journey, refer to and the person may see."""
        if person is None or not asked.includes:
            return []
        patients = await self._patients(person, version, asked, {j for _, j in shown if j})
        names: dict[str, None] = {}
        for resource, journey in shown:
            about = {"patient": patients[journey]} if journey in patients else {}
            names.update(dict.fromkeys(referred(asked, resource, about)))
        for resource, _ in shown:
            names.pop(f"{resource['resourceType']}/{resource['id']}", None)
        return await self._by_name(person, version, list(names))

    async def _patients(
        self, person: Person, version: Version, asked: Search, journeys: set[str]
    ) -> dict[str, str]:
        """Give the patient of each journey, as its order names them, where that is asked for."""
        if not any("#patient" in one.paths for one in asked.includes):
            return {}
        orders = {Bundle(j, version).name("ServiceRequest", "order"): j for j in journeys}
        found = await self._by_name(person, version, list(orders))
        return {orders[f"ServiceRequest/{o['id']}"]: o["subject"]["reference"] for o in found}

    async def _by_name(self, person: Person, version: Version, names: list[str]) -> list[Json]:
        """Give the resources of journeys under these references, as far as the person has them."""
        found: list[Json] = []
        for kind in sorted({name.partition("/")[0] for name in names} - OTHERS):
            ids = [name.partition("/")[2] for name in names if name.startswith(f"{kind}/")]
            for first in range(0, len(ids), 100) if kind in types(version) else ():
                some = ids[first : first + 100]
                search = read_search(kind, [("_id", ",".join(some))])
                hits = await self._hits(person, version, search, None, len(some))
                await self._readings.note_journeys(person, {p[1] for p, _ in hits.resources})
                found += [one for _, one in hits.resources]
        return found

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

    async def _among_others(
        self, person: Person | None, version: Version, asked: Search, seek: str
    ) -> Found:
        """Look at each of what is no journey's: they are few, or in order of time."""
        found: list[Json] = []
        total, last, more = 0, "", False
        counting = asked.only_count or asked.accurate
        async for key, resource in self._others(person, version, asked, seek):
            if not matches(asked, resource, {}):
                continue
            total += 1
            if asked.only_count or len(found) == asked.count:
                more = not asked.only_count
                if not counting:
                    break
                continue
            found.append(resource)
            last = key
        known = counting or not (more or seek)
        return Found(found, _token(last) if more else None, total if known and not seek else None)

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


def _said(place: Place) -> str:
    return f"{place[0].astimezone(UTC).isoformat()}|{place[1]}|{place[2]:06d}"


def _place(said: str) -> Place:
    opened, _, rest = said.partition("|")
    journey, _, n = rest.rpartition("|")
    try:
        at = datetime.fromisoformat(opened)
        if at.tzinfo is None or "\0" in journey or not 0 <= int(n) < 2**31:
            raise ValueError
        return at, journey, int(n)
    except ValueError:
        raise _no_page() from None


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
        raise _no_page() from None


def _no_page() -> Problem:
    why = "take the address of the `next` link as it is"
    return Problem(400, "QueryParameterException", why, [Finding("_page", why)])
