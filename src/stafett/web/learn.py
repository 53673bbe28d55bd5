"""Learn: what the record teaches, as pages that the address describes wholly, and as JSON.

A page never waits for an analysis: it shows what is made, says what is being made, and its script
asks again. Pictures go out as SVG and their data as CSV under addresses of their own.
"""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stafett.insight.chapters import NAMES as CHAPTERS
from stafett.insight.chapters import OUTCOMES
from stafett.insight.registered import Trial
from stafett.protocol.fit import plain
from stafett.protocol.model import text
from stafett.service import policy
from stafett.service.accounts import Person
from stafett.service.foreign_logs import ForeignLog, LogRefused
from stafett.service.learning import SIMULATED, Learning, Scope, Study
from stafett.service.learnt import Made, Names
from stafett.service.tower import Tower
from stafett.web import findings
from stafett.web import language as languages
from stafett.web.area import Line
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.pages import page, role_titles, signed_in
from stafett.web.problem import Part, Problem

MENU = (
    Line("learn.overview", "/learn", group="menu.learn", may="learn"),
    *(
        Line(f"learn.{name}", f"/learn/{name}", group="menu.learn", may="learn")
        for name in CHAPTERS
    ),
)
KEPT = ("source", "protocol", "since", "until", "site", "outcome")
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the address says: the source, and how it is cut. Days are UTC, both included.

    `language` is what sentences are said in (JSON; pages have the reader's own).
    """

    source: Annotated[str, msgspec.Meta(max_length=80)] = "record"
    protocol: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    since: date | None = None
    until: date | None = None
    site: Annotated[str, msgspec.Meta(max_length=120)] | None = None
    outcome: Literal[OUTCOMES] | None = None  # type: ignore[valid-type]
    language: Literal["en", "sv", "es"] | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far the making is: chapters made of those wanted, and which is being made."""

    made: list[str]
    wanted: list[str]
    current: str
    problem: str
    position: int
    began: datetime


class FigureAnswer(msgspec.Struct, frozen=True):
    """A figure without its picture: the table is at `csv`, the picture at `svg`."""

    key: str
    title: str
    sentence: str
    basis: str
    headline: str
    svg: str
    csv: str


class ChapterAnswer(msgspec.Struct, frozen=True):
    """A chapter; `ready` is false while it is being made (ask again)."""

    chapter: str
    ready: bool
    position: int
    figures: list[FigureAnswer]
    notes: list[str]
    problem: str = ""


def _learning(request: Request) -> Learning:
    tower: Tower = request.app.state.tower
    return tower.learning


def _checked(request: Request, asked: Asked) -> Asked:
    """Refuse what no page can show, in words."""
    kind, _, name = asked.source.partition(":")
    tower: Tower = request.app.state.tower
    wrong: Part | None = None
    if not (
        asked.source == "record"
        or (kind == "simulated" and name in SIMULATED)
        or (kind == "log" and name.isalnum() and len(name) == 32)
    ):
        sources = ", ".join(["record", *(f"simulated:{s}" for s in SIMULATED), "log:ID"])
        wrong = Part("source", "is none of the sources", f"one of: {sources}")
    elif asked.protocol and asked.protocol not in tower.library.current():
        known = ", ".join(tower.library.current())
        wrong = Part("protocol", "is not known", f"one of: {known}")
    elif asked.since and asked.until and asked.since > asked.until:
        wrong = Part("since", "lies after until", "the first day comes first")
    if wrong is not None:
        raise Problem(422, "invalid", "This cannot be learnt from", wrong)
    return asked


async def _study(
    request: Request, person: Person, asked: Asked, chapters: list[str], *, again: bool = False
) -> tuple[Study, Study | None]:
    tower: Tower = request.app.state.tower
    language = asked.language or languages.of(request, person.language)
    scope = Scope(
        asked.source, person.organisation, asked.protocol, asked.since, asked.until, asked.site,
        asked.outcome or OUTCOMES[0], language if asked.source == "record" else "",
    )  # fmt: skip
    order: tuple[tuple[str, tuple[str, ...]], ...] = ()
    if asked.protocol:
        protocol = tower.library.current()[asked.protocol].document.bind()
        after = {name: step.after for name, step in protocol.steps.items()}
        after |= {name: handoff.after for name, handoff in protocol.handoffs.items()}
        order = tuple(
            (name, tuple(ref.partition("=")[0] for ref in refs)) for name, refs in after.items()
        )
    organisations = await tower.accounts.organisations()
    names = Names(
        tuple((o.id, o.name) for o in organisations.values()),
        tuple((role, text(title, language)) for role, title in role_titles(request).items()),
    )
    return await tower.learning.study(scope, chapters, order, names=names, again=again)


def _page_query(request: Request) -> Asked:
    """Read a page's address; an empty field of its form means no filter."""
    given = {k: v for k, v in request.query_params.items() if k in KEPT and v.strip()}
    try:
        return _checked(request, msgspec.convert(given, Asked, strict=False))
    except msgspec.ValidationError as error:
        what, path, todo = plain(error)
        part = Part(".".join(path) or "query", what, todo)
        raise Problem(422, "invalid", "This address cannot be read", part) from None


def _query(asked: Asked) -> str:
    """Write the filters as the end of an address."""
    from urllib.parse import urlencode

    values = {k: getattr(asked, k) for k in KEPT}
    return urlencode({k: str(v) for k, v in values.items() if v is not None})


def _found(made: str, newest: Study, older: Study | None) -> tuple[Made | None, Study]:
    """Return a chapter from the newest study that has it."""
    for study in (newest, older):
        if study is not None and made in study.made:
            return study.made[made], study
    return None, newest


async def _render(
    request: Request, person: Person, asked: Asked, chapter: str | None, **more: Any
) -> Response:
    tower: Tower = request.app.state.tower
    chapters = list(CHAPTERS) if chapter is None else [chapter]
    if chapter is None:
        chapters = [c for c in chapters if c not in ("trials",)]
    again = "again" in request.query_params
    newest, older = await _study(request, person, asked, chapters, again=again)
    shown = [(name, *_found(name, newest, older)) for name in chapters]
    about = newest.about or (older.about if older else None)
    language = languages.of(request, person.language)
    organisations = await tower.accounts.organisations() if asked.source == "record" else {}
    return await page(
        request,
        "learn.html",
        person,
        chapter=chapter,
        chapters=list(CHAPTERS),
        shown=shown,
        asked=asked,
        query=_query(asked),
        # The other chapters are the same whatever the layers split: made once.
        elsewhere=_query(structs.replace(asked, outcome=None)),
        about=about,
        study=newest,
        done=len([c for c in chapters if c in newest.made]),
        total=len(chapters),
        size=await tower.ledger.size(),
        simulated=SIMULATED,
        outcomes=OUTCOMES,
        protocols=list(tower.library.current()),
        logs=await tower.learning.logs.of(person.organisation),
        may_improve=policy.allows("improve", person),
        say=lambda text: findings.said(text, language),
        draw=lambda svg: findings.picture(svg, language),
        plain=lambda text: findings.in_language(text, language) or text,
        site_name=lambda site: organisations[site].name if site in organisations else site,
        start={"query": _query(asked), "chapters": chapters, "busy": newest.busy},
        **more,
    )


async def overview(request: Request) -> Response:
    """The findings in short, over all chapters."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    return await _render(request, person, _page_query(request), None)


async def chapter(request: Request) -> Response:
    """One chapter."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    name = request.path_params["chapter"]
    if name not in CHAPTERS:
        raise Problem(404, "unknown", "There is no such chapter", Part("chapter", "not known"))
    asked = _page_query(request)
    more: dict[str, Any] = {}
    if name == "trials":
        trials = await _learning(request).trials.of(person.organisation)
        organisations = await request.app.state.tower.accounts.organisations()
        logs = await _learning(request).logs.of(person.organisation)
        more = {
            "trials": trials,
            "organisations": list(organisations.values()),
            "names": {log.id: log.name for log in logs},
        }
    return await _render(request, person, asked, name, **more)


async def picture(request: Request) -> Response:
    """A figure as SVG, or its whole table as CSV."""
    person = await signed_in(request)
    if isinstance(person, Response):
        return person
    path = request.path_params
    if path["chapter"] not in CHAPTERS:
        raise Problem(404, "unknown", "There is no such chapter", Part("chapter", "not known"))
    newest, older = await _study(request, person, _page_query(request), [path["chapter"]])
    made, study = _found(path["chapter"], newest, older)
    figures = {figure.key: figure for figure in made.figures} if made else {}
    if path["figure"] not in figures:
        what = "it is being made; ask again" if newest.busy else "there is no such figure"
        raise Problem(404, "unknown", "This figure is not here", Part("figure", what))
    figure = figures[path["figure"]]
    kind = path["kind"]
    svg = findings.picture(figure.svg, languages.of(request, person.language))
    data, media = (svg.encode(), "image/svg+xml") if kind == "svg" else (figure.csv, "text/csv")
    return Response(
        data,
        media_type=media,
        headers={
            "Content-Disposition": f'attachment; filename="{figure.key}.{kind}"',
            "Cache-Control": "no-store",
            "X-Stafett-Position": str(study.task.position),
        },
    )


# -- the same as JSON ---------------------------------------------------------------------------


async def progress(call: Call[Nothing, Asked]) -> Progress:
    """Say how far the making is; asking makes nothing anew."""
    asked, person = _checked(call.request, call.query), call.request.state.person
    study, _ = await _study(call.request, person, asked, [])
    return Progress(
        sorted(study.made), list(study.wanted), study.current, study.problem, study.task.position,
        study.began,
    )  # fmt: skip


async def as_json(call: Call[Nothing, Asked]) -> ChapterAnswer:
    """Give a chapter's findings; the first asking begins the making."""
    name = call.path["chapter"]
    if name not in CHAPTERS:
        known = Part("chapter", "not known", f"one of: {', '.join(CHAPTERS)}")
        raise Problem(404, "unknown", "There is no such chapter", known)
    asked = _checked(call.request, call.query)
    newest, older = await _study(call.request, call.request.state.person, asked, [name])
    made, study = _found(name, newest, older)
    if made is None:
        return ChapterAnswer(name, False, newest.task.position, [], [], newest.problem)
    base, query = f"/learn/{name}", _query(asked)

    def say(text: str) -> str:
        return findings.in_language(text, asked.language or "en") or text

    figures = [
        FigureAnswer(
            f.key, say(f.title), say(f.sentence), say(f.basis), say(f.headline),
            f"{base}/{f.key}.svg?{query}", f"{base}/{f.key}.csv?{query}",
        )
        for f in made.figures
    ]  # fmt: skip
    return ChapterAnswer(
        name, True, study.task.position, figures, list(map(say, made.notes)), made.problem
    )


class Brought(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name of the file (its ending tells the format), and the zone of times without one."""

    name: Name
    zone: Annotated[str, msgspec.Meta(max_length=60)] | None = None


class LogAnswer(msgspec.Struct, frozen=True):
    """A log that was kept, where to look at it, and what it is."""

    id: str
    source: str
    facts: dict[str, str]


async def bring(call: Call[bytes, Brought]) -> LogAnswer:
    """Keep an event log (CSV, XES, OCEL 2.0, JSON lines) for one's own organisation."""
    person, wish = call.request.state.person, call.query
    try:
        kept, facts = await _learning(call.request).logs.keep(
            person.organisation, person.id, wish.name, call.body, wish.zone or None
        )
    except LogRefused as error:
        parts = [Part("file", reason) for reason in error.reasons]
        raise Problem(422, "log-refused", "This log cannot be learnt from", *parts) from None
    return LogAnswer(kept.id, f"log:{kept.id}", facts)


async def brought(call: Call[Nothing, Nothing]) -> list[ForeignLog]:
    """List the logs that one's organisation has brought."""
    return await _learning(call.request).logs.of(call.request.state.person.organisation)


async def drop(call: Call[Nothing, Nothing]) -> None:
    """Take a log away."""
    learning, name = _learning(call.request), call.path["log"]
    if not await learning.logs.drop(call.request.state.person.organisation, name):
        raise Problem(404, "unknown", "There is no such log", Part("log", "not known"))
    learning.forget(f"log:{name}")


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trial to be registered: what is changed at which interface, where and when it begins.

    `expected` is in per cent of the dwell (−20: a fifth shorter) or in points of right first time.
    """

    interface: Name
    change: Annotated[str, msgspec.Meta(min_length=3, max_length=300)]
    outcome: Literal["dwell", "right_first_time"]
    expected: Annotated[float, msgspec.Meta(ge=-100, le=1000)]
    starts: Annotated[dict[Name, date], msgspec.Meta(min_length=1, max_length=100)]
    partners: Annotated[list[Name], msgspec.Meta(max_length=50)] = []
    source: Annotated[str, msgspec.Meta(max_length=80)] = "record"


async def register(call: Call[Registration, Nothing]) -> Trial:
    """Register a trial; it cannot be changed afterwards, only ended."""
    wish, person = call.body, call.request.state.person
    _checked(call.request, Asked(wish.source))
    known = await call.request.app.state.tower.accounts.organisations()
    strange = [name for name in wish.partners if name not in known]
    if strange:
        part = Part("partners", f"no organisation is called {strange[0]!r}")
        raise Problem(422, "invalid", "The trial does not fit", part)
    if wish.expected == 0:
        part = Part("expected", "is 0", "say what the change is expected to do")
        raise Problem(422, "invalid", "The trial does not fit", part)
    trial = Trial(
        uuid.uuid4().hex, datetime.now(UTC), person.id, person.organisation, tuple(wish.partners),
        wish.source, wish.interface, wish.change, wish.outcome, wish.expected, wish.starts,
    )  # fmt: skip
    learning = _learning(call.request)
    await learning.trials.register(trial)
    learning.forget(wish.source, "trials")
    return trial


async def trials(call: Call[Nothing, Nothing]) -> list[Trial]:
    """List the trials that one's organisation registered or is a partner of."""
    return await _learning(call.request).trials.of(call.request.state.person.organisation)


class Ending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a trial ends: kept, dropped, or broken off."""

    why: Annotated[str, msgspec.Meta(min_length=3, max_length=300)]


async def end(call: Call[Ending, Nothing]) -> None:
    """End a trial of one's own organisation, once."""
    person, learning = call.request.state.person, _learning(call.request)
    mine = {t.id: t for t in await learning.trials.of(person.organisation)}
    trial = mine.get(call.path["trial"])
    done = await learning.trials.end(
        person.organisation, call.path["trial"], person.id, call.body.why
    )
    if not done or trial is None:
        part = Part("trial", "not known, not yours, or ended already")
        raise Problem(404, "unknown", "There is no such open trial", part)
    learning.forget(trial.source, "trials")


ROUTES = [
    Route("/learn", overview),
    Route("/learn/{chapter}", chapter),
    Route("/learn/{chapter}/{figure:str}.{kind}", picture),
]
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/learn/progress", progress, "How far the analyses are", "learn",
             query=Asked, answer=Progress, tag="learn"),
    Endpoint("GET", "/api/learn/chapters/{chapter}", as_json, "What the record teaches", "learn",
             query=Asked, answer=ChapterAnswer, tag="learn"),
    Endpoint("GET", "/api/learn/logs", brought, "Event logs brought from elsewhere", "learn",
             answer=list[ForeignLog], tag="learn"),
    Endpoint("POST", "/api/learn/logs", bring, "Bring an event log", "improve", bytes,
             query=Brought, answer=LogAnswer, status=201,
             answers={422: "The log cannot be read; each reason names its row."}, tag="learn"),
    Endpoint("DELETE", "/api/learn/logs/{log}", drop, "Take a log away", "improve", status=204,
             tag="learn"),
    Endpoint("GET", "/api/learn/trials", trials, "Trials of a change", "learn",
             answer=list[Trial], tag="learn"),
    Endpoint("POST", "/api/learn/trials", register, "Register a trial", "improve", Registration,
             answer=Trial, status=201, tag="learn"),
    Endpoint("POST", "/api/learn/trials/{trial}/end", end, "End a trial", "improve", Ending,
             status=204, tag="learn"),
)  # fmt: skip
