"""Training: where one stands, what changed for one, practice at the station, learning curves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.registry.practice import Point, Result, curve, draw
from stafett.service.practice import Place, View
from stafett.service.refusal import No
from stafett.service.request import Asked
from stafett.service.tower import Tower
from stafett.service.training import Reading, Standing
from stafett.web import language as languages
from stafett.web.api import problem
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, signed_in, start_of
from stafett.web.problem import Part, Problem

MENU = (Line("training", "/training", "menu.registry", "see"),)
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Begin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begin a drill at one side of an activity."""

    protocol: Name
    activity: Name
    side: Name


class Drilled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One act at a practice station: a command as at a real one."""

    command: Asked


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The number of the choice taken for each question, and the language they were read in."""

    answers: tuple[int, ...]
    language: Literal["en", "sv", "es"] = "en"


class Checked(msgspec.Struct, frozen=True):
    """Whether all was right (competence is granted then), and which questions were not."""

    passed: bool
    wrong: list[int]


class Curves(msgspec.Struct, frozen=True):
    """The learning curve of one's own organisation, and one's own results."""

    organisation: list[Point]
    mine: list[Result]


def _tower(request: Request) -> Tower:
    tower: Tower = request.app.state.tower
    return tower


def _said(no: No) -> Problem:
    if no.code == "not-now":
        return Problem(409, no.code, no.title, *(Part(r.field, r.what, r.todo) for r in no.reasons))
    return problem(no)


async def standing(call: Call[Nothing, Nothing]) -> list[Standing]:
    """Say where one stands in each of one's roles."""
    return await _tower(call.request).training.standing(call.request.state.person)


async def reading(call: Call[Nothing, Nothing]) -> Reading:
    """Return what changed for one, and the questions on it."""
    person = call.request.state.person
    language = languages.of(call.request, person.language)
    try:
        return await _tower(call.request).training.reading(
            person, call.path["protocol"], call.path["role"], language
        )
    except No as no:
        raise _said(no) from None


async def answer(call: Call[Answers, Nothing]) -> Checked:
    """Check the answers; competence follows when all are right."""
    try:
        wrong = await _tower(call.request).training.answer(
            call.request.state.person,
            call.path["protocol"],
            call.path["role"],
            call.body.answers,
            call.body.language,
        )
    except No as no:
        raise _said(no) from None
    return Checked(not wrong, wrong)


async def places(call: Call[Nothing, Nothing]) -> list[Place]:
    """List the stations that one can practise at."""
    return _tower(call.request).practice.places(call.request.state.person)


async def begin(call: Call[Begin, Nothing]) -> View:
    """Begin a drill."""
    practice, person = _tower(call.request).practice, call.request.state.person
    try:
        drill = practice.begin(person, call.body.protocol, call.body.activity, call.body.side)
        return practice.view(person, drill.id, languages.of(call.request, person.language))
    except No as no:
        raise _said(no) from None


async def view(call: Call[Nothing, Nothing]) -> View:
    """Return a drill as its person sees it."""
    person = call.request.state.person
    language = languages.of(call.request, person.language)
    try:
        return _tower(call.request).practice.view(person, call.path["id"], language)
    except No as no:
        raise _said(no) from None


async def act(call: Call[Drilled, Nothing]) -> View:
    """Act at a practice station."""
    person = call.request.state.person
    try:
        return await _tower(call.request).practice.act(person, call.path["id"], call.body.command)
    except No as no:
        raise _said(no) from None


async def give_up(call: Call[Nothing, Nothing]) -> View:
    """End a drill; it counts as no attempt."""
    try:
        return await _tower(call.request).practice.give_up(
            call.request.state.person, call.path["id"]
        )
    except No as no:
        raise _said(no) from None


async def curves(call: Call[Nothing, Nothing]) -> Curves:
    """Return the learning curve of one's own organisation."""
    person = call.request.state.person
    results = await _tower(call.request).practice.results(person.organisation)
    return Curves(curve(results), [r for r in results if r.person == person.id])


async def overview(request: Request) -> Response:
    """Where I stand, what I can read, where I can practise, how my site learns."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    tower = _tower(request)
    results = await tower.practice.results(person.organisation)
    points = curve(results)
    translate = languages.translator(languages.of(request, person.language))
    return await page(
        request,
        "training.html",
        person,
        standing=await tower.training.standing(person),
        places=tower.practice.places(person),
        points=points,
        picture=draw(points, translate("training.curve")),
        mine=[r for r in results if r.person == person.id][-10:],
        start={},
    )


async def read(request: Request) -> Response:
    """What changed for me, and the check."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    path = request.path_params
    language = languages.of(request, person.language)
    training = _tower(request).training
    try:
        found = await training.reading(person, path["protocol"], path["role"], language)
    except No as no:
        parts = tuple(Part(r.field, r.what, r.todo) for r in no.reasons)
        document = Problem(409, no.code, no.title, *parts).document
        return await page(request, "problem.html", person, 409, problem=document)
    start: dict[str, Any] = {"protocol": found.protocol, "role": found.role, "language": language}
    return await page(request, "training_read.html", person, reading=found, start=start)


async def drill(request: Request) -> Response:
    """A practice station."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    start = {**await start_of(request, person), "drill": request.path_params["id"]}
    return await page(request, "practice.html", person, start=start)


LIMITS = {409: "Not possible now; the reasons say why.", 503: "Too many practise just now."}
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/training", standing, "Where one stands", "see", answer=list[Standing],
             tag="training"),
    Endpoint("GET", "/api/training/{protocol}/{role}", reading, "What changed for one", "see",
             answer=Reading, tag="training", answers=LIMITS),
    Endpoint("POST", "/api/training/{protocol}/{role}", answer, "Read and understood", "see",
             Answers, answer=Checked, tag="training", answers=LIMITS),
    Endpoint("GET", "/api/practice/places", places, "Where one can practise", "see",
             answer=list[Place], tag="training"),
    Endpoint("GET", "/api/practice/curves", curves, "Learning curve", "see", answer=Curves,
             tag="training"),
    Endpoint("POST", "/api/practice", begin, "Begin a drill", "see", Begin, answer=View,
             status=201, tag="training", answers={**LIMITS, 404: "No such station to practise."}),
    Endpoint("GET", "/api/practice/{id}", view, "A drill", "see", answer=View, tag="training"),
    Endpoint("POST", "/api/practice/{id}/commands", act, "Act in a drill", "see", Drilled,
             answer=View, tag="training", answers=LIMITS),
    Endpoint("DELETE", "/api/practice/{id}", give_up, "Give a drill up", "see", answer=View,
             tag="training"),
)  # fmt: skip
ROUTES = [
    Route("/training", overview),
    Route("/training/{protocol}/{role}", read),
    Route("/practice/{id}", drill),
]
