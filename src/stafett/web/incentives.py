"""Contracts, settlement and capital: what pays whom for what, and where money is needed."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.design.capital.allocate import allocate
from stafett.design.capital.map import Spot
from stafett.design.capital.reading import load as load_capital
from stafett.design.incentives.reading import assumptions
from stafett.design.incentives.reading import load as load_game
from stafett.design.incentives.workbench import change, closing
from stafett.service import capital_pictures as pictures
from stafett.service import incentives as work
from stafett.service.design_report import cell
from stafett.service.incentives_report import contracts_report, map_report
from stafett.service.tower import Tower
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, signed_in
from stafett.web.problem import Part, Problem

MENU = (
    Line("incentives.contracts", "/design/contracts", "menu.design", "design"),
    Line("incentives.capital", "/design/capital", "menu.design", "design"),
    Line("incentives.settlement", "/design/settlement", "menu.design", "design"),
)
FORMS = ("csv", "json", "pdf", "svg")


def _number(request: Request, name: str, default: float, low: float, high: float) -> float:
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


async def _bench(request: Request) -> tuple[work.Workbench, float]:
    value = _number(request, "value", load_game().game.value, *work.WORTH)
    return await asyncio.to_thread(work.workbench, value), value


async def contracts(request: Request) -> Response:
    """The workbench: what each contract makes each actor do, and who gains by a change."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    bench, value = await _bench(request)
    before, after = _contract(request, "before", "today"), _contract(request, "after", "bond")
    moved = change(bench.findings[before], bench.findings[after])
    titles = bench.table.titles
    gains = {titles[k]: v for k, v in moved.gains.items()}
    findings = list(bench.findings.values())
    chosen = bench.findings[after]
    return await page(
        request, "contracts.html", person, bench=bench, value=value, before=before, after=after,
        moved=moved, chosen=chosen, best=closing(findings), titles=titles,
        terms=_terms(bench, after),
        efforts=_efforts(bench, before, after),
        gap=pictures.gap_bars(findings, title="gap", unit="%"),
        bars=pictures.gain_bars(gains, title=f"{before} → {after}", unit="1000 US$"),
        worth=work.WORTH, figures=list(_assumed(bench)),
    )  # fmt: skip


def _terms(bench: work.Workbench, name: str) -> list[tuple[str, str, str, str]]:
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


def _efforts(bench: work.Workbench, before: str, after: str) -> list[tuple[str, str, list[str]]]:
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


def _assumed(bench: work.Workbench) -> Any:
    return assumptions(bench.table.spec)


def _maps(request: Request) -> work.Maps:
    state = request.app.state
    if not hasattr(state, "capital_maps"):
        state.capital_maps = work.Maps()
    found: work.Maps = state.capital_maps
    return found


def _run(request: Request) -> work.MapRun:
    chosen = request.query_params.getlist("system") or ["sweden"]
    try:
        return _maps(request).of(chosen)
    except ValueError as no:
        part = Part("system", "is not one of the four", str(no))
        raise Problem(422, "invalid", "No such system", part) from None


async def _map(request: Request) -> tuple[work.MapRun, list[Spot], dict[str, Any]]:
    """The run, the map if it is there, and the sliders as they stand."""
    set_: dict[str, Any] = {
        "contract": _contract(request, "contract", "today"),
        "public": _number(request, "public", 0, 0, 100) / 100,
        "shared": _number(request, "shared", 0, 0, 100) / 100,
    }
    run = _run(request)
    found = await asyncio.to_thread(work.placed, run, **set_) if run.gains is not None else []
    return run, found, set_


async def capital(request: Request) -> Response:
    """The capital map with its sliders, and what a budget would buy."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    run, found, set_ = await _map(request)
    budget = _number(request, "budget", 2000, 0, 1e6)
    spent = {s: allocate(g, budget) for s, g in (run.gains or {}).items()}
    return await page(
        request, "capital.html", person, run=run, spots=found, set=set_, budget=budget,
        spent=spent, catalogue=load_capital(), systems=work.SYSTEMS, plan=work.PLAN, cell=cell,
        contracts=load_game().contracts, query=request.url.query,
        picture=pictures.capital_map(found, title=set_["contract"]) if found else "",
    )  # fmt: skip


async def settlement(request: Request) -> Response:
    """What the record says the own organisation contributed, and would owe or earn."""
    from stafett.design.incentives.settle import Unsettled
    from stafett.eventlog import LogUnreadableError  # tables load slowly, and no other page needs
    from stafett.service.settlement import settled

    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    value = _number(request, "value", load_game().game.value, *work.WORTH)
    rate = _number(request, "rate", 25, 0, 100)
    tower: Tower = request.app.state.tower
    found, problem = None, ""
    try:
        found = await asyncio.to_thread(settled, tower.url, person.organisation, value, rate / 100)
    except (Unsettled, LogUnreadableError) as no:
        problem = str(no)
    return await page(
        request, "settlement.html", person, found=found, problem=problem, value=value, rate=rate,
        worth=work.WORTH,
    )  # fmt: skip


async def export_contracts(call: Call[Nothing, Nothing]) -> Response:
    """The contract workbench as CSV, JSON, SVG or PDF."""
    form = _form(call)
    bench, value = await _bench(call.request)
    if form == "pdf":
        data: str | bytes = await asyncio.to_thread(contracts_report, bench)
    elif form == "csv":
        data = work.contracts_csv(bench)
    elif form == "svg":
        data = pictures.gap_bars(list(bench.findings.values()), title="gap", unit="%")
    else:
        data = work.contracts_json(bench, value)
    return _file(data, form, "contracts")


async def export_map(call: Call[Nothing, Nothing]) -> Response:
    """A capital map as CSV, JSON, SVG or PDF; 409 while it is being simulated."""
    form = _form(call)
    run, found, set_ = await _map(call.request)
    if run.gains is None:
        part = Part("system", f"{run.done} of {run.total} simulated {run.problem}", "ask again")
        raise Problem(409, "not-done", "This map is not there yet", part)
    if form == "pdf":
        data: str | bytes = await asyncio.to_thread(map_report, found, **set_)
    elif form == "csv":
        data = work.map_csv(found)
    elif form == "svg":
        data = pictures.capital_map(found, title=set_["contract"])
    else:
        data = work.map_json(found, set_)
    return _file(data, form, "capital-map")


def _form(call: Call[Nothing, Nothing]) -> str:
    form = call.path["form"]
    if form not in FORMS:
        part = Part("form", f"there is no form {form!r}", f"known: {', '.join(FORMS)}")
        raise Problem(404, "no-form", "No such form", part)
    return form


def _file(data: str | bytes, form: str, name: str) -> Response:
    kinds = {"csv": "text/csv; charset=utf-8", "json": "application/json", "pdf": "application/pdf",
             "svg": "image/svg+xml"}  # fmt: skip
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{form}"',
        "Cache-Control": "no-store",
    }
    return Response(data, 200, headers, kinds[form])


WRONG = {404: "no such form", 422: "a figure out of range"}
ENDPOINTS = (
    Endpoint("GET", "/api/design/contracts/{form}", export_contracts, "Contracts compared",
             "design", answer="application/octet-stream", answers=WRONG, tag="design"),
    Endpoint("GET", "/api/design/capital/{form}", export_map, "A capital map", "design",
             answer="application/octet-stream", answers={**WRONG, 409: "not there yet"},
             tag="design"),
)  # fmt: skip
ROUTES = [
    Route("/design/contracts", contracts),
    Route("/design/capital", capital),
    Route("/design/settlement", settlement),
]
