"""Capacity in the control tower: the calendar of slot chains, moves, the waitlist and its rule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
from babel.dates import format_date
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.capacity.booking import Chain, Moment, Place, Preview
from stafett.capacity.calendar import Resource
from stafett.capacity.chain import Template, templates
from stafett.capacity.rule import Rule, Waiting
from stafett.protocol.fit import plain
from stafett.service import policy
from stafett.service.bookings import Booking, Window
from stafett.service.refusal import No, Reason
from stafett.service.request import Key
from stafett.service.tower import Tower
from stafett.service.waitlist import Adopted, Comparison, Line
from stafett.web import lanes, language, pages, replans, zone
from stafett.web.api import problem, tower_of
from stafett.web.area import Line as MenuLine
from stafett.web.endpoint import Call, Endpoint, Nothing

MENU = (
    MenuLine("capacity", "/capacity", "menu.watch"),
    MenuLine("capacity.waitlist", "/capacity/waiting", "menu.watch"),
)
WEEKS = 5
Seen = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A resource, and why it is kept or changed."""

    resource: Resource
    reason: Why


class Between(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of time."""

    begin: Moment
    end: Moment


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of a chain as it was seen. `reason` is asked where slots are given back."""

    key: Key
    seen: Seen
    reason: Annotated[str, msgspec.Meta(max_length=300)] = ""


class Try(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link to be moved, to when, and (if not where it is) into which resource."""

    link: Annotated[str, msgspec.Meta(max_length=63)]
    begins: Moment
    resource: Annotated[str, msgspec.Meta(max_length=63)] | None = None


class Moving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A move as a preview has shown it: all its slots, and the version seen."""

    key: Key
    seen: Seen
    slots: Annotated[list[Place], msgspec.Meta(max_length=20)]
    reason: Why


class Given(msgspec.Struct, frozen=True):
    """What a cancellation came to. `offered`: somebody who waits is now asked."""

    chain: Chain
    offered: bool


class Because(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a patient leaves the list."""

    reason: Why


class Adopting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule to adopt, why, and the version in force that was seen."""

    rule: Rule
    reason: Why
    seen: Seen


async def resources(call: Call[Nothing, Nothing]) -> list[Resource]:
    """List the own resources."""
    return await tower_of(call.request).bookings.calendars.own(call.request.state.person)


async def keep(call: Call[Kept, Nothing]) -> list[str]:
    """Keep a resource; return the chains that no longer fit it."""
    try:
        if call.body.resource.id != call.path["resource"]:
            what = "is another than in the address"
            raise No("bad-value", "Two names", Reason("resource/id", what, "send one"))
        return await tower_of(call.request).bookings.calendars.put(
            call.request.state.person, call.body.resource, call.body.reason
        )
    except No as no:
        raise problem(no) from None


async def kinds(call: Call[Nothing, Nothing]) -> list[Template]:
    """List the templates."""
    return list(templates().values())


async def search(call: Call[Window, Nothing]) -> list[list[Place]]:
    """Find free chains."""
    try:
        return await tower_of(call.request).bookings.search(call.request.state.person, call.body)
    except No as no:
        raise problem(no) from None


async def book(call: Call[Booking, Nothing]) -> Chain:
    """Hold or book a chain."""
    try:
        return await tower_of(call.request).bookings.book(call.request.state.person, call.body)
    except No as no:
        raise problem(no) from None


async def chains(call: Call[Nothing, Between]) -> list[Chain]:
    """List the chains of a stretch of time."""
    person = call.request.state.person
    return await tower_of(call.request).bookings.chains(person, call.query.begin, call.query.end)


async def see(call: Call[Nothing, Nothing]) -> Chain:
    """Show a chain."""
    try:
        return await tower_of(call.request).bookings.see(
            call.request.state.person, call.path["chain"]
        )
    except No as no:
        raise problem(no) from None


async def confirm(call: Call[Step, Nothing]) -> Chain:
    """Book what was held."""
    try:
        return await tower_of(call.request).bookings.confirm(
            call.request.state.person, call.path["chain"], call.body.seen, call.body.key
        )
    except No as no:
        raise problem(no) from None


async def cancel(call: Call[Step, Nothing]) -> Given:
    """Give a chain back; what is free is offered by the rule."""
    body = call.body
    try:
        chain, offer = await tower_of(call.request).offers.cancel(
            call.request.state.person, call.path["chain"], body.seen, body.key, body.reason
        )
    except No as no:
        raise problem(no) from None
    return Given(chain, offer is not None)


async def preview(call: Call[Try, Nothing]) -> Preview:
    """Show what a move would do."""
    body = call.body
    try:
        return await tower_of(call.request).bookings.moves.preview(
            call.request.state.person, call.path["chain"], body.link, body.begins, body.resource
        )
    except No as no:
        raise problem(no) from None


async def move(call: Call[Moving, Nothing]) -> Chain:
    """Make the move that a preview has shown."""
    body = call.body
    try:
        return await tower_of(call.request).bookings.moves.move(
            call.request.state.person, call.path["chain"], body.seen, body.slots, body.key,
            body.reason,
        )  # fmt: skip
    except No as no:
        raise problem(no) from None


async def waiting(call: Call[Nothing, Nothing]) -> list[Line]:
    """List the own patients who wait, each with its place and why."""
    return await tower_of(call.request).waitlist.lines(call.request.state.person)


async def over(call: Call[Nothing, Nothing]) -> list[Waiting]:
    """List the own patients on the list whose journey is over: they are offered nothing."""
    return await tower_of(call.request).waitlist.over(call.request.state.person)


async def enlist(call: Call[Waiting, Nothing]) -> None:
    """Put a patient on the list."""
    try:
        await tower_of(call.request).waitlist.put(call.request.state.person, call.body)
    except No as no:
        raise problem(no) from None


async def delist(call: Call[Because, Nothing]) -> None:
    """Take a patient off the list."""
    try:
        await tower_of(call.request).waitlist.remove(
            call.request.state.person, call.path["patient"], call.body.reason
        )
    except No as no:
        raise problem(no) from None


async def rule(call: Call[Nothing, Nothing]) -> Adopted:
    """Show the rule in force: public."""
    return await tower_of(call.request).waitlist.rule()


async def compare(call: Call[Rule, Nothing]) -> Comparison:
    """Replay a proposed rule beside the one in force."""
    try:
        return await tower_of(call.request).waitlist.compare(call.request.state.person, call.body)
    except No as no:
        raise problem(no) from None


async def adopt(call: Call[Adopting, Nothing]) -> Adopted:
    """Adopt a rule."""
    body = call.body
    try:
        return await tower_of(call.request).waitlist.adopt(
            call.request.state.person, body.rule, body.reason, body.seen
        )
    except No as no:
        raise problem(no) from None


# -- pages ---------------------------------------------------------------------------------------


def _day(text: str) -> date:
    """Return the Monday of the week asked for, or of this week."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = datetime.now(zone.here()).date()
    day = min(max(day, date(2000, 1, 8)), date(2100, 1, 1))
    return day - timedelta(days=day.weekday())


async def calendar_page(request: Request) -> Response:
    """The calendar: a lane for each unit, a block for each link."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    monday = _day(request.query_params.get("from", ""))
    begin = datetime.combine(monday, datetime.min.time(), zone.here())
    end = begin + timedelta(weeks=WEEKS)
    await tower.offers.sweep()
    found = await tower.bookings.chains(person, begin, end)
    own = await tower.bookings.calendars.own(person)
    called = await tower.bookings.calendars.titles({p.resource for c in found for p in c.slots})
    names = {o.id: o.name for o in (await tower.accounts.organisations()).values()}
    code = language.of(request, person.language)
    t = language.translator(code)
    return await pages.page(
        request, "capacity.html", person,
        picture=lanes.draw(own, found, begin, end, t, code, datetime.now(UTC), called),
        chains=found, own=own, names=names, monday=format_date(monday, "d MMM y", locale=code),
        back=monday - timedelta(weeks=1), on=monday + timedelta(weeks=1), weeks=WEEKS,
        titles={link.name: link.title for one in templates().values() for link in one.links},
    )  # fmt: skip


async def chain_page(request: Request) -> Response:
    """One chain: its links, a move with what it entails, confirming and giving back."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    link, text = request.query_params.get("link", ""), request.query_params.get("begins", "")
    shown, wrong = None, ""
    try:
        chain = await tower.bookings.see(person, request.path_params["chain"])
    except No as no:
        return await pages.no_such(request, person, no)
    if link and text:
        try:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.replace(tzinfo=zone.here())
            shown = await tower.bookings.moves.preview(person, chain.id, link, at)
        except ValueError:
            wrong = text
        except No as no:
            wrong = "; ".join(f"{r.field}: {r.what}" for r in no.reasons)
    names = {o.id: o.name for o in (await tower.accounts.organisations()).values()}
    places = {place.resource for place in (*chain.slots, *(shown.slots if shown else ()))}
    return await pages.page(
        request, "capacity_chain.html", person,
        chain=chain, shown=shown, wrong=wrong, link=link, begins=text, names=names,
        called=await tower.bookings.calendars.titles(places),
        earliest=replans.earliest(),
        chain_template=templates()[chain.template], here_zone=zone.here(),
        mine=chain.organisation == person.organisation,
        start={"chain": chain.id, "seen": chain.version,
               "slots": msgspec.to_builtins(shown.slots) if shown else []},
    )  # fmt: skip


async def waiting_page(request: Request) -> Response:
    """The waitlist: the rule in force, one's own patients with why, and a rule on trial."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    await tower.offers.sweep()
    in_force = await tower.waitlist.rule()
    compared, proposed, wrong = None, in_force.rule, ""
    asked = request.query_params
    if "per_week" in asked:
        try:
            proposed = msgspec.convert(
                {
                    "urgency": {c: float(asked.get(f"urgency{c}", "")) for c in "123"},
                    **{f: float(asked.get(f, "")) for f in ("per_week", "weeks_cap", "completion")},
                },
                Rule,
            )
            compared = await tower.waitlist.compare(person, proposed)
        except (ValueError, msgspec.ValidationError) as error:
            wrong = plain(error).what
        except No as no:
            wrong = "; ".join(f"{r.field}: {r.what}" for r in no.reasons)
    names = {o.id: o.name for o in (await tower.accounts.organisations()).values()}
    return await pages.page(
        request, "capacity_waiting.html", person,
        rule=in_force, lines=await tower.waitlist.lines(person), proposed=proposed,
        over=await tower.waitlist.over(person),
        compared=compared, wrong=wrong, names=names,
        may_adopt=policy.allows("operate", person),
        start={"seen": in_force.version, "rule": msgspec.to_builtins(proposed)},
    )  # fmt: skip


ROUTES = [
    Route("/capacity", calendar_page),
    Route("/capacity/waiting", waiting_page),
    Route("/capacity/{chain}", chain_page),
]
_T: Any = {"tag": "capacity"}
_C = "/api/capacity/chains/{chain}"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/capacity/resources", resources, "Own resources", "see",
             answer=list[Resource], **_T),
    Endpoint("PUT", "/api/capacity/resources/{resource}", keep, "Keep a resource's calendar",
             "keep-capacity", Kept, answer=list[str], **_T),
    Endpoint("GET", "/api/capacity/templates", kinds, "Templates of slot chains", "see",
             answer=list[Template], **_T),
    Endpoint("POST", "/api/capacity/search", search, "Find free slot chains", "book", Window,
             answer=list[list[Place]], **_T),
    Endpoint("POST", "/api/capacity/chains", book, "Hold or book a slot chain", "book", Booking,
             answer=Chain, status=201, **_T),
    Endpoint("GET", "/api/capacity/chains", chains, "Slot chains between two moments", "see",
             query=Between, answer=list[Chain], **_T),
    Endpoint("GET", _C, see, "One slot chain", "see", answer=Chain, **_T),
    Endpoint("POST", _C + "/confirm", confirm, "Book what was held", "book", Step,
             answer=Chain, **_T),
    Endpoint("POST", _C + "/cancel", cancel, "Give a slot chain back", "book", Step,
             answer=Given, **_T),
    Endpoint("POST", _C + "/preview", preview, "What a move would do", "book", Try,
             answer=Preview, **_T),
    Endpoint("POST", _C + "/move", move, "Move a slot chain", "book", Moving, answer=Chain, **_T),
    Endpoint("GET", "/api/capacity/waiting", waiting, "Own patients who wait", "see",
             answer=list[Line], **_T),
    Endpoint("GET", "/api/capacity/waiting/over", over, "Own patients listed, journey over",
             "see", answer=list[Waiting], **_T),
    Endpoint("POST", "/api/capacity/waiting", enlist, "Put a patient on the list", "book", Waiting,
             status=204, **_T),
    Endpoint("POST", "/api/capacity/waiting/{patient}/remove", delist,
             "Take a patient off the list", "book", Because, status=204, **_T),
    Endpoint("GET", "/api/capacity/rule", rule, "The rule for freed slots", "anyone",
             answer=Adopted, **_T),
    Endpoint("POST", "/api/capacity/rule/compare", compare, "A rule's effect on each group", "see",
             Rule, answer=Comparison, **_T),
    Endpoint("POST", "/api/capacity/rule", adopt, "Adopt a rule", "operate", Adopting,
             answer=Adopted, **_T),
)  # fmt: skip
