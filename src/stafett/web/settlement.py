"""Settlement: what the record says an organisation contributed, and would owe or earn."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stafett.design.incentives.reading import load as load_game
from stafett.service import settlement as work
from stafett.service.accounts import Person
from stafett.service.computing import Busy
from stafett.service.going import Going
from stafett.service.incentives import WORTH
from stafett.service.incentives_report import settlement_report
from stafett.service.pictures.bars import gain_bars
from stafett.service.settlement import Settlement, Settling
from stafett.service.tower import Tower
from stafett.web.area import Line
from stafett.web.design_sayings import Sayings
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.incentives import WRONG, busy, form_of, handed, not_yet, number, signed
from stafett.web.language import of as languages_of
from stafett.web.language import translator
from stafett.web.pages import page, signed_in
from stafett.web.problem import Part, Problem

MENU = (Line("incentives.settlement", "/design/settlement", "menu.design", "design"),)


async def _wish(request: Request, person: Person) -> Settling:
    """What the address asks for; without a position, of the record as it is now."""
    tower: Tower = request.app.state.tower
    size = await tower.ledger.size()
    form = request.query_params.get("contract", "bond")
    if form not in work.FORMS:
        part = Part("contract", f"there is no {form!r}", f"known: {', '.join(work.FORMS)}")
        raise Problem(422, "invalid", "No such contract", part)
    return Settling(
        person.organisation,
        int(number(request, "position", size, 0, size)),
        number(request, "value", load_game().game.value, *WORTH),
        form,
        number(request, "rate", 25, 0, 100) / 100,
    )


async def _found(request: Request, person: Person, wish: Settling) -> Settlement | Going:
    tower: Tower = request.app.state.tower
    try:
        return await tower.settlements.of(wish, person.id)
    except Busy as no:
        raise busy(no) from None


def _query(wish: Settling, **other: object) -> str:
    asked = {"contract": wish.form, "value": f"{wish.value:g}", "rate": f"{100 * wish.rate:g}",
             "position": wish.position}  # fmt: skip
    return urlencode({k: v for k, v in {**asked, **other}.items() if v is not None})


async def settlement(request: Request) -> Response:
    """The own statement, of the record up to the position that the address names."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    wish = await _wish(request, person)
    if "position" not in request.query_params:
        # The address then names one statement for good, however the record grows.
        language = request.query_params.get("language")
        return RedirectResponse(f"/design/settlement?{_query(wish, language=language)}", 303)
    found = await _found(request, person, wish)
    going = found if isinstance(found, Going) else None
    tower: Tower = request.app.state.tower
    return await page(
        request, "settlement.html", person, found=found, going=going, wish=wish, worth=WORTH,
        forms=work.FORMS, query=_query(wish), now=_query(wish, position=None),
        behind=await tower.ledger.size() - wish.position, assumed=work,
    )  # fmt: skip


async def export(call: Call[Nothing, Nothing]) -> Response:
    """The own statement as CSV, JSON, SVG or PDF; 409 while it is being worked out."""
    form = form_of(call)
    person = await signed(call.request)
    wish = await _wish(call.request, person)
    found = await _found(call.request, person, wish)
    if isinstance(found, Going):
        raise not_yet("position", found)
    if found.statement is None:
        part = Part("position", found.problem, "ask again when more journeys are closed")
        raise Problem(422, "nothing-to-settle", "There is nothing to settle", part)
    if form == "pdf":
        organisations = await call.request.app.state.tower.accounts.organisations()
        named = organisations[wish.organisation].name
        words = Sayings(languages_of(call.request, person.language))
        data: str | bytes = await asyncio.to_thread(settlement_report, found, wish, named, words)
    elif form == "csv":
        data = work.settlement_csv(found)
    elif form == "svg":
        t = translator(languages_of(call.request, person.language))
        lines = {x.interface or x.what: x.amount for x in found.statement.lines}
        data = gain_bars(lines, title=t("incentives.statement"), unit=t("incentives.svg.settled"))
    else:
        data = work.settlement_json(found, wish)
    return handed(data, form, f"settlement-{wish.position}")


ENDPOINTS = (
    Endpoint("GET", "/api/design/settlement/{form}", export, "The own statement", "design",
             answer="application/octet-stream", answers=WRONG, tag="design"),
)  # fmt: skip
ROUTES = [Route("/design/settlement", settlement)]
