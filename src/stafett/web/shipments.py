"""The pages of the watch over conditions: shipments, one shipment, loggers."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.protocol.model import Condition, text
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.conditions import Seen
from stafett.service.live import Live
from stafett.watch.shipment import Shipment
from stafett.web import language as languages
from stafett.web.api import tower_of
from stafett.web.area import Line
from stafett.web.chart import SIGN, chart, degrees, lane, length, shown
from stafett.web.conditions import find
from stafett.web.loggerfiles import files_of
from stafett.web.pages import page, role_titles, signed_in, start_of
from stafett.web.stores import stores

MOST = 200  # lines on the page: the worst first, so that no excursion is among those left out
URGENCY = {"alarm": 0, "unknown": 1, "attention": 2, "ok": 3}
MENU = (
    Line("shipments", "/shipments", "menu.watch"),
    Line("loggers", "/loggers", "menu.watch"),
)


async def shipments_page(request: Request) -> Response:
    """Every shipment of the organisation's journeys: where it is and how it fares."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    language = languages.of(request, person.language)
    t = languages.translator(language)
    names = {o.id: o.name for o in (await tower.accounts.organisations()).values()}
    over = "over" in request.query_params
    lines: list[dict[str, Any]] = []
    mine = [(one, tower.conditions.latest(one)) for one in tower.conditions.of(person.organisation)]
    mine = [pair for pair in mine if (pair[0].until is not None) == over]
    mine.sort(key=lambda pair: URGENCY[pair[1].judgement.verdict if pair[1] else "unknown"])
    for one, seen in mine:
        if len(lines) == MOST:
            break
        live = await tower.journeys.live(one.journey)
        if live is None:
            continue
        verdict = seen.judgement.verdict if seen else "unknown"
        lines.append(
            {
                "shipment": one,
                "path": f"/shipments/{one.id}",
                "title": text(live.net.protocol.materials[one.material].title, language),
                "coi": live.state.coi,
                "seen": seen,
                "verdict": verdict,
                "sign": SIGN[verdict],
                "lane": lane(one, live.net, names, t, language),
                "why": why(seen, t, language)[:2] if seen else [],
                "latest": degrees(seen.judgement.latest, language)
                if seen and seen.judgement.latest is not None
                else "–",
                "age": length(seen.at - seen.judgement.latest_at)
                if seen and seen.judgement.latest_at
                else "",
            }
        )
    silent = [] if over else await stores(request, person)
    return await page(
        request, "shipments.html", person, lines=lines, of=len(mine), over=over, stores=silent
    )


async def shipment_page(request: Request) -> Response:
    """One shipment: the lane, the chart, what was found, the table."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    live, seen = await find(request, person)
    tower = tower_of(request)
    language = languages.of(request, person.language)
    t = languages.translator(language)
    names = {o.id: o.name for o in (await tower.accounts.organisations()).values()}
    return await page(
        request,
        "shipment.html",
        person,
        state=live.state,
        shipment=seen.shipment,
        seen=seen,
        sign=SIGN[seen.judgement.verdict],
        title=text(live.net.protocol.materials[seen.shipment.material].title, language),
        lane=lane(seen.shipment, live.net, names, t, language),
        chart=chart(seen, t, language),
        found=why(seen, t, language),
        facts=_facts(seen, t, language),
        table=_table(seen, language),
        names=names,
        net=live.net,
        row=tower.board.current(live),
        start={**await start_of(request, person), "shipment": seen.shipment.id},
        files=await files_of(tower, seen),
        own_logger=[id.organisation for id in seen.loggers] == [person.organisation],
        may_read_in=len(seen.loggers) == 1 and policy.allows("act", person),
        deviations=[
            d
            for d in live.state.deviations.values()
            if d.about == seen.shipment.material and d.raised_at >= seen.shipment.since
        ],
    )


def why(seen: Seen, t: Any, language: str) -> list[dict[str, str]]:
    """Say each finding in words."""
    times = {"sustained", "cumulative", "outside", "perhaps", "gap", "silent", "nothing"}
    out = []
    for f in seen.judgement.findings:
        if f.kind in times:
            value = length(f.value)
        elif f.kind in ("hold-spent", "hold-perhaps", "hold-soon"):
            value = length(f.value * 3600)
        else:
            value = f"{f.value:g}" if f.value == round(f.value) else f"{f.value:.1f}"
        out.append(
            {
                "verdict": f.verdict,
                "sign": SIGN[f.verdict],
                "word": t("verdict." + f.verdict),
                "what": t("finding." + f.kind, value=value),
                "since": shown(f.since, language, "d MMM HH:mm:ss"),
                "until": shown(f.until, language, "d MMM HH:mm:ss"),
            }
        )
    return out


def _facts(seen: Seen, t: Any, language: str) -> list[tuple[str, str, bool]]:
    """Return (name, value, whether it is an assumption) of what the judgement rests on."""
    made, rules = seen.judgement, seen.rules
    limit = rules.limit
    shown_limit = " – ".join(
        degrees(v, language) for v in (limit.low_c, limit.high_c) if v is not None
    )
    if limit.low_c is None and limit.high_c is not None:
        shown_limit = f"≤ {shown_limit}"
    source = f" ({limit.source})" if limit.source else ""
    none = "–"
    own = next((one for one in rules.conditions if one.of == "temperature"), None)
    facts = [
        (t("fact.limit"), f"{shown_limit or none}{source}", limit.proposal),
        (t("fact.sustained"), _at_most(rules.sustained_s), own is None or own.proposal),
        (t("fact.cumulative"), _at_most(rules.cumulative_s), own is None or own.proposal),
        (t("fact.least-readings"), str(rules.least_readings), True),
        (
            t("fact.range"),
            f"{degrees(made.coldest, language)} … {degrees(made.warmest, language)}"
            if made.coldest is not None and made.warmest is not None
            else none,
            False,
        ),
        (
            t("fact.exposure"),
            f"{length(made.exposure.least_s)} – {length(made.exposure.most_s)}",
            False,
        ),
        (
            t("fact.mean-kinetic"),
            degrees(made.mean_kinetic, language)
            if made.mean_kinetic is not None
            else t("fact.frozen"),
            False,
        ),
    ]
    facts += [_condition(one, t) for one in rules.conditions if one.of != "temperature"]
    if made.hold is not None:
        left = f"{_signed(made.hold.left_least_s)} – {_signed(made.hold.left_most_s)}"
        by = f" ({rules.hold_source})" if rules.hold_source else ""
        facts += [
            (t("fact.hold"), length(made.hold.rated_s) + by, rules.hold_source is None),
            (t("fact.hold-left"), left, False),
            (t("fact.on-side"), length(made.hold.on_side_s), False),
        ]
    if made.battery is not None:
        facts.append((t("fact.battery"), f"{100 * made.battery:.0f} %", False))
    offset = seen.series.offset
    facts += [
        (t("fact.readings"), str(made.readings), False),
        (t("fact.doubles"), str(seen.series.doubles), False),
        (t("fact.clock"), none if offset is None else f"{offset:+.0f} s", False),
    ]
    return facts


def _condition(one: Condition, t: Any) -> tuple[str, str, bool]:
    """Return one of the protocol's other conditions in words."""
    unit = {"tilt": "°", "shock": " g"}.get(one.of, "")
    said = [] if one.max is None else [f"≤ {one.max:g}{unit}"]
    if one.at_most is not None:
        said.append(t("fact.at-a-stretch", time=one.at_most.text))
    if one.in_all is not None:
        said.append(t("fact.in-all", time=one.in_all.text))
    said += [f"→ {one.deviation}"] + ([f"({one.source})"] if one.source else [])
    return t(f"fact.condition.{one.of}"), " ".join(said), one.proposal


