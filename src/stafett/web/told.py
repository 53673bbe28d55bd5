"""Alerts in the control tower: mine, their acknowledgement, shifts and their handover, the load."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import time
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.journey.deviation import catalogue
from stafett.service import alertload, policy, unmailed
from stafett.service.accounts import Person
from stafett.service.alertload import Load
from stafett.service.alerts import Alert, Handover, Happened
from stafett.service.refusal import No, unknown
from stafett.service.rosters import Entry
from stafett.service.tower import Tower
from stafett.service.unmailed import Unmailed
from stafett.web import naming, pages, refusals, sse
from stafett.web.api import problem, tower_of
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing

MENU = (
    Line("alerts", "/alerts", "menu.watch"),
    Line("alert-load", "/alert-load", "menu.watch"),
)
WEEK_HOURS = 168


class Shown(msgspec.Struct, frozen=True):
    """An alert with what it is about in words, why and whose, and who holds it by name."""

    alert: Alert
    title: Any
    place: Any
    why: str
    role: str
    holder: str | None


class Mine(msgspec.Struct, frozen=True):
    """The open alerts of a person's roles; `waiting` counts what nobody has acknowledged."""

    waiting: int
    alerts: list[Shown]


class Count(msgspec.Struct, frozen=True):
    """What the badge says."""

    waiting: int
    critical: int


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said with an acknowledgement."""

    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hand over everything that is open for `role` to a colleague."""

    role: str
    receiver: str
    note: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's hours in a role; `days` are 0 (Monday) to 6."""

    person: str
    role: str
    days: list[int]
    begins: time
    ends: time
    zone: str
    deputy: bool = False


class Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where mail reaches a person."""

    mail: Annotated[str, msgspec.Meta(min_length=3, max_length=254)]


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many hours back."""

    hours: Annotated[int, msgspec.Meta(ge=1, le=WEEK_HOURS * 5)] = 24


async def shown(tower: Tower, alerts: list[Alert], language: str = "en") -> list[Shown]:
    """Return alerts as people read them; why and whose, in `language`."""
    found = []
    for alert in alerts:
        live = tower.journeys.known(alert.journey) or await tower.journeys.live(alert.journey)
        title: Any = alert.code
        place: Any = alert.activity or alert.about
        names: Mapping[str, str] = refusals.NOBODY
        if live is not None:
            names = naming.names_of(live.net, language)
            known = catalogue(live.net.protocol)
            title = known[alert.code].title if alert.code in known else alert.code
            if place in live.net.index:
                place = live.net.activity(place).title
            elif place in live.net.material:
                place = live.net.protocol.materials[place].title
        person = await tower.accounts.person(alert.holder) if alert.holder else None
        why, role = refusals.said(alert.why, language, names), names.get(alert.role, alert.role)
        found.append(Shown(alert, title, place, why, role, person.name if person else None))
    return found


async def mine(call: Call[Nothing, Nothing]) -> Mine:
    """List the person's open alerts, the most urgent first."""
    tower, person = tower_of(call.request), call.request.state.person
    found = await shown(tower, tower.alerting.mine(person), refusals.language_of(call.request))
    return Mine(tower.alerting.waiting_for(person), found)


async def count(call: Call[Nothing, Nothing]) -> Count:
    """Say how many alerts wait for the person."""
    return _count(tower_of(call.request), call.request.state.person)


def _count(tower: Tower, person: Person) -> Count:
    open_ = [a for a in tower.alerting.mine(person) if a.acknowledged is None]
    critical = sum(a.urgency == "critical" for a in open_)
    return Count(tower.alerting.waiting_for(person), critical)


async def stream(call: Call[Nothing, Nothing]) -> Response:
    """Follow the person's alerts: the whole list at every change, and its count."""
    tower, person = tower_of(call.request), call.request.state.person
    language = refusals.language_of(call.request)

    async def events() -> AsyncGenerator[bytes, None]:
        yield sse.OPENING + sse.event("beat", b"{}")
        async for alerts in tower.alerting.follow(person, sse.BEAT_S):
            if alerts is None:
                yield sse.event("beat", b"{}")
                continue
            counted = msgspec.json.encode(_count(tower, person))
            them = await shown(tower, alerts, language)
            found = Mine(tower.alerting.waiting_for(person), them)
            yield sse.event("count", counted) + sse.event("alerts", msgspec.json.encode(found))

    return sse.response(call.request, events())


