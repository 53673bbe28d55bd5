"""Pages that wait for a computation: how far it is, told as it goes, and asked for where not."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stafett.service import going
from stafett.service.computing import Computing
from stafett.service.going import Going
from stafett.web import refusals, sse
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.problem import Part, Problem

MOST = 16  # computations that one page waits for


class Waiting(msgspec.Struct, frozen=True):
    """How far it is: parts of all parts. When it is no longer going the page has its answer."""

    going: bool
    done: int
    total: int
    problem: str


async def look(call: Call[Nothing, Nothing]) -> Waiting:
    """How far the computations are that a page waits for."""
    return _told(call.request, await _going(call))


async def follow(call: Call[Nothing, Nothing]) -> Response:
    """Follow them: a `state` event for each step, the last when all have ended."""
    runs = (await _going(call)).runs
    computing, organisation = _asked(call.request)
    steps = going.follow(computing, organisation, runs, sse.BEAT_S)
    return sse.states(call.request, steps, lambda step: _told(call.request, step))


async def _going(call: Call[Nothing, Nothing]) -> Going:
    runs = tuple(dict.fromkeys(call.path["runs"].split(",")))
    found = await going.look(*_asked(call.request), runs) if len(runs) <= MOST else None
    if found is None:
        part = Part("runs", "is not known here, or is another organisation's", "ask the page again")
        raise Problem(404, "no-run", "No such run", part)
    return found


def _asked(request: Request) -> tuple[Computing, str]:
    return request.app.state.tower.computing, request.state.person.organisation


def _told(request: Request, now: Going) -> Waiting:
    problem = refusals.said(now.problem, refusals.language_of(request))
    return Waiting(now.going, now.done, now.total, problem)


PATH = "/api/design/going/{runs}"
GONE = {404: "no such run for a page"}
ENDPOINTS = (
    Endpoint("GET", PATH, look, "How far a page's computations are", "design", answer=Waiting,
             answers=GONE, tag="design"),
    Endpoint("GET", f"{PATH}/stream", follow, "Follow a page's computations", "design",
             answer="text/event-stream", answers=GONE, tag="design"),
)  # fmt: skip
