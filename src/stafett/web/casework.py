"""Deviations in the control tower: the triage list, the work on each, trends, and blind peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.insight.agreement import AgreementError, krippendorff
from stafett.journey import assess, specification, supply
from stafett.journey.command import Cause, Disposition
from stafett.service import peers
from stafett.service.accounts import Person
from stafett.service.deviations import STAGES, Coming, Line, line
from stafett.service.peers import Answer, Case, Judged
from stafett.service.refusal import No, unknown
from stafett.service.signatures import Checked
from stafett.service.tower import Tower
from stafett.web import language as languages
from stafett.web import naming, pages
from stafett.web.api import problem, tower_of
from stafett.web.area import Line as MenuLine
from stafett.web.endpoint import Call, Endpoint, Nothing

MENU = (
    MenuLine("deviations", "/deviations", "menu.watch"),
    MenuLine("peers", "/peers", "menu.watch"),
)
WEEKS = 12


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A deviation to put before other sites: the facts, without whose they are."""

    facts: Annotated[str, msgspec.Meta(min_length=1, max_length=5000)]
    sites: list[str]


async def deviations(call: Call[Nothing, Nothing]) -> list[Line]:
    """List the deviations of the organisation's journeys."""
    return await tower_of(call.request).deviations.lines(call.request.state.person)


async def coming(call: Call[Nothing, Nothing]) -> list[Coming]:
    """List what is about to become a deviation in the organisation's journeys."""
    person = call.request.state.person
    return await tower_of(call.request).deviations.coming(person, datetime.now(UTC))


async def ask(call: Call[Question, Nothing]) -> Case:
    """Put a deviation before other sites, blind."""
    tower, person = tower_of(call.request), call.request.state.person
    try:
        return await tower.peers.ask(
            person, call.path["journey"], call.path["deviation"], call.body.facts, call.body.sites
        )
    except No as no:
        raise problem(no) from None


async def cases(call: Call[Nothing, Nothing]) -> list[Case]:
    """List the cases that the person is asked to judge."""
    return await tower_of(call.request).peers.waiting(call.request.state.person)


async def judge(call: Call[Judged, Nothing]) -> None:
    """Judge a case."""
    text = call.path["case"]
    try:
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise unknown("case", text)
        await tower_of(call.request).peers.judge(call.request.state.person, int(text), call.body)
    except No as no:
        raise problem(no) from None


async def answers(call: Call[Nothing, Nothing]) -> Response:
    """Give the judgements as CSV: the table that the agreement analysis reads."""
    found = await tower_of(call.request).peers.answers(call.request.state.person)
    body = "".join(peers.delimited(found))
    headers = {"Content-Disposition": 'attachment; filename="judgements.csv"'}
    return Response(body, media_type="text/csv", headers=headers)


# -- pages ---------------------------------------------------------------------------------------


def trends(lines: list[Line], now: datetime, called: Callable[[str, str], str]) -> dict[str, Any]:
    """Count: by week and severity, by kind, by the interface where they were seen and began; of the
    actions: how many there are, how many worked, did not, and wait for the look whether they did.

    `called` says what a journey's pages call a name of its protocol.
    """
    monday = (now - timedelta(days=now.weekday())).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    weeks = [monday - timedelta(weeks=WEEKS - 1 - i) for i in range(WEEKS)]
    by_week = [
        (
            week,
            Counter(x.severity for x in lines if week <= x.raised_at < week + timedelta(weeks=1)),
        )
        for week in weeks
    ]
    return {
        "weeks": by_week,
        "most": max((counts.total() for _, counts in by_week), default=0),
        "kinds": Counter(x.kind for x in lines).most_common(),
        "seen_began": Counter(
            (
                called(x.journey, x.detected or x.about),
                called(x.journey, x.originated) if x.originated else "",
            )
            for x in lines
        ).most_common(10),
        "causes": Counter(x.cause for x in lines if x.cause).most_common(),
        "actions": (
            sum(x.actions for x in lines),
            sum(x.actions - x.actions_open - x.actions_failed for x in lines),
            sum(x.actions_failed for x in lines),
            sum(x.actions_open for x in lines),
        ),
    }


