"""Stations: one side of one handoff or step, also where there is no network.

The page of a station is an empty shell: what it shows comes from the API, or from what the device
kept. So the service worker needs to keep one shell only, and no page holds another journey's data.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

import zxingcpp
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.identity import keyboard
from stafett.service.tower import Tower
from stafett.web.area import Line
from stafett.web.pages import journey_of, page, signed_in, stamp, start_of

MENU = (Line("scanner", "/scanner"),)
# What a station and the list of tasks need without a network, beside their pages.
FILES = (
    "stafett.css",
    "stafett.svg",
    "signed-out.html",
    "shell.js",
    "dom.js",
    "live.js",
    "store.js",
    "outbox.js",
    "passkey.js",
    "identify.js",
    "places.js",
    "project.js",
    "stop.js",
    "scanline.js",
    "station.js",
    "stationview.js",
    "tasks.js",
    "camera.js",
    "vendor/idb-8.0.4/index.js",
)


async def station(request: Request) -> Response:
    """One side of one handoff or step: one task, one obvious next action."""
    found = await journey_of(request)
    if isinstance(found, Response):
        return found
    person, live = found
    tower: Tower = request.app.state.tower
    return await page(
        request,
        "station.html",
        person,
        start=await start_of(request, person),
        scanner=_self_test(),
        row=tower.board.current(live),
        state=live.state,
    )


async def shell(request: Request) -> Response:
    """The page of a station without its journey: what the device keeps for use offline."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    start = await start_of(request, person)
    return await page(
        request, "station.html", person, start=start, scanner=_self_test(), row=None, state=None
    )


async def scanner(request: Request) -> Response:
    """The self-test of a scanner, at the start of a shift."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    return await page(
        request, "scanner.html", person, symbol=_symbol(), scanner=_self_test(), start={}
    )


async def worker(request: Request) -> Response:
    """The service worker, with the version and the files that it keeps."""
    return Response(
        _worker(),
        media_type="text/javascript",
        headers={"Cache-Control": "no-cache", "Service-Worker-Allowed": "/"},
    )


@cache
def _worker() -> bytes:
    files = [f"/static/{name}" for name in FILES]
    head = f"const STAMP = {json.dumps(stamp())};\nconst FILES = {json.dumps(files)};\n"
    body = (resources.files("stafett.web") / "static" / "worker.js").read_bytes()
    return head.encode() + body


def _self_test() -> dict[str, str]:
    return {
        "symbol": keyboard.SELF_TEST,
        "swedish": keyboard.as_swedish(keyboard.SELF_TEST),
    }


@cache
def _symbol() -> Markup:
    """Return the self-test symbol as SVG: a Data Matrix, as on the labels."""
    made = zxingcpp.create_barcode(
        keyboard.SELF_TEST, zxingcpp.BarcodeFormat.DataMatrix, force_square=True
    )
    drawn = str(zxingcpp.write_barcode_to_svg(made, scale=6))
    return Markup(drawn[drawn.index("<svg") :])  # the XML head does not belong inside a page


ROUTES = [
    Route("/worker.js", worker),
    Route("/station", shell),
    Route("/scanner", scanner),
    Route("/journeys/{journey}/{activity}/{side}", station),
]
