"""The design studio: choose networks, change figures, run in the background, compare, export."""

from __future__ import annotations

import asyncio
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.design.activities import order
from stafett.design.levers import LEVERS
from stafett.design.measures import TITLES
from stafett.design.network import Number
from stafett.design.reading import System, load, names
from stafett.protocol.model import text as text_of
from stafett.service.accounts import Person
from stafett.service.computing import Busy
from stafett.service.design_graph import belongs
from stafett.service.design_report import report
from stafett.service.pictures.bars import forest, tornado
from stafett.service.pictures.lanes import lanes
from stafett.service.pictures.planes import Point, frontier, plane
from stafett.service.studio import (
    Answer,
    Run,
    Studio,
    Unusable,
    Wish,
    bounds,
    key_figures,
    rows_of,
    system_of_text,
)
from stafett.service.tower import Tower
from stafett.web import design_words as say
from stafett.web import language as languages
from stafett.web import refusals, sse
from stafett.web.area import Line
from stafett.web.catalogue_words import said
from stafett.web.design_details import details
from stafett.web.design_figures import T
from stafett.web.design_figures import path as called
from stafett.web.design_map import Places
from stafett.web.design_sayings import Sayings
from stafett.web.design_sofar import so_far
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, signed_in
from stafett.web.problem import Part, Problem
from stafett.web.session import person_of

MENU = (Line("design.studio", "/design", "menu.design", "design"),)
KINDS = ("tornado", "lanes", "forest", "frontier")


class Known(msgspec.Struct, frozen=True):
    """A network that can be chosen."""

    name: str
    title: str
    summary: str
    protocol: str


class Figure(msgspec.Struct, frozen=True):
    """A figure that can be changed."""

    path: str
    value: float
    low: float | None
    high: float | None
    source: str | None
    assumption: bool
    note: str | None


class State(msgspec.Struct, frozen=True):
    """How far a run is."""

    id: str
    state: str
    done: int
    total: int
    problem: str
    networks: list[str]
    replications: int  # whose figures the page shows so far
    seen: int  # how much the page shows so far; it only grows


def studio_of(request: Request) -> Studio:
    """The runs."""
    tower: Tower = request.app.state.tower
    return tower.studio


async def _person(request: Request) -> Person:
    person = await person_of(request)
    assert person is not None  # the guard let nobody else through
    return person


async def known(call: Call[Nothing, Nothing]) -> list[Known]:
    """List the built-in networks, and the newest version of each of the organisation's own."""
    person = await _person(call.request)
    found = []
    for name in names():
        n = load(name).network
        found.append(Known(n.network, n.title, n.summary, n.protocol))
    for own in await studio_of(call.request).own.all_of(person.organisation):
        found.append(Known(own.ref, own.title, "", own.protocol))
    return found


async def figures(call: Call[Nothing, Nothing]) -> list[Figure]:
    """The figures of a network that can be changed."""
    system = await _system(call.request, call.path["name"])
    return [
        Figure(path, n.value, n.low, n.high, n.source, n.assumption, n.note)
        for path, n in key_figures(system)
    ]


async def _system(request: Request, name: str) -> System:
    """A built-in network, or one of the organisation's own (`NAME@VERSION`)."""
    if name in names():
        return load(name)
    person = await _person(request)
    found = await studio_of(request).own.content(person.organisation, name)
    if found is None:
        part = Part("name", f"there is no network {name!r}", f"known: {', '.join(names())}")
        raise Problem(404, "no-network", "No such network", part)
    return system_of_text(found[1], found[0].ref)


async def begin(call: Call[Wish, Nothing]) -> State:
    """Begin a run."""
    person = await _person(call.request)
    studio = studio_of(call.request)
    try:
        run = await studio.begin(call.body, person.id, person.organisation)
    except Unusable as no:
        part = Part("/" + no.field, no.what, no.todo)
        raise Problem(422, "invalid", "This cannot be run", part) from None
    except Busy as no:
        part = Part("", str(no), "wait for one of them, or cancel it")
        raise Problem(429, "busy", "Too many runs at once", part) from None
    return _state(call.request, run)


