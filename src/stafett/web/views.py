"""Saved views of the board: the API. The page is the board itself."""

from __future__ import annotations

from stafett.service.refusal import No
from stafett.service.views import View, Wished
from stafett.web.api import problem, tower_of
from stafett.web.endpoint import Call, Endpoint, Nothing

PATH = "/api/board/views"


async def views(call: Call[Nothing, Nothing]) -> list[View]:
    """List the person's saved views."""
    return await tower_of(call.request).views.of(call.request.state.person)


async def save(call: Call[Wished, Nothing]) -> None:
    """Save a view."""
    try:
        person = call.request.state.person
        await tower_of(call.request).views.save(person, call.path["view"], call.body)
    except No as no:
        raise problem(no) from None


async def forget(call: Call[Nothing, Nothing]) -> None:
    """Forget a view."""
    try:
        await tower_of(call.request).views.forget(call.request.state.person, call.path["view"])
    except No as no:
        raise problem(no) from None


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", PATH, views, "My saved views of the board", "see", answer=list[View],
             tag="board"),
    Endpoint("PUT", PATH + "/{view}", save, "Save a view of the board", "see", Wished, status=204,
             tag="board", answers={409: "There are too many."}),
    Endpoint("DELETE", PATH + "/{view}", forget, "Forget a saved view", "see", status=204,
             tag="board"),
)  # fmt: skip