async def past(call: Call[Nothing, Nothing]) -> list[Shown]:
    """List the last alerts of the person's roles that are over."""
    tower = tower_of(call.request)
    past_ones = await tower.alerts.past(call.request.state.person)
    return await shown(tower, past_ones, refusals.language_of(call.request))


async def history(call: Call[Nothing, Nothing]) -> list[Happened]:
    """Say what became of one alert."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        alert = await tower.alerts.one(person, _number(call, "alert"))
    except No as no:
        raise problem(no) from None
    return await tower.alerts.history(alert.id)


async def acknowledge(call: Call[Note, Nothing]) -> list[Alert]:
    """Take an alert, with those that were told together with it."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        return await tower.alerts.acknowledge(person, _number(call, "alert"), call.body.note)
    except No as no:
        raise problem(no) from None


def _number(call: Call[Any, Any], name: str) -> int:
    text = call.path[name]
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise unknown(name, text)
    return int(text)


# -- shifts --------------------------------------------------------------------------------------


async def handovers(call: Call[Nothing, Nothing]) -> list[Handover]:
    """List the shifts that the person hands over or takes over."""
    return await tower_of(call.request).alerts.handovers(call.request.state.person)


async def offer(call: Call[Offer, Nothing]) -> Handover:
    """Offer a shift to a colleague: it is theirs when they accept."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        receiver = await tower.accounts.person(call.body.receiver)
        if receiver is None:
            raise unknown("person", call.body.receiver)
        return await tower.alerts.offer(person, call.body.role, receiver, call.body.note)
    except No as no:
        raise problem(no) from None


async def accept(call: Call[Nothing, Nothing]) -> Handover:
    """Take over a shift."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        return await tower.alerts.accept(person, _number(call, "handover"))
    except No as no:
        raise problem(no) from None


async def roster(call: Call[Nothing, Nothing]) -> list[Entry]:
    """List who is on call when at the person's organisation."""
    own = call.request.state.person.organisation
    return [e for e in await tower_of(call.request).rosters.all() if e.organisation == own]


async def put_hours(call: Call[Hours, Nothing]) -> None:
    """Give a person hours in a role."""
    tower, by, wish = tower_of(call.request), call.request.state.person, call.body
    try:
        person = await tower.accounts.person(wish.person)
        if person is None:
            raise unknown("person", wish.person)
        await tower.rosters.put(
            by, person, wish.role, wish.days, wish.begins, wish.ends, wish.zone, deputy=wish.deputy
        )
    except No as no:
        raise problem(no) from None


async def drop_hours(call: Call[Nothing, Nothing]) -> None:
    """Take hours away."""
    tower, by = tower_of(call.request), call.request.state.person
    try:
        await tower.rosters.remove(by, _number(call, "shift"))
    except No as no:
        raise problem(no) from None


async def put_address(call: Call[Address, Nothing]) -> None:
    """Say where mail reaches the person."""
    try:
        await tower_of(call.request).rosters.reach(call.request.state.person.id, call.body.mail)
    except No as no:
        raise problem(no) from None


async def get_unmailed(call: Call[Nothing, Nothing]) -> list[Unmailed]:
    """List the mail that was given up: the person's own, or all for who keeps the hours."""
    return await unmailed.unmailed(tower_of(call.request).pool, call.request.state.person)


async def mail_again(call: Call[Nothing, Nothing]) -> None:
    """Send a mail that was given up again, to the address that its person has now."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        await unmailed.again(tower.pool, person, _number(call, "message"))
    except No as no:
        raise problem(no) from None


async def get_load(call: Call[Nothing, Window]) -> list[Load]:
    """Measure the alert load of each role of the person's organisation."""
    tower, own = tower_of(call.request), call.request.state.person.organisation
    return await alertload.load(tower.pool, own, call.query.hours)


