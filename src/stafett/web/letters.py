"""Dead letters: what came and was refused, what could not be delivered, what waits for a match."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service import policy
from stafett.service.letters import SHOWN_BYTES, Letter, shown
from stafett.service.refusal import No
from stafett.web import pages
from stafett.web.api import problem, tower_of
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing

MENU = (Line("letters", "/exchange/letters", "menu.record", may="letters"),)
SHOWN = 50


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In which state: waiting for somebody, taken after all, or dropped."""

    state: Literal["waiting", "taken", "dropped"] = "waiting"


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was mended, or why it is given up."""

    reason: Annotated[str, msgspec.Meta(min_length=4, max_length=300)]


class Opened(msgspec.Struct, frozen=True):
    """A letter and what came, without the segments on the patient; null once it is decided."""

    letter: Letter
    text: str | None


async def letters(call: Call[Nothing, Which]) -> list[Letter]:
    """List the letters that the person answers for."""
    return await tower_of(call.request).letters.of(call.request.state.person, call.query.state)


async def letter(call: Call[Nothing, Nothing]) -> Opened:
    """Show one letter."""
    try:
        found, data = await tower_of(call.request).letters.see(
            call.request.state.person, call.path["letter"]
        )
    except No as no:
        raise problem(no) from None
    return Opened(found, None if data is None else shown(found, data))


async def retry(call: Call[Why, Nothing]) -> Letter:
    """Take a letter as if it came now."""
    try:
        return await tower_of(call.request).letters.retry(
            call.request.state.person, call.path["letter"], call.body.reason
        )
    except No as no:
        raise problem(no) from None


async def drop(call: Call[Why, Nothing]) -> Letter:
    """Give a letter up."""
    try:
        return await tower_of(call.request).letters.drop(
            call.request.state.person, call.path["letter"], call.body.reason
        )
    except No as no:
        raise problem(no) from None


async def letters_page(request: Request) -> Response:
    """What came and was refused, with what can be done about each."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    if not policy.allows("letters", person):
        no = No("wrong-role", "This is for those who answer for the exchange")
        return await pages.no_such(request, person, no)
    tower = tower_of(request)
    given = request.query_params.get("state", "waiting")
    state: Any = given if given in ("taken", "dropped") else "waiting"
    found = []
    for one in await tower.letters.of(person, state):
        data = None
        if one.size <= SHOWN_BYTES:
            _, data = await tower.letters.see(person, str(one.id))
        found.append((one, None if data is None else shown(one, data)))
    mappings, wrong = tower.results.mappings()
    hooks = [
        h for h in await tower.exchange.subscriptions.webhooks(dead=True)
        if h.owner == person.organisation
    ]  # fmt: skip
    waiting = await tower.exchange.joins.waiting(limit=SHOWN + 1, owner=person.organisation)
    return await pages.page(
        request, "letters.html", person, letters=found, state=state, hooks=hooks,
        waiting=[_told(stored.event) for stored in waiting[:SHOWN]], more=len(waiting) > SHOWN,
        names={p.id: p.name for p in await tower.accounts.people(person.organisation)},
        mappings=[m for m in mappings if m.organisation == person.organisation],
        # A file that cannot be read says nothing of whose it is: it is the operators'.
        wrong=wrong if "operator" in person.duties else [],
        may_revive=policy.allows("administer", person),
    )  # fmt: skip


def _told(event: dict[str, Any]) -> tuple[datetime, str, list[str]]:
    """Return when an event happened, what it was, and which things it names."""
    fields = ("epcList", "inputEPCList", "outputEPCList", "childEPCs")
    things = [thing for field in fields for thing in event.get(field, ())]
    things += [event["parentID"]] if "parentID" in event else []
    return datetime.fromisoformat(event["eventTime"]), event.get("bizStep", event["type"]), things


ROUTES = (Route("/exchange/letters", letters_page),)
GONE = {404: "There is no such letter.", 409: "It is refused again, or decided already."}
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/exchange/letters", letters, "Dead letters: what came and was refused",
        "letters", query=Which, answer=list[Letter], tag="exchange",
    ),
    Endpoint(
        "GET", "/api/exchange/letters/{letter}", letter, "One dead letter and what came",
        "letters", answer=Opened, answers={404: GONE[404]}, tag="exchange",
    ),
    Endpoint(
        "POST", "/api/exchange/letters/{letter}/retry", retry, "Take a dead letter after mending",
        "letters", Why, answer=Letter, answers=GONE, tag="exchange",
    ),
    Endpoint(
        "POST", "/api/exchange/letters/{letter}/drop", drop, "Give a dead letter up", "letters",
        Why, answer=Letter, answers=GONE, tag="exchange",
    ),
)  # fmt: skip
