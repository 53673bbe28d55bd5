"""How right the forecasts were: reliability diagram and Brier score, on a page and to keep."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.protocol.model import text
from stafett.service.hindcasts import Record, Score, Simulated, simulated
from stafett.service.refusal import No, unknown
from stafett.service.tower import Tower
from stafett.web import language as languages
from stafett.web import pages
from stafett.web.api import problem, tower_of
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing

MENU = (Line("hindcast", "/forecasts", "menu.watch"),)
SIDE, LEFT, TOP, RIGHT, BOTTOM = 360.0, 64.0, 16.0, 24.0, 52.0
Translate = Callable[..., str]


def picture(score: Score | Simulated, t: Translate, language: str) -> Markup:
    """Return the reliability diagram: what was said against what happened, with 95 % intervals."""

    def x(share: float) -> float:
        return LEFT + SIDE * share

    def y(share: float) -> float:
        return TOP + SIDE * (1 - share)

    title = t("hindcast.title", n=score.questions, held=score.held)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="reliability"'
        f' viewBox="0 0 {LEFT + SIDE + RIGHT:.0f} {TOP + SIDE + BOTTOM:.0f}" role="img"'
        f' width="{LEFT + SIDE + RIGHT:.0f}" font-family="sans-serif" font-size="12"'
        f' fill="currentColor"><title>{escape(title)}</title>'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        said = escape(format_percent(share, locale=language))
        out += [
            _line(x(share), y(0), x(share), y(1), 'stroke="currentColor" stroke-opacity="0.2"'),
            _line(x(0), y(share), x(1), y(share), 'stroke="currentColor" stroke-opacity="0.2"'),
            f'<text x="{x(share)}" y="{y(0) + 18}" text-anchor="middle">{said}</text>',
            f'<text x="{x(0) - 6}" y="{y(share) + 4}" text-anchor="end">{said}</text>',
        ]
    middle = TOP + SIDE / 2
    out += [
        f'<text x="{x(0.5)}" y="{y(0) + 40}" text-anchor="middle">'
        f"{escape(t('hindcast.said'))}</text>",
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
        f"{escape(t('hindcast.happened'))}</text>",
        _line(x(0), y(0), x(1), y(1), 'stroke="currentColor" stroke-dasharray="6 3"'),
    ]
    line = " ".join(f"{x(b.said):.1f},{y(b.happened):.1f}" for b in score.bins)
    out.append(f'<polyline fill="none" stroke="#1f6fbf" stroke-width="1.6" points="{line}"/>')
    taken = [(x(b.said) - 5, y(b.happened) - 5, 10.0) for b in score.bins]
    for b in score.bins:
        out += [
            _line(x(b.said), y(b.low), x(b.said), y(b.high), 'stroke="#1f6fbf" stroke-width="1.6"'),
            f'<circle fill="#1f6fbf" cx="{x(b.said):.1f}" cy="{y(b.happened):.1f}" r="4"/>',
            _beside(x(b.said), y(b.happened), f"n {b.n}", taken),
        ]
    out.append("</svg>")
    return Markup("".join(out))  # every text in it went through escape


def _beside(x: float, y: float, text: str, taken: list[tuple[float, float, float]]) -> str:
    """Write beside a point where nothing is `taken` (left, top, width of a line), if anywhere."""
    width = 7.0 * len(text)
    places = ((x + 7, y + 14), (x - 7 - width, y - 6), (x + 7, y - 6), (x - 7 - width, y + 14))
    inside = [p for p in places if p[0] >= LEFT and p[0] + width <= LEFT + SIDE + RIGHT
              and TOP + 10 <= p[1] <= TOP + SIDE - 2]  # fmt: skip
    for left, base in inside:
        top = base - 10
        if all(
            left + width <= other or other + wide <= left or abs(top - high) >= 11
            for other, high, wide in taken
        ):
            taken.append((left, top, width))
            return f'<text x="{left:.1f}" y="{base:.1f}">{escape(text)}</text>'
    return ""  # the table below has it


def _line(x1: float, y1: float, x2: float, y2: float, how: str) -> str:
    return f'<line {how} x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def sentences(score: Score | Simulated, t: Translate, language: str) -> list[str]:
    """Say in words what the picture and the score say, at last what they rest on."""
    off = [b for b in score.bins if not b.low <= b.said <= b.high]
    n = len(score.bins)
    mean = sum(b.said * b.n for b in score.bins) / score.questions
    if not off:
        first = t("hindcast.right", n=n)
    else:
        way = "hindcast.too-often" if mean > score.late else "hindcast.too-seldom"
        first = t(way, k=len(off), n=n)

    def number(value: float) -> str:
        return str(format_decimal(round(value, 3), locale=language, format="0.000"))

    shares = {"said": format_percent(mean, locale=language, format="0.0 %"),
              "late": format_percent(score.late, locale=language, format="0.0 %")}  # fmt: skip
    numbers = {"brier": number(score.brier), "usual": number(score.usual_brier)}
    saved = format_percent(abs(score.skill), locale=language)
    better = "hindcast.better" if score.skill > 0 else "hindcast.no-better"
    counts = {"n": score.questions, "held": score.held, "learnt": score.learnt}
    if isinstance(score, Simulated):
        basis = t("hindcast.simulated.basis", **counts, years=round(score.days / 365))
    else:
        basis = t(
            "hindcast.basis", **counts,
            since=format_date(score.since, "d MMM y", locale=language),
            until=format_date(score.until, "d MMM y", locale=language),
        )  # fmt: skip
    return [first, t("hindcast.mean", **shares), t(better, **numbers, saved=saved), basis]


async def page(request: Request) -> Response:
    """The record of the forecasts, protocol by protocol."""
    person = await pages.signed_in(request)
    if isinstance(person, Response):
        return person
    language = languages.of(request, person.language)
    t = languages.translator(language)
    tower: Tower = request.app.state.tower
    found = await tower.hindcasts.of(person)
    called = {
        name: pinned.document.bind().title for name, pinned in tower.library.current().items()
    }
    titles = {
        one.protocol: f"{text(called[name], language)} {version}"
        for one in found
        for name, _, version in (one.protocol.rpartition(" "),)
        if name in called
    }
    shown = [
        (i, one, picture(one.score, t, language), sentences(one.score, t, language))
        for i, one in enumerate(found)
        if one.score is not None
    ]
    few = [one for one in found if one.score is None]
    made = None if shown else simulated()
    return await pages.page(
        request, "forecasts.html", person, shown=shown, few=few, titles=titles,
        made=made and (made, picture(made, t, language), sentences(made, t, language)),
    )  # fmt: skip


async def record(call: Call[Nothing, Nothing]) -> list[Record]:
    """Say how right the forecasts were."""
    return await tower_of(call.request).hindcasts.of(call.request.state.person)


async def _score(call: Call[Nothing, Nothing]) -> tuple[Record, Score]:
    found = await record(call)
    number = call.path["number"]
    one = found[int(number)] if number.isdecimal() and int(number) < len(found) else None
    if one is None or one.score is None:
        no: No = unknown("record", number)
        raise problem(no)
    return one, one.score


async def svg(call: Call[Nothing, Nothing]) -> Response:
    """Give the reliability diagram, to keep or to print."""
    one, score = await _score(call)
    language = languages.of(call.request, call.request.state.person.language)
    drawn = str(picture(score, languages.translator(language), language))
    return _file(drawn, "image/svg+xml", one, "svg")


async def table(call: Call[Nothing, Nothing]) -> Response:
    """Give the numbers of the reliability diagram as CSV."""
    one, score = await _score(call)
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(("said", "happened", "low_95", "high_95", "n"))
    rows.writerows((b.said, b.happened, b.low, b.high, b.n) for b in score.bins)
    return _file(out.getvalue(), "text/csv", one, "csv")


def _file(text: str, media: str, one: Record, ending: str) -> Response:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in one.protocol)
    headers = {"Content-Disposition": f'attachment; filename="forecasts-{name}.{ending}"'}
    return Response(text, media_type=media, headers=headers)


ROUTES = [Route("/forecasts", page)]
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/forecasts/record", record, "How right the forecasts were", "see",
             answer=list[Record], tag="watch"),
    Endpoint("GET", "/api/forecasts/record/{number}/reliability.svg", svg, "Reliability diagram",
             "see", answer="image/svg+xml", tag="watch"),
    Endpoint("GET", "/api/forecasts/record/{number}/reliability.csv", table,
             "Reliability as a table", "see", answer="text/csv", tag="watch"),
)  # fmt: skip