# -- pages ---------------------------------------------------------------------------------------


async def alerts_page(request: Request) -> Response:
    """My alerts, my shift, my address."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    colleagues = await tower.accounts.people(person.organisation)
    names = {p.id: p.name for p in colleagues}
    entries = [e for e in await tower.rosters.all() if e.organisation == person.organisation]
    organisations = await tower.accounts.organisations()
    return await pages.page(
        request,
        "alerts.html",
        person,
        start={"person": person.id, "names": names},
        colleagues=[
            p for p in colleagues if p.id != person.id and set(p.roles) & set(person.roles)
        ],
        everyone=colleagues,
        handovers=await tower.alerts.handovers(person),
        names=names,
        roles=pages.role_titles(request),
        roster=entries,
        may_roster=policy.allows("roster", person),
        own_zone=organisations[person.organisation].time_zone,
        mail=await tower.rosters.address(person.id),
        mailing=tower.mail is not None,
        unmailed=await unmailed.unmailed(tower.pool, person),
    )


async def load_page(request: Request) -> Response:
    """Alert load: alarms per person and hour, by role."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    asked = request.query_params.get("hours", "24")
    hours = int(asked) if asked in ("24", "168", "720") else 24
    quiet = await tower.deviations.quiet(person)
    found = await alertload.load(tower.pool, person.organisation, hours)
    return await pages.page(
        request, "alert_load.html", person, load=found, hours=hours, limit=alertload.LIMIT,
        quiet=quiet, roles=pages.role_titles(request),
    )  # fmt: skip


ROUTES = [Route("/alerts", alerts_page), Route("/alert-load", load_page)]
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/alerts", mine, "My alerts", "see", answer=Mine, tag="alerts"),
    Endpoint("GET", "/api/alerts/count", count, "The badge", "see", answer=Count, tag="alerts"),
    Endpoint(
        "GET", "/api/alerts/stream", stream, "Follow my alerts", "see",
        answer="text/event-stream", tag="alerts",
    ),
    Endpoint(
        "GET", "/api/alerts/past", past, "Alerts that are over", "see", answer=list[Shown],
        tag="alerts",
    ),
    Endpoint(
        "GET", "/api/alerts/load", get_load, "Alert load by role", "see", query=Window,
        answer=list[Load], tag="alerts",
    ),
    Endpoint(
        "GET", "/api/alerts/handovers", handovers, "Shifts handed over", "see",
        answer=list[Handover], tag="alerts",
    ),
    Endpoint(
        "POST", "/api/alerts/handovers", offer, "Offer a shift", "act", Offer, answer=Handover,
        status=201, tag="alerts",
    ),
    Endpoint(
        "POST", "/api/alerts/handovers/{handover}/accept", accept, "Take over a shift", "act",
        answer=Handover, tag="alerts",
    ),
    Endpoint(
        "GET", "/api/alerts/{alert}/history", history, "What became of an alert", "see",
        answer=list[Happened], tag="alerts",
    ),
    Endpoint(
        "POST", "/api/alerts/{alert}/acknowledge", acknowledge, "Take an alert", "act", Note,
        answer=list[Alert], tag="alerts",
    ),
    Endpoint("GET", "/api/roster", roster, "Who is on call", "see", answer=list[Entry],
             tag="alerts"),
    Endpoint("PUT", "/api/roster", put_hours, "Give a person hours", "roster", Hours, status=204,
             tag="alerts"),
    Endpoint("DELETE", "/api/roster/{shift}", drop_hours, "Take hours away", "roster", status=204,
             tag="alerts"),
    Endpoint("GET", "/api/alerts/unmailed", get_unmailed, "Mail that was given up", "see",
             answer=list[Unmailed], tag="alerts"),
    Endpoint("POST", "/api/alerts/unmailed/{message}/again", mail_again,
             "Send a mail that was given up again", "act", status=204, tag="alerts",
             answers={409: "What it was about is over."}),
    Endpoint("PUT", "/api/me/mail", put_address, "Where mail reaches me", "see", Address,
             status=204, tag="alerts"),
)  # fmt: skip
