"""What a station shows to the person who stands there.

The double check is blind: the receiver's view holds nothing that the giver has read off a label.
`known` is an expected value only where this side knows it already: the journey's chain of identity,
which stands on every page, and, for a giver or inside a step, what its own people have read. It is
there for stopping without a network and is never shown before a scan. What this side has scanned
itself is shown by its tail. Only after a mismatch are both identifiers told, so that the difference
can be seen.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from stafett.journey import clock, deviation, excursion, gate, specification
from stafett.journey.check import first_label, inherited, known, of_journey
from stafett.journey.command import Value, WorkSide
from stafett.journey.event import CheckResult
from stafett.journey.passing import departures
from stafett.journey.raised import Raised
from stafett.journey.refusal import Reason, Refused
from stafett.journey.state import Sheet, State, awaited_key
from stafett.journey.tasks import TaskKind, task_at
from stafett.protocol.model import Check, Document, Handoff, Step, text
from stafett.protocol.net import DONE, IDLE, ISOLATED, OPEN, REFUSED, STOPPED, Net

Status = Literal["waiting", "ready", "open", "stopped", "isolated", "refused", "done"]
TAIL = 4


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One choice or result: its name and its words; `means` is what a choice amounts to."""

    id: str
    title: str
    means: CheckResult | None = None


class StationCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One check, answered or not; never with what is expected.

    `binds` says that the scan gives a new label to what it records. `tail` is the end of an
    identifier that this side itself has scanned. `second` asks for another person. `known` is what
    the scan must say, as far as this side knows it itself (see above); `min` and `max` are limits.
    `again`: it was scanned too long ago to be signed for. `keeps`: the new label carries the
    identifier of that material, of which this one is made.
    """

    id: str
    ask: str
    kind: Literal["scan", "choice", "quantity", "time"]
    when: Literal["before", "after"]
    critical: bool
    people: int
    answered: int
    result: CheckResult | None
    second: bool
    material: str | None = None
    material_title: str | None = None
    identifier: str | None = None
    identifier_title: str | None = None
    structure: str | None = None
    direct: bool = False
    binds: bool = False
    unit: str | None = None
    choices: tuple[Option, ...] = ()
    known: str | None = None
    min: float | None = None
    max: float | None = None
    tail: str | None = None
    by: tuple[str, ...] = ()
    again: bool = False
    keeps: str | None = None


class StationField(msgspec.Struct, frozen=True, kw_only=True):
    """A field to fill in: text, a time with its zone, a number in `unit`, or one of `choices`."""

    id: str
    kind: Literal["text", "time", "number", "choice"] = "text"
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()


class StationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is asked for, or (for a receiver) that came with it: no contents."""

    id: str
    title: str
    fields: tuple[StationField, ...]
    attached: bool
    required: bool


