"""What is likely to run late, and who holds and answers for what: forecasts and ownership."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.protocol.net import Net
from stafett.service.refusal import No
from stafett.service.tower import Tower
from stafett.watch import ownership, prediction
from stafett.watch.ownership import Between, Interface
from stafett.watch.prediction import Deadline, Learnt
from stafett.web import pages
from stafett.web.api import problem, tower_of
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing

MENU = (Line("ownership", "/ownership", "menu.watch"),)
MOST = 2000  # journeys that the report counts: the latest ones


Title = str | dict[str, str]


class Likely(msgspec.Struct, frozen=True):
    """One deadline in words of the API. Times are moments; `miss` and `gain` are probabilities."""

    activity: str
    since: str
    due: datetime | None
    miss: float
    done: datetime
    done_low: datetime
    done_high: datetime
    best: str | None
    gain: float


class Rest(msgspec.Struct, frozen=True):
    """How long from now until an activity is done, in seconds; `seen` stretches it rests on."""

    activity: str
    median_s: float
    low_s: float
    high_s: float
    seen: int


class Backwards(msgspec.Struct, frozen=True):
    """That journeys go back at an activity: `share` of its rounds, seen `n` times.

    `median_s` is how many seconds it then takes until it is done after all.
    """

    activity: str
    share: float
    n: int
    median_s: float


class Saves(msgspec.Struct, frozen=True):
    """By how many seconds the journey would end earlier, on average, with a handoff at its best."""

    handoff: str
    mean_s: float


class Forecast(msgspec.Struct, frozen=True):
    """What is to be expected of one journey. Intervals hold 80 %.

    `back` is where it may yet go back, the likeliest first; `saves` the handoffs that would buy
    time, the most first. `titles` are those of the activities that are named, by language.
    """

    journey: str
    at: datetime
    deadlines: list[Likely]
    segments: list[Rest]
    titles: dict[str, Title]
    back: list[Backwards] = []
    saves: list[Saves] = []


class Holding(msgspec.Struct, frozen=True):
    """The time between hands of one journey, and gaps (of which there must be none)."""

    journey: str
    between: list[Between]
    gaps: int


def likely(one: Deadline) -> Likely:
    """Return a deadline's outlook with moments."""
    moment = prediction.moment
    return Likely(
        one.activity, one.since, None if one.due is None else moment(one.due), one.miss,
        moment(one.median), moment(one.low), moment(one.high), one.best, one.gain,
    )  # fmt: skip


async def forecasts(call: Call[Nothing, Nothing]) -> dict[str, Likely]:
    """List the journeys that are more likely late than not, with the deadline they miss."""
    found = tower_of(call.request).forecasts.likely_late(call.request.state.person)
    return {journey: likely(one) for journey, one in found.items()}


async def forecast(call: Call[Nothing, Nothing]) -> Forecast:
    """Say what is to be expected of one journey."""
    tower = tower_of(call.request)
    try:
        live = await tower.journeys.see(call.request.state.person, call.path["journey"])
    except No as no:
        raise problem(no) from None
    now = datetime.now(UTC)
    if not prediction.is_running(live.state):
        return Forecast(live.state.journey, now, [], [], {})
    outlook = await tower.forecasts.of(live)
    learnt = await tower.forecasts.learnt(live)
    saved = await tower.forecasts.savings(live)
    back = backwards(learnt, {s.activity for s in outlook.segments})
    named = {s.activity for s in outlook.segments}
    named |= {name for d in outlook.deadlines for name in (d.activity, d.since, d.best) if name}
    return Forecast(
        live.state.journey,
        now,
        [likely(one) for one in outlook.deadlines],
        [
            Rest(s.activity, s.median, s.low, s.high, learnt.curves[s.activity].finished)
            for s in outlook.segments
        ],
        {name: live.net.activity(name).title for name in sorted(named)},
        back,
        [Saves(*one) for one in saved],
    )


def backwards(learnt: Learnt, left: set[str]) -> list[Backwards]:
    """Return where a journey with these activities left may go back, the likeliest first."""
    found = [
        Backwards(name, back.share, back.seen, back.curve.quantile(0.5))
        for name, back in learnt.back.items()
        if name in left
    ]
    return sorted(found, key=lambda one: (-one.share, one.activity))


async def holding(call: Call[Nothing, Nothing]) -> Holding:
    """Say how long one journey was between hands."""
    tower = tower_of(call.request)
    try:
        live = await tower.journeys.see(call.request.state.person, call.path["journey"])
    except No as no:
        raise problem(no) from None
    stretches = ownership.between_hands(live.net, live.state, datetime.now(UTC))
    return Holding(live.state.journey, stretches, len(ownership.gaps(live.state)))


async def report(call: Call[Nothing, Nothing]) -> list[Interface]:
    """Count the time between hands for each interface of the organisation's journeys."""
    found, _, _, _ = await _stretches(
        tower_of(call.request), call.request.state.person.organisation
    )
    return ownership.interfaces(found)


async def _stretches(
    tower: Tower, organisation: str
) -> tuple[list[Between], int, int, dict[tuple[str, str], Net]]:
    """Return the stretches, the gaps, how many journeys, and a net for each handoff's words.

    By protocol and handoff, the latest that has it: an older version may have others.
    """
    rows = sorted(tower.board.of(organisation), key=lambda row: -row.position)[:MOST]
    found: list[Between] = []
    broken, now = 0, datetime.now(UTC)
    nets: dict[tuple[str, str], Net] = {}
    for row in rows:
        live = await tower.journeys.live(row.journey)
        if live is not None:
            mine = ownership.between_hands(live.net, live.state, now)
            found += mine
            for one in mine:
                nets.setdefault((one.protocol, one.handoff), live.net)
            broken += len(ownership.gaps(live.state))
    return found, broken, len(rows), nets


async def ownership_page(request: Request) -> Response:
    """Time between hands: by interface, and what lies between two hands now."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    found, broken, journeys, nets = await _stretches(tower, person.organisation)
    organisations = await tower.accounts.organisations()
    now = [one for one in found if one.until is None]
    return await pages.page(
        request,
        "ownership.html",
        person,
        interfaces=ownership.interfaces(found),
        waiting=sorted(now, key=lambda one: -one.length)[:200],
        broken=broken,
        journeys=journeys,
        nets=nets,
        several=len({protocol for protocol, _ in nets}) > 1,
        names={o.id: o.name for o in organisations.values()},
    )


ROUTES = [Route("/ownership", ownership_page)]
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/forecasts", forecasts, "Journeys that are likely late", "see",
        answer=dict[str, Likely], tag="watch",
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/forecast", forecast, "What is to be expected", "see",
        answer=Forecast, tag="watch",
    ),
    Endpoint(
        "GET", "/api/journeys/{journey}/ownership", holding, "Time between hands", "see",
        answer=Holding, tag="watch",
    ),
    Endpoint(
        "GET", "/api/ownership", report, "Time between hands by interface", "see",
        answer=list[Interface], tag="watch",
    ),
)  # fmt: skip
