"""The relay drawn: one journey on one time axis, as a plain table of marks first, then as SVG.

Lanes are roles, grouped by organisation. A bar is a step, a filled line is custody of a material, a
vertical line with two ends is a handoff (dashed while nobody has accepted), a triangle is a
deviation, the strip on top says who is accountable. Time between a release and its acceptance, when
nobody has taken over yet, is a gap and drawn as one; the window of what is open now is an outline
that reaches to its limit. What is done is held against its plan: a tick where it was due, and what
lies beyond it drawn as too late. The past never moves; the red line is now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from babel.dates import format_datetime
from markupsafe import Markup, escape

from stafett.journey import clock
from stafett.journey.state import State, custody
from stafett.journey.tasks import next_moves
from stafett.protocol.model import Handoff, Step, text
from stafett.protocol.net import OPEN, STOPPED, Net
from stafett.web import zone

# Marks that may lie ahead of now and do not stretch the picture by themselves.
AHEAD = ("planned", "limit")
SHORT = 1800.0  # seconds; an axis this short needs seconds to tell its ticks apart
LEFT, TOP, LANE, WIDTH = 230.0, 58.0, 34.0, 1400.0


class Mark(NamedTuple):
    """One thing on the picture: from `start` to `end` on `lane` (and `other` for a handoff).

    `due` is when a step or handoff that is done had to be done, where the protocol says so.
    """

    kind: str
    title: str
    lane: str
    start: datetime
    end: datetime
    other: str = ""
    state: str = ""
    due: datetime | None = None


@dataclass(frozen=True)
class Line:
    """One line of the story in words; `plan` says how it kept to its limit, if it had one."""

    at: datetime
    what: str
    who: str
    sign: str
    state: str
    plan: str = ""
    late: bool = False


def marks(net: Net, state: State, language: str, now: datetime) -> list[Mark]:
    """Return everything there is to draw, in the order it is drawn."""
    end = state.ended_at or now
    found: list[Mark] = []
    for name in net.activities:
        activity = net.activity(name)
        title = f"{name} {text(activity.title, language)}"
        begun, done = state.begun.get(name), state.done.get(name)
        at = net.state(state.marking, name)
        due = min((d.at for d in clock.dues(net, state, name)), default=None) if done else None
        if isinstance(activity, Step) and begun is not None:
            kind = "bad" if at == STOPPED else ""
            found.append(
                Mark("step", title, activity.role, begun, done or end, state=kind, due=due)
            )
        elif isinstance(activity, Handoff) and (done or begun) is not None:
            moment = done or begun
            assert moment is not None
            kind = "bad" if at == STOPPED else "open" if at == OPEN else ""
            giver, receiver = activity.giver, activity.receiver
            found.append(Mark("handoff", title, giver, moment, moment, receiver, kind, due))
            if begun is not None and (done or end) > begun:
                found.append(Mark("gap", title, receiver, begun, done or end))
    found += [limit for mark in found for limit in _limits(mark)]
    for spell in custody(state):
        until = spell.until or end
        title = f"{text(net.protocol.materials[spell.material].title, language)} ({spell.lot})"
        found.append(Mark("custody", title, spell.role, spell.since, until))
    for raised in state.deviations.values():
        entry = net.protocol.deviations.get(raised.code)
        title = text(entry.title, language) if entry else raised.code
        where = raised.detected or raised.about
        lane = _lane(net, where) or state.owner.role
        kind = "" if raised.closed_at else raised.severity
        found.append(Mark("deviation", title, lane, raised.raised_at, raised.raised_at, state=kind))
    for task in next_moves(net, state) if state.ended_at is None else ():
        if task.due is not None and task.due > task.since:
            title = f"{task.activity} {text(net.activity(task.activity).title, language)}"
            late = "bad" if task.due < now else ""
            found.append(Mark("planned", title, task.role, task.since, task.due, state=late))
    for turn in state.accountability:
        found.append(Mark("owner", turn.role, "", turn.since, turn.until or end))
    return found


def _limits(mark: Mark) -> list[Mark]:
    """Return the tick where a mark was due, and what lies beyond it."""
    if mark.due is None:
        return []
    lane = mark.other or mark.lane
    late = mark.end > mark.due
    tick = Mark("limit", mark.title, lane, mark.due, mark.due, state="bad" if late else "")
    return [tick, Mark("overrun", mark.title, lane, mark.due, mark.end)] if late else [tick]


def _lane(net: Net, where: str) -> str | None:
    if where not in net.index:
        return None
    activity = net.activity(where)
    return activity.role if isinstance(activity, Step) else activity.receiver


def story(
    net: Net, state: State, names: dict[str, str], t: Callable[..., str], language: str
) -> list[Line]:
    """Return what has happened, in words, oldest first: the table beneath the picture."""
    found = []
    for mark in marks(net, state, language, datetime.now(UTC)):
        role = net.protocol.roles.get(mark.lane)
        who = text(role.title, language) if role else ""
        organisation = names.get(state.parties.get(mark.lane, ""), "")
        if mark.other:
            other = net.protocol.roles.get(mark.other)
            who = f"{who} → {text(other.title, language) if other else mark.other}"
        sign = {"step": "▬", "handoff": "⇄", "deviation": "▲"}.get(mark.kind)
        if sign is not None:
            late = mark.due is not None and mark.end > mark.due
            found.append(
                Line(
                    mark.start, mark.title, f"{who}, {organisation}", sign, mark.state,
                    _plan(mark, t, language), late,
                )
            )  # fmt: skip
    return sorted(found, key=lambda line: line.at)


def _plan(mark: Mark, t: Callable[..., str], language: str) -> str:
    """Say by when it had to be done, and how much earlier or later it was."""
    if mark.due is None:
        return ""
    kept = mark.end <= mark.due
    key = "journey.plan.kept" if kept else "journey.plan.late"
    return t(key, at=shown(mark.due, language), length=length(abs(mark.due - mark.end)))


def draw(
    net: Net,
    state: State,
    names: dict[str, str],
    t: Callable[..., str],
    language: str,
) -> Markup:
    """Return the relay as SVG."""
    now = datetime.now(UTC)
    table = marks(net, state, language, now)
    used = {m.lane for m in table} | {m.other for m in table}
    lanes = [role for role in net.protocol.roles if role in used]
    y = {role: TOP + 24 + i * LANE for i, role in enumerate(lanes)}
    start = state.opened_at
    end = max([m.end for m in table if m.kind not in AHEAD] + [state.ended_at or now])
    end = max(end, start + timedelta(minutes=1))
    # What is planned is seen coming, but the past keeps at least two thirds of the width.
    limits = [m.end for m in table if m.kind == "planned"]
    if limits:
        end = min(max([end, *limits]), end + (end - start) / 2)
    span = (end - start).total_seconds()
    height = TOP + 24 + LANE * len(lanes) + 24

    def x(at: datetime) -> float:
        at = min(at, end)
        return LEFT + (WIDTH - LEFT - 24) * (at - start).total_seconds() / span

    out = [
        f'<svg class="relay" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-labelledby="relay-title"><title id="relay-title">'
        f"{escape(t('journey.relay', coi=state.coi))}</title>"
    ]
    for i in range(7):
        at = start + (end - start) * i / 6
        label = shown(at, language, seconds=span < SHORT)
        anchor = "start" if i == 0 else "end" if i == 6 else "middle"
        out.append(_line("tick", x(at), TOP, height - 22))
        out.append(_text(x(at), height - 6, label, f'class="soft" text-anchor="{anchor}"'))
    for role in lanes:
        title = text(net.protocol.roles[role].title, language)
        organisation = names.get(state.parties.get(role, ""), "")
        out.append(_bar("lane", LEFT, y[role] - 11, WIDTH - LEFT - 24, 22))
        out.append(_text(4, y[role] - 1, title))
        out.append(_text(4, y[role] + 12, organisation, 'class="soft"'))
    for mark in table:
        if mark.kind != "limit" or mark.start <= end:
            out.append(_mark(mark, x, y, net, language, t))
    if state.ended_at is None:
        out.append(_line("now", x(now), TOP - 6, height - 22))
    out.append("</svg>")
    return Markup("".join(out))  # every text in it went through escape


def _mark(
    mark: Mark,
    x: Callable[[datetime], float],
    y: dict[str, float],
    net: Net,
    language: str,
    t: Callable[..., str],
) -> str:
    left, right = x(mark.start), max(x(mark.end), x(mark.start) + 3)
    at = y.get(mark.lane, 0.0)
    if mark.kind == "owner":
        role = net.protocol.roles.get(mark.title)
        label = text(role.title, language) if role else mark.title
        words = f"★ {label}" if right - left > 130 else "★"
        bar = _bar("step", left, 20, right - left, 18)
        return _group(label, bar + _text(left + 4, 33, words))
    if not at:
        return ""
    if mark.kind == "step":
        return _group(mark.title, _bar(f"step {mark.state}", left, at - 9, right - left, 12))
    if mark.kind == "gap":
        said = t("journey.gap", what=mark.title, length=length(mark.end - mark.start))
        return _group(said, _bar("gap", left, at - 9, right - left, 12))
    if mark.kind == "planned":
        said = t("journey.planned", what=mark.title, at=shown(mark.end, language))
        return _group(said, _bar(f"planned {mark.state}", left, at - 10, right - left, 14))
    if mark.kind == "limit":
        said = t("journey.limit", what=mark.title, at=shown(mark.start, language))
        return _group(said, _line("limit", left, at - 13, at + 1))
    if mark.kind == "overrun":
        said = t("journey.overrun", what=mark.title, length=length(mark.end - mark.start))
        return _group(said, _bar("overrun", left, at - 9, right - left, 5))
    if mark.kind == "custody":
        return _group(mark.title, _bar("custody", left, at + 5, right - left, 4))
    if mark.kind == "deviation":
        kind = {"critical": "bad", "major": "held"}.get(mark.state, "handoff")
        points = f"{left:.1f},{at - 14:.1f} {left - 7:.1f},{at - 1:.1f} {left + 7:.1f},{at - 1:.1f}"
        return _group(mark.title, f'<polygon class="{kind}" points="{points}"/>')
    other = y.get(mark.other, at)
    circle = "bad" if mark.state == "bad" else "handoff"
    end = f'<circle class="{circle}" cx="{left:.1f}" cy="{other:.1f}" r="5"/>'
    return _group(mark.title, _line("gap" if mark.state else "passed", left, at, other) + end)


def shown(at: datetime, language: str, *, seconds: bool = False) -> str:
    """Return a moment as the axis shows it, in the organisation's zone."""
    form = "d MMM HH:mm:ss" if seconds else "d MMM HH:mm"
    return str(format_datetime(at.astimezone(zone.here()), form, locale=language))


def length(span: timedelta) -> str:
    """Return a length of time in its two largest units."""
    s = round(span.total_seconds())
    days, hours, minutes = s // 86_400, s % 86_400 // 3600, s % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{s} s"


def _group(title: str, inner: str) -> str:
    return f"<g><title>{escape(title)}</title>{inner}</g>"


def _bar(kind: str, x: float, y: float, width: float, height: float) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {place} rx="2"/>'


def _line(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'


def _text(x: float, y: float, what: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(what)}</text>'
