"""The release view: what a Qualified Person needs to see before, and what was certified after.

Made from the protocol's own gates: for each step of kind `certify` what stands in its way (what
`decide` would refuse with), what is still open behind it, and, once certified, on which evidence.
It is a view, no second rule: only the journey decides what may pass. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from stafett.exchange.dossier import Attached, Check, Dossier, Signature
from stafett.journey import specification
from stafett.journey.state import State
from stafett.journey.view import Station, station
from stafett.protocol.model import Text, text
from stafett.protocol.net import DONE, Net

Standing = Literal["blocked", "waiting", "ready", "certified", "rejected", "over"]
GOOD: Final = "release"


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in the way or still open: what kind, about what, in words."""

    kind: str
    about: str
    what: str
    todo: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one activity left behind in its latest round that a certificate rests on."""

    activity: str
    title: str
    result: str
    position: int
    at: datetime
    checks: tuple[Check, ...]
    documents: tuple[Attached, ...]
    signatures: tuple[Signature, ...]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One certification of the protocol, as it stands.

    `blocks`: it cannot be certified while this is so. `open`: look at it and judge. `evidence`:
    the certification first where there is one, then what came before it, the latest first.
    `supplied`: on which decisions the product is supplied out of specification, with who said what.
    """

    activity: str
    title: str
    role: str
    organisation: str
    standing: Standing
    meaning: str
    result: str
    certified_at: datetime | None
    certified_by: str
    blocks: tuple[Point, ...]
    open: tuple[Point, ...]
    evidence: tuple[Evidence, ...]
    supplied: tuple[Point, ...] = ()


def releases(
    net: Net, state: State, dossier: Dossier, at: datetime, language: str = "en"
) -> tuple[Release, ...]:
    """Return the release view of each certification in the protocol, in the protocol's order."""
    return tuple(
        _release(net, state, dossier, name, at, language)
        for name, step in net.protocol.steps.items()
        if step.kind == "certify"
    )


def _release(
    net: Net, state: State, dossier: Dossier, name: str, at: datetime, language: str
) -> Release:
    step = net.protocol.steps[name]
    view = station(net, state, name, "step", language, at=at)
    before = behind(net, name)
    done = next((p for p in reversed(dossier.passed) if p.activity == name), None)
    finished = done is not None and view.status == "done" and done.act == "StepFinished"
    blocks = () if finished else tuple(_blocks(net, state, view, name, before, language))
    standing: Standing = "waiting"
    raw = _result(dossier, name) if finished else ""
    if finished:
        standing = "certified" if raw in (GOOD, "") or _goes_on(step, raw) else "rejected"
    elif state.ended_at is not None:
        standing = "over"
    elif view.kind is not None:
        standing = "blocked" if any(b.kind != "check" for b in blocks) else "ready"
    elif view.status == "stopped" or state.marking.pending:
        standing = "blocked"
    shown = (name, *before) if finished else before
    return Release(
        activity=name,
        title=view.title,
        role=view.role_title,
        organisation=view.organisation,
        standing=standing,
        meaning=view.sign.meaning if view.sign else "",
        result=done.result if finished and done else "",
        certified_at=done.at if finished and done else None,
        certified_by=done.person if finished and done else "",
        blocks=blocks,
        open=tuple(_open(dossier)),
        evidence=tuple(e for a in shown if (e := _evidence(net, state, dossier, a)) is not None),
        supplied=tuple(_supplied(net, state, dossier)),
    )


def _supplied(net: Net, state: State, dossier: Dossier) -> list[Point]:
    """Return the decisions that speak of a product that is there, or was given."""
    decided = {
        d.deviation
        for d in state.deviations.values()
        if d.work.disposition == specification.SUPPLY
        and any(
            state.lots[name].ended in (None, "consumed")
            for name in specification.concerned(net, state, d)
        )
    }
    return [
        Point(kind="supply", about=d.deviation, what=f"{d.title}: {d.note or d.about}",
              todo="; ".join(d.statements))
        for d in dossier.deviations
        if d.deviation in decided
    ]  # fmt: skip


def _goes_on(step: Any, result: str) -> bool:
    found = step.results.get(result)
    return found is not None and found.then is None


