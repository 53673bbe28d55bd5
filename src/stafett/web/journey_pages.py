"""The pages of one journey: the relay and all that is known of it, and its entries one by one."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.service.tower import Tower
from stafett.web import chart, evidence, relay
from stafett.web import language as languages
from stafett.web.pages import journey_of, page, people_of, start_of


async def journey(request: Request) -> Response:
    """One journey: the relay drawn, and everything that is known of it."""
    found = await journey_of(request)
    if isinstance(found, Response):
        return found
    person, live = found
    tower: Tower = request.app.state.tower
    entries = await tower.record.entries(live.state.journey, person.organisation)
    organisations = await tower.accounts.organisations()
    language = languages.of(request, person.language)
    names = {o.id: o.name for o in organisations.values()}
    t = languages.translator(language)
    picture = relay.draw(live.net, live.state, names, t, language)
    signatures = await tower.record.signatures(live.state.journey, person.organisation)
    return await page(
        request,
        "journey.html",
        person,
        start={**await start_of(request, person), "journey": live.state.journey},
        row=tower.board.current(live),
        state=live.state,
        net=live.net,
        entries=entries,
        names=names,
        picture=picture,
        now=datetime.now(UTC),
        charts=[
            (seen.shipment, chart.chart(seen, t, language))
            for seen in await tower.conditions.of_journey(person, live)
            if len(seen.series.times)
        ],
        answers=evidence.answers(live.net, live.state, person, language),
        documents=evidence.documents(live.net, entries, language),
        openable=await tower.papers.openable(person, live.net, live.state.parties, entries),
        story=relay.story(live.net, live.state, names, t, language),
        signatures=signatures,
        who=await people_of(tower, person, signatures),
    )


async def events(request: Request) -> Response:
    """The record of one journey, entry by entry: what the page of the journey tells in words."""
    found = await journey_of(request)
    if isinstance(found, Response):
        return found
    person, live = found
    tower: Tower = request.app.state.tower
    organisations = await tower.accounts.organisations()
    return await page(
        request,
        "journey_events.html",
        person,
        journey=live.state.journey,
        coi=live.state.coi,
        entries=await tower.record.entries(live.state.journey, person.organisation),
        who=await people_of(
            tower,
            person,
            await tower.record.signatures(live.state.journey, person.organisation),
        ),
        names={o.id: o.name for o in organisations.values()},
    )


ROUTES = [
    Route("/journeys/{journey}", journey),
    Route("/journeys/{journey}/events", events),
]