class StationSign(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed here, by how many people, and who has."""

    meaning: str
    people: int
    signed: tuple[str, ...] = ()


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Why the red screen is shown: both identifiers of a mismatch, or the answer that stopped.

    `deviation` is what it is in the record, `done` what has been done about it at once.
    """

    side: WorkSide
    check: str
    ask: str
    got: Value
    expected: str | None
    code: str
    at: datetime
    by: str
    deviation: str = ""
    done: tuple[str, ...] = ()


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """An open deviation in short."""

    deviation: str
    code: str
    title: str
    severity: str
    note: str
    acknowledged: bool


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one activity, ready to show.

    `next` is the check to answer now, `options` are the ways in which this side can close
    (results of a step, decisions of a receiver) that the protocol permits at this moment; `missing`
    is what is still in the way of the good ones, and `awaits` are the deviations whose decision the
    good ones wait for. `supplied` are those by which what is handled here is supplied out of
    specification. `counterpart` is the organisation on a handoff's
    other side.
    """

    journey: str
    activity: str
    side: WorkSide
    about: str
    round: int
    title: str
    object: str
    status: Status
    kind: TaskKind | None
    role: str
    role_title: str
    organisation: str
    counterpart: str | None
    checks: tuple[StationCheck, ...]
    documents: tuple[StationDocument, ...]
    sign: StationSign | None
    next: str | None
    next_scan: str | None
    options: tuple[Option, ...]
    missing: tuple[Reason, ...]
    blocked: tuple[str, ...]
    deviations: tuple[Flag, ...]
    stop: Stop | None = None
    since: datetime | None = None
    due: datetime | None = None
    barred: tuple[str, ...] = ()
    catalogue: tuple[Option, ...] = ()
    awaits: tuple[str, ...] = ()
    supplied: tuple[str, ...] = ()


def station(
    net: Net,
    state: State,
    activity: str,
    side: WorkSide,
    language: str = "en",
    about: str = "",
    at: datetime | None = None,
) -> Station:
    """Return what the station of `side` shows; raise LookupError where there is no such side.

    At `at` a scan that is too old by then is asked for again; without it none is.
    """
    try:
        place = gate.desk(net, state, activity, side, about)
    except Refused as refused:
        raise LookupError(str(refused)) from None
    part = net.activity(activity)
    sheet = state.sheet(activity, side, about)
    task = task_at(net, state, activity, side, about)
    checks = tuple(_check(net, state, place, c, sheet, language, at) for c in place.checks)
    upcoming = [c for c in checks if _is_open(c)]
    if any(c.when == "before" for c in upcoming):
        upcoming = [c for c in upcoming if c.when == "before"]
    return Station(
        journey=state.journey,
        activity=activity,
        side=side,
        about=about,
        round=state.round(activity),
        title=text(part.title, language),
        object=text(part.object, language) if isinstance(part, Handoff) else "",
        status=_status(net, state, activity, task is not None),
        kind=task.kind if task else None,
        role=place.role,
        role_title=text(net.protocol.roles[place.role].title, language),
        organisation=state.parties[place.role],
        counterpart=_counterpart(state, part, side),
        checks=checks,
        documents=_documents(net, place, part, state, language),
        sign=_sign(place, sheet, language),
        next=upcoming[0].id if upcoming else None,
        next_scan=next((c.id for c in upcoming if c.kind == "scan"), None),
        options=_options(net, state, place, part, language),
        missing=tuple(m.reason for m in gate.missing(net, place, sheet, at)),
        blocked=task.blocked if task else (),
        deviations=tuple(_flag(net, d, language) for d in _about(net, state, activity, about)),
        stop=_stop(net, state, place, part, language),
        since=_since(net, state, activity, about),
        due=task.due if task else None,
        barred=tuple(sorted(gate.givers(net, state, activity))) if side == "accept" else (),
        catalogue=tuple(
            Option(id=code, title=text(kind.title, language))
            for code, kind in deviation.catalogue(net.protocol).items()
        ),
        awaits=tuple(d.deviation for d in _held(net, state, place, part)) if task else (),
        supplied=tuple(d.deviation for d in specification.supplied(net, state, activity)),
    )


def _held(net: Net, state: State, place: gate.Desk, part: Step | Handoff) -> tuple[Raised, ...]:
    """Return the deviations that keep this side from its good endings."""
    if place.on_demand:
        return specification.held(net, state, place.about)
    if isinstance(part, Step) and part.kind == "certify":
        doubts = excursion.doubts(net, state, place.activity)
        more = specification.doubts(net, state, place.activity)
        return tuple({d.deviation: d for d in (*doubts, *more)}.values())
    return ()


def _closed(net: Net, state: State, place: gate.Desk, part: Step, result: str) -> bool:
    """Say whether a result is closed by what failed, or by a product in doubt."""
    if not place.on_demand:
        sheet = state.sheet(place.activity, place.side)
        if specification.denies(part, sheet, result) is not None:
            return True
    entry = part.results.get(result)
    resumes = entry is not None and entry.then is not None and entry.then.resume
    good = resumes if place.on_demand else specification.releases(part, result)
    return good and bool(_held(net, state, place, part))


def _is_open(check: StationCheck) -> bool:
    return (
        check.result is None or check.second or (check.result == "unknown" and not check.critical)
    )


def _check(
    net: Net,
    state: State,
    place: gate.Desk,
    check: Check,
    sheet: Sheet,
    language: str,
    at: datetime | None,
) -> StationCheck:
    standing = [a for a in sheet.standing(check.id) if a.result != "unknown"]
    by = {a.person for a in sheet.answers.get(check.id, ())}
    result = sheet.result(check)
    again = gate.stale(net, place, check, sheet, at)
    if again and at is not None:
        counts = gate.fresh(net, check, sheet, at)
        standing = [a for a in standing if a.person in counts]
        by, result = set(counts), None
    people = {a.person for a in standing}
    kind = net.protocol.identifiers[check.by] if check.by else None
    material = check.identifies or check.records
    entry = net.protocol.materials.get(material) if material else None
    last = standing[-1] if standing else None
    tail = None
    direct = kind is not None and kind.direct  # of a commitment the tail says nothing
    if check.kind == "scan" and last is not None and last.result == "pass" and not direct:
        tail = str(last.value)[-TAIL:]
    return StationCheck(
        id=check.id,
        ask=text(check.ask, language),
        kind=check.kind,
        when=check.when,
        critical=check.critical,
        people=check.people,
        answered=len(people),
        result=result,
        second=0 < len(people) < check.people,
        material=material,
        material_title=text(entry.title, language) if entry else None,
        identifier=check.by,
        identifier_title=text(kind.title, language) if kind else None,
        structure=kind.structure if kind else None,
        direct=kind.direct if kind else False,
        binds=first_label(net, state, place.activity, check),
        unit=check.unit,
        choices=tuple(
            Option(id=name, title=text(c.title, language), means=c.means)
            for name, c in check.choices.items()
            if specification.fits(net, state, check, name) is None
        ),
        known=_known(net, state, place, check),
        min=check.min,
        max=check.max,
        tail=tail,
        by=tuple(sorted(by)),
        again=again,
        keeps=inherited(net, state, place.activity, check.records, check.by)
        if check.records and check.by
        else None,
    )


def _known(net: Net, state: State, place: gate.Desk, check: Check) -> str | None:
    """Return what `check` expects where that tells this side nothing new."""
    if check.by is None:
        return None
    kind = net.protocol.identifiers[check.by]
    if kind.direct:
        return None
    if kind.of == "journey" and kind.structure == "isbt128-coi":
        return of_journey(net, state, check.by)
    if place.side == "accept" or first_label(net, state, place.activity, check):
        return None
    material = check.identifies or check.records or ""
    expected = known(net, state, place.activity, material, check.by)
    organisation = state.parties[place.role]
    for key, sheet in state.sheets.items():
        activity, side, *_ = key.split(":")
        if _organisation(net, state, activity, side) != organisation:
            continue
        if any(
            a.result == "pass" and a.value == expected
            for answers in sheet.answers.values()
            for a in answers
        ):
            return expected
    return None


def _organisation(net: Net, state: State, activity: str, side: str) -> str | None:
    part = net.activity(activity)
    if isinstance(part, Step):
        role = part.role
    else:
        role = part.giver if side == "release" else part.receiver
    return state.parties.get(gate.acting(state, role))


def _documents(
    net: Net, place: gate.Desk, part: Step | Handoff, state: State, language: str
) -> tuple[StationDocument, ...]:
    came = isinstance(part, Handoff) and place.side == "accept"
    sheet = state.sheet(place.activity, "release" if came else place.side, place.about)
    return tuple(
        StationDocument(
            id=name,
            title=text(net.protocol.documents[name].title, language),
            fields=() if came else _fields(net.protocol.documents[name]),
            attached=name in sheet.documents,
            required=not came,
        )
        for name in part.documents
    )


def _fields(document: Document) -> tuple[StationField, ...]:
    return tuple(
        StationField(
            id=name, kind=field.kind, unit=field.unit, min=field.min, max=field.max,
            choices=field.choices,
        )
        for name, field in document.typed.items()
    )  # fmt: skip


def _sign(place: gate.Desk, sheet: Sheet, language: str) -> StationSign | None:
    if place.sign is None:
        return None
    return StationSign(
        meaning=text(place.sign.meaning, language),
        people=place.sign.people,
        signed=tuple(s.person for s in sheet.signatures),
    )


_RECEPTIONS = {
    "accept": ("accept", "accept-with-deviation"),
    "quarantine": ("quarantine",),
    "refuse": ("refuse",),
}


def _options(
    net: Net, state: State, place: gate.Desk, part: Step | Handoff, language: str
) -> tuple[Option, ...]:
    moves = net.moves(state.marking)
    found: list[Option] = []
    for move in moves:
        about = move.detail if move.kind == "decide" else ""
        if (move.subject, about) != (place.activity, place.about):
            continue
        if isinstance(part, Step) and move.kind in ("finish", "decide"):
            if _closed(net, state, place, part, move.result):
                continue
            result = part.results.get(move.result)
            title = text(result.title, language) if result else move.result
            found.append(Option(id=move.result, title=title))
        elif place.side == "accept":
            names = _RECEPTIONS.get(move.kind, ())
            departed = move.kind == "accept" and departures(net, state, place.activity)
            found += [Option(id=n, title=n) for n in names if not (departed and n == "accept")]
        elif place.side == "release" and move.kind == "release":
            found.append(Option(id="release", title="release"))
    return tuple(found)


def _status(net: Net, state: State, activity: str, ready: bool) -> Status:
    at = net.state(state.marking, activity)
    if at == IDLE:
        return "ready" if ready else "waiting"
    names: dict[int, Status] = {
        OPEN: "open",
        STOPPED: "stopped",
        ISOLATED: "isolated",
        REFUSED: "refused",
    }
    return names.get(at, "done") if at < DONE else "done"


def _counterpart(state: State, part: Step | Handoff, side: WorkSide) -> str | None:
    if not isinstance(part, Handoff):
        return None
    return state.parties[part.receiver if side == "release" else part.giver]


def _about(net: Net, state: State, activity: str, about: str) -> list[Raised]:
    names = {activity, about} - {""}
    if about in net.index:
        names |= set(net.involved(state.marking, about))
    return [d for d in state.open_deviations() if {d.about, d.detected} & names]


def _flag(net: Net, raised: Raised, language: str) -> Flag:
    return Flag(
        deviation=raised.deviation,
        code=raised.code,
        title=text(deviation.entry(net.protocol, raised.code).title, language),
        severity=raised.severity,
        note=raised.noted,
        acknowledged=raised.acknowledged_at is not None,
    )


def _stop(
    net: Net, state: State, place: gate.Desk, part: Step | Handoff, language: str
) -> Stop | None:
    """Return what stopped this activity, on whichever side: both are to know."""
    sides: tuple[WorkSide, ...] = (place.side,)
    if isinstance(part, Handoff):
        sides = ("release", "accept")
    for side in sides:
        there = gate.desk(net, state, place.activity, side, place.about)
        sheet = state.sheet(place.activity, side, place.about)
        for check in there.checks:
            for answer in sheet.standing(check.id):
                if check.critical and answer.result != "pass":
                    raised = _raised(state, place.activity, check.id)
                    return Stop(
                        side=side,
                        check=check.id,
                        ask=text(check.ask, language),
                        got=answer.value,
                        expected=answer.expected,
                        code=raised.code if raised else "",
                        at=answer.at,
                        by=answer.person,
                        deviation=raised.deviation if raised else "",
                        done=raised.work.immediate if raised else (),
                    )
    return None


def _raised(state: State, activity: str, check: str) -> Raised | None:
    found = [d for d in state.deviations.values() if (d.detected, d.check) == (activity, check)]
    return found[-1] if found else None


def _since(net: Net, state: State, activity: str, about: str) -> datetime | None:
    if about:
        return state.awaited.get(awaited_key(activity, about))
    if net.state(state.marking, activity) == IDLE and not net.is_enabled(state.marking, activity):
        return None
    return clock.since(net, state, activity)