def _result(dossier: Dossier, name: str) -> str:
    for event in reversed(dossier.events):
        if event["type"] == "StepFinished" and event["step"] == name:
            return str(event["result"])
    return ""


def behind(net: Net, name: str) -> tuple[str, ...]:
    """Return every activity that must come before `name`, the nearest first."""
    found: dict[str, None] = {}
    todo = [name]
    while todo:
        one = todo.pop(0)
        part: Any = net.protocol.steps.get(one) or net.protocol.handoffs.get(one)
        needed = [*part.after] + [
            ref for p in net.protocol.prerequisites if p.before == one for ref in p.require
        ]
        for ref in needed:
            activity = ref.partition("=")[0]
            if activity not in found and activity in net.index:
                found[activity] = None
                todo.append(activity)
    return tuple(found)


def _blocks(
    net: Net, state: State, view: Station, name: str, before: Sequence[str], language: str
) -> list[Point]:
    found: list[Point] = []
    if state.ended_at is not None:
        return [Point(kind="ended", about=name, what="the journey has ended")]
    for pending in state.marking.pending:
        decision = net.activities[pending.decision]
        title = text(net.protocol.steps[decision].title, language)
        found.append(
            Point(kind="decision", about=pending.about, what=f"awaited: {title}", todo="decide it")
        )
    if view.stop is not None:
        found.append(Point(kind="stop", about=view.stop.check, what=f"stopped: {view.stop.ask}"))
    for one in before:
        if net_status(net, state, one) != DONE:
            found.append(Point(kind="activity", about=one, what=_title(net, one, language)))
    found += [Point(kind="rule", about=name, what=what) for what in view.blocked]
    found += [
        Point(kind="deviation", about=d.deviation, what=f"{d.code}: {d.note or d.about}",
              todo="assess and decide it")
        for d in state.deviations.values()
        if d.deviation in view.awaits or (d.severity == "critical" and d.closed_at is None)
    ]  # fmt: skip
    if view.kind is not None:
        found += [
            Point(kind="check", about=r.field, what=r.what, todo=r.todo) for r in view.missing
        ]
    return found


def net_status(net: Net, state: State, activity: str) -> int:
    """Return where the marking has an activity."""
    return int(state.marking.activities[net.index[activity]])


def _title(net: Net, activity: str, language: str) -> str:
    part: Any = net.protocol.steps.get(activity) or net.protocol.handoffs.get(activity)
    title: Text = part.title
    return text(title, language)


def _open(dossier: Dossier) -> list[Point]:
    found = [
        Point(kind="deviation", about=d.deviation, what=f"{d.title}: {d.note or d.about}",
              todo=d.stage)
        for d in dossier.deviations
        if d.closed_at is None
    ]  # fmt: skip
    found += [
        Point(kind="accountability", about=h.offer, what=f"{h.giver} -> {h.to}: {h.reason}",
              todo="it is not answered: the giver answers for the journey still")
        for h in dossier.handovers
        if h.answer == "open"
    ]  # fmt: skip
    found += [
        Point(kind="correction", about=str(c.position), what=f"{c.field}: {c.old} -> {c.new}",
              todo=c.reason)
        for c in dossier.corrections
    ]  # fmt: skip
    found += [
        Point(kind="condition", about=c.lot, what=c.verdict, todo="; ".join(c.findings))
        for c in dossier.conditions
        if c.verdict != "ok"
    ]
    found += [
        Point(kind="time", about=e["activity"], what=e["what"], todo=str(e["bound"]))
        for e in dossier.events
        if e["type"] == "TimelineFlagged"
    ]
    return found


def _evidence(net: Net, state: State, dossier: Dossier, activity: str) -> Evidence | None:
    last = next((p for p in reversed(dossier.passed) if p.activity == activity), None)
    if last is None or net_status(net, state, activity) != DONE:
        return None
    round_ = last.round
    return Evidence(
        activity=activity,
        title=last.title,
        result=last.result,
        position=last.position,
        at=last.at,
        checks=tuple(c for c in dossier.checks if c.activity == activity and c.round == round_),
        documents=tuple(d for d in dossier.documents if d.activity == activity),
        signatures=tuple(s for s in dossier.signatures if s.activity == activity),
    )
