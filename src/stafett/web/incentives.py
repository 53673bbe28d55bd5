"""Contracts and capital: what pays whom for what, and where money is needed."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.design.capital.allocate import allocate
from stafett.design.capital.map import Gain, Spot
from stafett.design.capital.reading import load as load_capital
from stafett.design.incentives.reading import assumptions
from stafett.design.incentives.reading import load as load_game
from stafett.design.incentives.workbench import Beware, change, closing
from stafett.service import incentives as work
from stafett.service.accounts import Person
from stafett.service.computing import Busy
from stafett.service.going import Going, together
from stafett.service.incentives import Workbench
from stafett.service.incentives_report import contracts_report, map_report
from stafett.service.incentives_words import called
from stafett.service.pictures.bars import gain_bars, gap_bars
from stafett.service.pictures.planes import capital_map
from stafett.service.tower import Tower
from stafett.web import design_words as say
from stafett.web import waiting
from stafett.web.area import Line
from stafett.web.design_sayings import Sayings
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.language import of as languages_of
from stafett.web.language import translator
from stafett.web.pages import page, signed_in
from stafett.web.problem import Part, Problem
from stafett.web.session import person_of

MENU = (
    Line("incentives.contracts", "/design/contracts", "menu.design", "design"),
    Line("incentives.capital", "/design/capital", "menu.design", "design"),
)
FORMS = ("csv", "json", "pdf", "svg")


def number(request: Request, name: str, default: float, low: float, high: float) -> float:
    """A number of the query; a Problem where it is none, or out of range."""
    text = request.query_params.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        part = Part(name, f"{text!r} is out of range", f"a number from {low:g} to {high:g}")
        raise Problem(422, "invalid", "This cannot be worked out", part)
    return value


def _contract(request: Request, name: str, default: str) -> str:
    chosen = request.query_params.get(name, default)
    known = load_game().contracts
    if chosen not in known:
        part = Part(name, f"there is no contract {chosen!r}", f"known: {', '.join(known)}")
        raise Problem(422, "invalid", "No such contract", part)
    return chosen


async def signed(request: Request) -> Person:
    """Who asks; the guard let nobody else through."""
    person = await person_of(request)
    assert person is not None
    return person


def busy(no: Busy) -> Problem:
    """The answer to somebody who asked for too much at once."""
    part = Part("", str(no), "wait until one of them is done")
    return Problem(429, "busy", "Too many runs at once", part)


def not_yet(what: str, going: Going) -> Problem:
    """The answer to somebody who asks for what is still being computed."""
    part = Part(what, f"{going.done} of {going.total} computed {going.problem}", "ask again")
    return Problem(409, "not-done", "This is not there yet", part)


async def _bench(request: Request, person: Person) -> tuple[Workbench | Going, float]:
    value = number(request, "value", load_game().game.value, *work.WORTH)
    tower: Tower = request.app.state.tower
    try:
        return await tower.incentives.workbench(value, person.id), value
    except Busy as no:
        raise busy(no) from None


async def contracts(request: Request) -> Response:
    """The workbench: what each contract makes each actor do, and who gains by a change."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    before, after = _contract(request, "before", "today"), _contract(request, "after", "bond")
    bench, value = await _bench(request, person)
    asked: dict[str, Any] = {"before": before, "after": after, "value": value, "worth": work.WORTH}
    if isinstance(bench, Going):
        every = load_game().contracts
        return await page(request, "contracts.html", person, going=bench, every=every, **asked)
    moved = change(bench.findings[before], bench.findings[after])
    t = translator(languages_of(request, person.language))
    titles = {k: t(f"incentives.actor.{k}") for k in bench.table.titles}
    gains = {titles[k]: v for k, v in moved.gains.items()}
    named = {n: t(f"incentives.contract.{n}") for n in bench.findings}

    def beware(w: Beware) -> str:
        return t(
            f"incentives.beware.{w.what}", **{k: titles.get(v, v) for k, v in w.values.items()}
        )

    findings = list(bench.findings.values())
    return await page(
        request, "contracts.html", person, going=None, bench=bench, every=bench.findings,
        moved=moved, chosen=bench.findings[after], best=closing(findings), titles=titles,
        terms=_terms(bench, after),
        efforts=_efforts(bench, before, after),
        beware=beware,
        gap=gap_bars(
            findings, title=t("incentives.gap"), unit=t("incentives.svg.gap"), names=named,
            none=t("incentives.svg.none"),
        ),
        bars=gain_bars(
            gains, title=f"{named[before]} → {named[after]}", unit=t("incentives.svg.money")
        ),
        figures=list(assumptions(bench.table.spec)), called=called, **asked,
    )  # fmt: skip