async def look(call: Call[Nothing, Nothing]) -> State:
    """How far a run is."""
    return _state(call.request, await _run(call.request))


async def follow(call: Call[Nothing, Nothing]) -> Response:
    """Follow a run: a `state` event for each step, the last when it has ended."""
    run = await _run(call.request)
    steps = studio_of(call.request).follow(run.computation.organisation, run.id, sse.BEAT_S)
    return sse.states(call.request, steps, lambda step: _state(call.request, step))


async def stop(call: Call[Nothing, Nothing]) -> State:
    """Cancel a run."""
    await studio_of(call.request).cancel(await _run(call.request))
    return _state(call.request, await _run(call.request))


def _state(request: Request, run: Run) -> State:
    c = run.computation
    problem = refusals.said(c.problem, refusals.language_of(request))
    n, seen = (run.so_far.replications, run.so_far.seen) if run.so_far else (0, 0)
    return State(c.id, c.state, c.done, c.total, problem, run.wish.networks, n, seen)


async def _run(request: Request) -> Run:
    person = await _person(request)
    run = await studio_of(request).of(person.organisation, request.path_params["run"])
    if run is None:
        part = Part("run", "is not known here, or is another organisation's", "start it again")
        raise Problem(404, "no-run", "No such run", part)
    return run


async def _answer(request: Request) -> tuple[Run, Answer]:
    run = await _run(request)
    if run.answer is None:
        part = Part("run", f"is {run.computation.state}", "wait until it is done")
        raise Problem(409, "not-done", "This run has no answer", part)
    return run, run.answer


async def export_csv(call: Call[Nothing, Nothing]) -> Response:
    """Every figure of a run as CSV."""
    run, answer = await _answer(call.request)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["assumptions", "table", "system", "what", "mean", "low", "high"])
    writer.writerows(rows_of(answer))
    return _file(text.getvalue(), "text/csv; charset=utf-8", f"comparison-{run.id}.csv")


async def export_json(call: Call[Nothing, Nothing]) -> Response:
    """A run's question and answer as JSON."""
    run, answer = await _answer(call.request)
    body = {
        "wish": msgspec.to_builtins(run.wish),
        "comparison": asdict(answer.comparison),
        "sampled": asdict(answer.drawn) if answer.drawn else None,
        "conclusions": [asdict(x) for x in answer.survives],
    }
    data = msgspec.json.encode(_plain(body))
    return _file(data, "application/json", f"comparison-{run.id}.json")


async def export_pdf(call: Call[Nothing, Nothing]) -> Response:
    """The report of a run, with its assumptions."""
    run, answer = await _answer(call.request)
    orders = {n: order(s.protocol) for n, s in answer.systems.items()}
    person = await _person(call.request)
    words = Sayings(languages.of(call.request, person.language))
    data = await asyncio.to_thread(report, answer, run.wish, orders, words)
    return _file(data, "application/pdf", f"comparison-{run.id}.pdf")


async def export_svg(call: Call[Nothing, Nothing]) -> Response:
    """One picture of a run: tornado or lanes of a network, forest of a figure, or the frontier."""
    _, answer = await _answer(call.request)
    kind, of = call.path["kind"], call.path["of"]
    person = await _person(call.request)
    language = languages.of(call.request, person.language)
    svg = _picture(answer, kind, of, say.words_of(call.request, person), language)
    if svg is None:
        part = Part("kind", f"there is no picture {kind} of {of}", f"kinds: {', '.join(KINDS)}")
        raise Problem(404, "no-picture", "No such picture", part)
    return _file(svg, "image/svg+xml", f"{kind}-{of}.svg")