async def list_page(request: Request) -> Response:
    """The triage list, and the trends below it."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    lines = await tower.deviations.lines(person)
    wanted = request.query_params.get("stage", "open")
    severity = request.query_params.get("severity", "")
    shown = [
        x for x in lines
        if (wanted in ("all", x.stage)
            or (wanted == "open" and (x.stage != "closed" or x.failed is not None)))
        and (not severity or x.severity == severity)
    ]  # fmt: skip
    near = []
    if wanted in ("open", "all", "coming"):
        near = [
            x for x in await tower.deviations.coming(person, datetime.now(UTC))
            if not severity or x.severity == severity
        ]  # fmt: skip
    organisations = await tower.accounts.organisations()
    language = languages.of(request, person.language)
    names = {
        journey: naming.names_of(live.net, language)
        for journey in {x.journey for x in lines} | {x.journey for x in near}
        if (live := await tower.journeys.live(journey)) is not None
    }

    def called(journey: str, name: str) -> str:
        return names.get(journey, {}).get(name, name)

    return await pages.page(
        request,
        "deviations.html",
        person,
        lines=shown[:200],
        count=len(shown),
        coming=near[:200],
        near=len(near),
        every=len(lines),
        stage=wanted,
        severity=severity,
        stages=STAGES,
        names={o.id: o.name for o in organisations.values()},
        trends=trends(lines, datetime.now(UTC), called),
        called=called,
    )


async def work_page(request: Request) -> Response:
    """The work on one deviation: what is next, and what has been done."""
    found = await pages.journey_of(request)
    if isinstance(found, Response):
        return found
    person, live = found
    tower: Tower = request.app.state.tower
    wanted = request.path_params["deviation"]
    raised = live.state.deviations.get(wanted)
    if raised is None:
        return await pages.no_such(request, person, unknown("deviation", wanted))
    organisations = await tower.accounts.organisations()
    parties = live.state.parties
    roles = [r for r in person.roles if parties.get(r) == person.organisation]
    concerned = assess.concerned(live.net, live.state, raised)
    roles.sort(key=lambda role: role not in concerned)
    case = await tower.peers.of(person, live.state.journey, raised.deviation)
    shown = line(live, raised)
    people = {}
    acting = {said.person for said in raised.work.statements} | {raised.acknowledged_by or ""}
    for login in acting - {""}:
        who = await tower.accounts.person(login)
        people[login] = who.name if who else login
    return await pages.page(
        request,
        "deviation.html",
        person,
        start={
            "journey": live.state.journey,
            "deviation": raised.deviation,
            "organisations": {o.id: o.name for o in organisations.values()},
            "name": person.name,
            "passkey": bool(await tower.passkeys.of(person)),
        },
        row=tower.board.current(live),
        state=live.state,
        net=live.net,
        d=raised,
        line=shown,
        criteria=assess.CRITERIA,
        causes=get_args(Cause),
        dispositions=[
            one
            for one in get_args(Disposition)
            if not (shown.only_by_supply and one in specification.AS_IF_WITHIN)
        ],
        parts=supply.PARTS,
        roles=roles,
        parties=parties,
        people=people,
        names={o.id: o.name for o in organisations.values()},
        others=[o for o in organisations.values() if o.id not in parties.values()],
        case=case,
        signatures=await _signatures(tower, person, live.state.journey, raised.deviation),
    )


async def _signatures(tower: Tower, person: Person, journey: str, deviation: str) -> list[Checked]:
    """Return the signatures on one deviation, each computed again: they stand where it is shown."""
    found = await tower.record.signatures(journey, person.organisation)
    return [one for one in found if one.about == deviation]


async def peers_page(request: Request) -> Response:
    """The cases of other sites that wait for this person's judgement, and what came of ours."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    tower: Tower = request.app.state.tower
    found = await tower.peers.answers(person)
    return await pages.page(
        request,
        "peers.html",
        person,
        cases=await tower.peers.waiting(person),
        answers=len(found),
        agreement=_agreement(found),
        severities=peers.SEVERITIES,
        dispositions=get_args(Disposition),
    )


def _agreement(found: list[Answer]) -> list[tuple[str, Any, str]]:
    out: list[tuple[str, Any, str]] = []
    for question, scale in (("severity", "ordinal"), ("disposition", "nominal")):
        order = peers.SEVERITIES if question == "severity" else None
        try:
            table = peers.table(found, question)  # type: ignore[arg-type]
            out.append((question, krippendorff(table, scale=scale, order=order), ""))
        except AgreementError as error:
            out.append((question, None, str(error)))
    return out


ROUTES = [
    Route("/deviations", list_page),
    Route("/peers", peers_page),
    Route("/deviations/{journey}/{deviation}", work_page),
]
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/api/deviations", deviations, "Deviations", "see", answer=list[Line],
        tag="deviations",
    ),
    Endpoint(
        "GET", "/api/deviations/coming", coming, "What is about to become a deviation", "see",
        answer=list[Coming], tag="deviations",
    ),
    Endpoint(
        "POST", "/api/journeys/{journey}/deviations/{deviation}/peers", ask,
        "Put a deviation before other sites, blind", "act", Question, answer=Case, status=201,
        tag="deviations",
    ),
    Endpoint("GET", "/api/peers", cases, "Cases to judge", "see", answer=list[Case],
             tag="deviations"),
    Endpoint("POST", "/api/peers/{case}", judge, "Judge a case", "act", Judged, status=204,
             tag="deviations"),
    Endpoint("GET", "/api/peers/answers.csv", answers, "Judgements as CSV", "see",
             answer="text/csv", tag="deviations"),
)  # fmt: skip