def _terms(bench: Workbench, name: str) -> list[tuple[str, str, str, str]]:
    """Who is paid for what: (whom, for, of which, how much) as message keys and figures."""
    c, rows = bench.table.contracts[name], []
    for who, money in c.fixed.items():
        rows.append((who, "fixed", "", f"{money:g}"))
    for who, share in c.shares.items():
        rows.append((who, "share", "", f"{share:.0%}"))
    for who, fees in c.fees.items():
        rows += [(who, "fee", face, f"{money:g}") for face, money in fees.items()]
    for who, money in c.service.items():
        rows.append((who, "service", "", f"{money:g}"))
    for face, money in c.penalties.items():
        giver = next(f.giver for f in bench.table.game.interfaces if f.name == face)
        rows.append((giver, "penalty", face, f"-{money:g}"))
    for who, money in c.bears.items():
        rows.append((who, "bears", "", f"-{money:g}"))
    if c.bond:
        rows.append(("", "bond", "", f"{c.bond:.0%}"))
    if c.integrator:
        rows.append((c.integrator, "integrator", "", f"{c.subrate:.0%}"))
    return rows


def _efforts(bench: Workbench, before: str, after: str) -> list[tuple[str, str, list[str]]]:
    """For each interface and side: effort before, after and at best; reliability likewise."""
    game, rows = bench.table.game, []
    a, b = bench.findings[before].state, bench.findings[after].state
    top, _ = game.reliabilities(bench.ends.best)
    for e, (actor, k) in enumerate(game.sides):
        name = game.interfaces[k].name
        efforts = [f"{x:.2f}" for x in (a.efforts[e], b.efforts[e], bench.ends.best[e])]
        rates = [f"{x[k]:.1%}" for x in (a.reliabilities, b.reliabilities, top)]
        rows.append((name, game.actors[actor].name, [*efforts, *rates]))
    return rows


Gains = dict[str, dict[str, Gain]]


async def _map(
    request: Request, person: Person
) -> tuple[Going | Gains, list[Spot], list[str], dict[str, Any]]:
    """What is computed, the map if it is there, the systems, and the sliders as they stand."""
    set_: dict[str, Any] = {
        "contract": _contract(request, "contract", "today"),
        "public": number(request, "public", 0, 0, 100) / 100,
        "shared": number(request, "shared", 0, 0, 100) / 100,
    }
    chosen = request.query_params.getlist("system") or ["sweden"]
    tower: Tower = request.app.state.tower
    try:
        gains = await tower.incentives.gains(chosen, person.id)
        each = {
            s: await tower.incentives.captures(set_["contract"], s, person.id)
            for s in work.SYSTEMS if s in chosen
        }  # fmt: skip
    except Busy as no:
        raise busy(no) from None
    except ValueError as no:
        part = Part("system", "is not one of the four", str(no))
        raise Problem(422, "invalid", "No such system", part) from None
    captured = {s: c for s, c in each.items() if not isinstance(c, Going)}
    if isinstance(gains, Going) or len(captured) < len(each):
        left = [p for p in (gains, *each.values()) if isinstance(p, Going)]
        return together(left), [], chosen, set_
    return gains, work.placed(gains, captured, set_["public"], set_["shared"]), chosen, set_