def _file(data: str | bytes, kind: str, name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response(data, 200, headers, kind)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _picture(answer: Answer, kind: str, of: str, t: T, language: str) -> str | None:
    c = answer.comparison
    if kind == "tornado" and of in c.marginal:
        effects = {k: e["treated_share"] for k, e in c.marginal[of].items()}
        unit = say.measure(t, "treated_share")
        title = f"{say.system(t, of)}: {unit}"
        return tornado(effects, title=title, unit=unit, names=say.levers(t))
    if kind == "lanes" and of in answer.systems:
        system = answer.systems[of]
        return lanes(
            system, order(system.protocol), title=say.system(t, of), words=say.lanes(t),
            language=language, said=lambda text: said(text, language),
        )  # fmt: skip
    if kind == "forest" and of in TITLES:
        rows = {n: c.figures[n][of] for n in c.figures if of in c.figures[n]}
        unit, called = say.measure(t, of), {n: say.system(t, n) for n in rows}
        return forest(rows, title=unit, unit=unit, names=called) if rows else None
    if kind == "frontier":
        points = []
        for n, figures_ in c.figures.items():
            cost, treated = figures_["cost"].mean, figures_["treated_share"].mean
            name = say.system(t, n)
            points.append(Point(name, cost, treated))
            for lever, e in c.marginal[n].items():
                more, dearer = treated + e["treated_share"].mean, cost + e["cost"].mean
                points.append(Point(f"{name} + {say.lever(t, lever)}", dearer, more))
        points = [p for p in points if math.isfinite(p.cost) and math.isfinite(p.treated)]
        if not points:
            return None
        return plane(
            frontier(points), title=t("design.frontier"), cost=say.measure(t, "cost"),
            treated=say.measure(t, "treated_share"),
        )  # fmt: skip
    return None


# ---- pages --------------------------------------------------------------------------------------


async def studio(request: Request) -> Response:
    """Choose networks, look at them, change figures, run."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    here = request.query_params.get("network", "sweden")
    system = await _system(request, here)
    t = say.words_of(request, person)
    title = say.system(t, system.name)
    language = languages.of(request, person.language)
    networks = studio_of(request).own
    own = await networks.all_of(person.organisation)
    every = [(n, say.title(load(n), t, language)) for n in names()]
    every += [(x.ref, f"{x.title} ({say.system(t, x.ref)})") for x in own]
    drawn = lanes(
        system, order(system.protocol), title=title, words=say.lanes(t), language=language,
        said=lambda text: said(text, language),
    )  # fmt: skip
    runs = await studio_of(request).all_of(person.organisation)
    return await page(
        request, "design.html", person, networks=every, chosen=system.network, picture=drawn,
        figures=_figures(system, t, language), places=Places(system, t, language), runs=runs,
        start={"network": system.name}, own=own,
        withdrawn=await networks.withdrawn(person.organisation),
        protocol=text_of(system.protocol.title, language), title=say.title(system, t, language),
        named=lambda n: say.system(t, n),
    )  # fmt: skip


def _figures(system: System, t: T, language: str) -> list[dict[str, Any]]:
    """The figures to change, each with its name, and the sites and lanes that it belongs to."""
    return [
        {"path": path, "n": n, "title": called(system, path, t, language),
         "source": _source(system, n, t, language),
         "of": (of := belongs(system, path)), "bounds": bounds(path),
         "shared": len([key for key in of if key.startswith("centre:")]) > 1}
        for path, n in key_figures(system)
    ]  # fmt: skip


def _source(system: System, n: Number, t: T, language: str) -> str:
    """Where a figure comes from: the title of its source."""
    if n.assumption or n.source is None:
        return t("design.assumption" if n.assumption else "design.report.here")
    return said(system.network.sources[n.source].title, language)


async def comparison(request: Request) -> Response:
    """A run: how far it is, or what it found."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    run = await _run(request)
    t, language = say.words_of(request, person), languages.of(request, person.language)
    found = so_far(run.so_far, t, language)
    if run.answer is not None:
        found |= _tables(run.answer, t, language)
    return await page(
        request, "comparison.html", person, run=run, start={"run": run.id},
        named=lambda n: say.system(t, n), years=say.number(run.wish.years, language),
        changes=say.changes(run.wish, t, language), **found,
    )  # fmt: skip


def _tables(answer: Answer, t: T, language: str) -> dict[str, Any]:
    c, heads = answer.comparison, list(answer.systems)

    def rows(
        source: Any, keys: Sequence[tuple[str, str]], digits: int
    ) -> list[tuple[str, list[str]]]:
        return [
            (title, [say.figure(source[n].get(k), digits, language) for n in heads])
            for k, title in keys
        ]

    what = dict.fromkeys(w for n in heads for w in c.resilience[n])
    events = [(w, say.event(t, w)) for w in what]
    measures = [(k, say.measure(t, k)) for k in TITLES]
    marginal = {n: {k: e["treated_share"] for k, e in c.marginal[n].items()} for n in heads}
    return {
        "heads": heads,
        "titles": {n: say.title(answer.systems[n], t, language) for n in heads},
        "called": {n: say.system(t, n) for n in heads},
        "figures": rows(c.figures, measures, 1),
        "details": [(h, rows(c.figures, keys, 1)) for h, keys in details(answer, t, language)],
        "drawn": rows(answer.drawn.figures, measures, 1) if answer.drawn else [],
        "survives": [(x, say.conclusion(t, x.what)) for x in answer.survives],
        "lever": {x.name: say.lever(t, x.name) for x in LEVERS},
        "levers": rows(marginal, list(say.levers(t).items()), 2),
        "scale": rows(c.scale, [(k, k) for k in c.scale[heads[0]]], 1),
        "events": rows(c.resilience, events, 2),
        "pressure": c.pressure,
        "cell": lambda e, digits: say.figure(e, digits, language),
        "tornados": {n: _picture(answer, "tornado", n, t, language) for n in heads},
        "lanes": {n: _picture(answer, "lanes", n, t, language) for n in heads},
        "forest": _picture(answer, "forest", "treated_share", t, language),
        "frontier": _picture(answer, "frontier", "all", t, language),
    }


RUN = "/api/design/runs/{run}"
GONE = {404: "no such run of your organisation"}
NOT_YET = {**GONE, 409: "the run has no answer yet"}
ENDPOINTS = (
    Endpoint("GET", "/api/design/networks", known, "List the delivery systems", "design",
             answer=list[Known], tag="design"),
    Endpoint("GET", "/api/design/networks/{name}", figures, "Figures of a system to change",
             "design", answer=list[Figure], answers={404: "no such network"}, tag="design"),
    Endpoint("POST", "/api/design/runs", begin, "Compare delivery systems", "design", body=Wish,
             answer=State, status=202, answers={422: "cannot be run", 429: "too many at once"},
             tag="design"),
    Endpoint("GET", RUN, look, "How far a run is", "design", answer=State, answers=GONE,
             tag="design"),
    Endpoint("GET", f"{RUN}/stream", follow, "Follow a run", "design",
             answer="text/event-stream", answers=GONE, tag="design"),
    Endpoint("DELETE", RUN, stop, "Cancel a run", "design", answer=State, answers=GONE,
             tag="design"),
    Endpoint("GET", f"{RUN}/table.csv", export_csv, "A run as CSV", "design", answer="text/csv",
             answers=NOT_YET, tag="design"),
    Endpoint("GET", f"{RUN}/answer.json", export_json, "A run as JSON", "design",
             answer="application/json", answers=NOT_YET, tag="design"),
    Endpoint("GET", f"{RUN}/report.pdf", export_pdf, "The report of a run", "design",
             answer="application/pdf", answers=NOT_YET, tag="design"),
    Endpoint("GET", f"{RUN}/pictures/{{kind}}/{{of}}", export_svg, "A picture of a run", "design",
             answer="image/svg+xml", answers=NOT_YET, tag="design"),
)  # fmt: skip
ROUTES = [Route("/design", studio), Route("/design/runs/{run}", comparison)]