def _at_most(seconds: float) -> str:
    return "–" if math.isinf(seconds) else length(seconds)


def _signed(seconds: float) -> str:
    return ("−" if seconds < 0 else "") + length(seconds)


def _table(seen: Seen, language: str) -> list[dict[str, str]]:
    """Return the chart's numbers by stretches of time: at most 24 rows."""
    start = seen.shipment.since.timestamp()
    end = seen.shipment.until.timestamp() if seen.shipment.until else seen.at
    edges = np.linspace(start, max(end, start + 1), 25)
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = (seen.series.times >= low) & (seen.series.times < high)
        values = seen.judgement.believed[inside]
        told = values[~np.isnan(values)]
        rows.append(
            {
                "from": shown(float(low), language, "d MMM HH:mm:ss"),
                "to": shown(float(high), language, "HH:mm:ss"),
                "n": str(len(told)),
                "low": degrees(float(told.min()), language) if len(told) else "?",
                "mean": degrees(float(told.mean()), language) if len(told) else "?",
                "high": degrees(float(told.max()), language) if len(told) else "?",
            }
        )
    return rows


async def journey_conditions(
    request: Request, person: Person, live: Live, language: str
) -> list[tuple[Shipment, str, Markup]]:
    """Return (shipment, verdict, chart) of each of a journey's shipments, for its page."""
    t = languages.translator(language)
    found = await tower_of(request).conditions.of_journey(person, live)
    return [(seen.shipment, seen.judgement.verdict, chart(seen, t, language)) for seen in found]


async def loggers_page(request: Request) -> Response:
    """The organisation's loggers: who has been heard, what was refused, calibration."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    tower = tower_of(request)
    found = await tower.loggers.of(person.organisation)
    now = datetime.now(UTC)
    stands = {
        s.number: s
        for s in await tower.stands.all()
        if s.organisation == person.organisation and s.until is None
    }
    lines = [
        {
            "logger": one,
            "ended": one.calibrated_until is not None and one.calibrated_until < now,
            "stand": stands.get(one.number),
        }
        for one in found
    ]
    titles, language = role_titles(request), languages.of(request, person.language)
    roles = {
        role: text(titles[role], language) if role in titles else role
        for role in await tower.stands.roles(person.organisation)
    }
    may = policy.allows("register-logger", person)
    return await page(
        request, "loggers.html", person, lines=lines, may=may, roles=roles, start={},
        stores=await stores(request, person, own=True),
    )  # fmt: skip


ROUTES = [
    Route("/shipments", shipments_page),
    Route("/shipments/{journey}/{material}/{number}", shipment_page),
    Route("/loggers", loggers_page),
]