async def capital(request: Request) -> Response:
    """The capital map with its sliders, and what a budget would buy."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    gains, found, chosen, set_ = await _map(request, person)
    budget = number(request, "budget", 2000, 0, 1e6)
    going = gains if isinstance(gains, Going) else None
    spent = {} if isinstance(gains, Going) else await asyncio.to_thread(_spent, gains, budget)
    return await page(
        request, "capital.html", person, going=going, chosen=chosen, spots=found, set=set_,
        budget=budget, spent=spent, catalogue=load_capital(), systems=work.SYSTEMS, plan=work.PLAN,
        cell=lambda e, digits: say.figure(e, digits, languages_of(request, person.language)),
        contracts=load_game().contracts, query=request.url.query,
        picture=_picture(request, person, found, set_["contract"]) if found else "",
    )  # fmt: skip


def _picture(request: Request, person: Person, found: list[Spot], contract: str) -> str:
    t = translator(languages_of(request, person.language))
    return capital_map(
        found, title=t(f"incentives.contract.{contract}"),
        names={
            **{s.category: t(f"incentives.investment.{s.category}") for s in found},
            **{s.system: t(f"design.system.{s.system}") for s in found},
        },
        captured=t("incentives.svg.captured"), patients=t("incentives.svg.patients"),
    )  # fmt: skip


def _spent(gains: Gains, budget: float) -> dict[str, Any]:
    return {s: allocate(g, budget) for s, g in gains.items()}


async def _sayings(call: Call[Nothing, Nothing]) -> Sayings:
    person = await signed(call.request)
    return Sayings(languages_of(call.request, person.language))


async def export_contracts(call: Call[Nothing, Nothing]) -> Response:
    """The contract workbench as CSV, JSON, SVG or PDF; 409 while it is being worked out."""
    form = form_of(call)
    bench, value = await _bench(call.request, await signed(call.request))
    if isinstance(bench, Going):
        raise not_yet("contracts", bench)
    if form == "pdf":
        data: str | bytes = await asyncio.to_thread(contracts_report, bench, await _sayings(call))
    elif form == "csv":
        data = work.contracts_csv(bench)
    elif form == "svg":
        t = (await _sayings(call)).t
        data = gap_bars(
            list(bench.findings.values()), title=t("incentives.gap"), unit=t("incentives.svg.gap"),
            names={n: t(f"incentives.contract.{n}") for n in bench.findings},
            none=t("incentives.svg.none"),
        )  # fmt: skip
    else:
        data = work.contracts_json(bench, value)
    return handed(data, form, "contracts")


async def export_map(call: Call[Nothing, Nothing]) -> Response:
    """A capital map as CSV, JSON, SVG or PDF; 409 while it is being simulated."""
    form = form_of(call)
    gains, found, _, set_ = await _map(call.request, await signed(call.request))
    if isinstance(gains, Going):
        raise not_yet("system", gains)
    if form == "pdf":
        data: str | bytes = await asyncio.to_thread(map_report, found, await _sayings(call), **set_)
    elif form == "csv":
        data = work.map_csv(found)
    elif form == "svg":
        data = _picture(call.request, await signed(call.request), found, set_["contract"])
    else:
        data = work.map_json(found, set_)
    return handed(data, form, "capital-map")


def form_of(call: Call[Nothing, Nothing]) -> str:
    """The form that is asked for."""
    form = call.path["form"]
    if form not in FORMS:
        part = Part("form", f"there is no form {form!r}", f"known: {', '.join(FORMS)}")
        raise Problem(404, "no-form", "No such form", part)
    return form


def handed(data: str | bytes, form: str, name: str) -> Response:
    """An export, as a file to keep."""
    kinds = {"csv": "text/csv; charset=utf-8", "json": "application/json", "pdf": "application/pdf",
             "svg": "image/svg+xml"}  # fmt: skip
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{form}"',
        "Cache-Control": "no-store",
    }
    return Response(data, 200, headers, kinds[form])


WRONG = {404: "no such form", 409: "not there yet", 422: "a figure out of range",
         429: "too many at once"}  # fmt: skip
ENDPOINTS = (
    *waiting.ENDPOINTS,
    Endpoint("GET", "/api/design/contracts/{form}", export_contracts, "Contracts compared",
             "design", answer="application/octet-stream", answers=WRONG, tag="design"),
    Endpoint("GET", "/api/design/capital/{form}", export_map, "A capital map", "design",
             answer="application/octet-stream", answers=WRONG, tag="design"),
)  # fmt: skip
ROUTES = [
    Route("/design/contracts", contracts),
    Route("/design/capital", capital),
]
