"""Stores that send nothing: lots stand there, and no logger is fixed there."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request

from stafett.protocol.model import text
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.watch.stay import Unheard
from stafett.web import language as languages
from stafett.web.api import tower_of
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import role_titles

SHOWN = 50  # lots of one store, by name


class UnheardLot(msgspec.Struct, frozen=True):
    """A lot that stands in a store of which no logger tells; `since` when nobody has measured."""

    journey: str
    lot: str
    role: str
    organisation: str
    since: datetime


async def unheard(call: Call[Nothing, Nothing]) -> list[UnheardLot]:
    """List the lots of the organisation's journeys that stand where no logger is fixed."""
    watch = tower_of(call.request).conditions
    return [
        UnheardLot(one.journey, one.lot, one.role, one.organisation, one.since)
        for one in watch.unheard(call.request.state.person.organisation)
    ]


async def stores(request: Request, person: Person, *, own: bool = False) -> list[dict[str, Any]]:
    """Return each store that sends nothing, with its lots; `own`: the organisation's only."""
    tower = tower_of(request)
    language = languages.of(request, person.language)
    titles = role_titles(request)
    names = {o.id: o.name for o in (await tower.accounts.organisations()).values()}
    found = []
    every = tower.conditions.unheard(person.organisation)
    for (organisation, role), group in itertools.groupby(every, _store):
        those = list(group)  # since when nobody measures: the longest first
        if own and organisation != person.organisation:
            continue
        lots: list[dict[str, Any]] = []
        for one in those[:SHOWN]:
            live = await tower.journeys.live(one.journey)
            if live is not None:
                title = text(live.net.protocol.materials[one.material].title, language)
                lots.append({"lot": one, "coi": live.state.coi, "title": title})
        if not lots:
            continue
        found.append(
            {
                "role": text(titles[role], language) if role in titles else role,
                "organisation": names.get(organisation, organisation),
                "mine": organisation == person.organisation
                and policy.allows("register-logger", person),
                "since": those[0].since,
                "lots": lots,
                "count": len(those),
                "more": len(those) - len(lots),
            }
        )
    return found


def _store(one: Unheard) -> tuple[str, str]:
    return one.organisation, one.role


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/shipments/unheard", unheard, "Lots that no logger tells of", "see",
             answer=list[UnheardLot], tag="conditions"),
)  # fmt: skip
