"""The relay drawn: one journey on one time axis, as a plain table of marks first, then as SVG.

Lanes are roles, grouped by organisation. A bar is a step, a filled line is custody of a material, a
vertical line with two ends is a handoff (dashed while nobody has accepted), a triangle is a
deviation, the strip on top says who is accountable. The past never moves; the red line is now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from babel.dates import format_datetime
from markupsafe import Markup, escape

from stafett.journey.state import State, custody
from stafett.protocol.model import Handoff, Step, text
from stafett.protocol.net import OPEN, STOPPED, Net

LEFT, TOP, LANE, WIDTH = 230.0, 58.0, 34.0, 1400.0


class Mark(NamedTuple):
    """One thing on the picture: from `start` to `end` on lane `lane` (and `other` for a handoff)."""

    kind: str
    title: str
    lane: str
    start: datetime
    end: datetime
    other: str = ""
    state: str = ""


@dataclass(frozen=True)
class Line:
    """One line of the story in words."""

    at: datetime
    what: str
    who: str
    sign: str
    state: str


def marks(net: Net, state: State, language: str, now: datetime) -> list[Mark]:
    """Return everything there is to draw, in the order it is drawn."""
    end = state.ended_at or now
    found: list[Mark] = []
    for name in net.activities:
        activity = net.activity(name)
        title = f"{name} {text(activity.title, language)}"
        begun, done = state.begun.get(name), state.done.get(name)
        at = net.state(state.marking, name)
        if isinstance(activity, Step) and begun is not None:
            kind = "bad" if at == STOPPED else ""
            found.append(Mark("step", title, activity.role, begun, done or end, state=kind))
        elif isinstance(activity, Handoff) and (done or begun) is not None:
            moment = done or begun
            assert moment is not None
            kind = "bad" if at == STOPPED else "open" if at == OPEN else ""
            giver, receiver = activity.giver, activity.receiver
            found.append(Mark("handoff", title, giver, moment, moment, receiver, kind))
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
    for spell in state.accountability:
        found.append(Mark("owner", spell.role, "", spell.since, spell.until or end))
    return found


def _lane(net: Net, where: str) -> str | None:
    if where not in net.index:
        return None
    activity = net.activity(where)
    return activity.role if isinstance(activity, Step) else activity.receiver


def story(net: Net, state: State, names: dict[str, str], language: str) -> list[Line]:
    """Return what has happened, in words, oldest first: the table beneath the picture."""
    found = []
    for mark in marks(net, state, language, datetime.now(UTC)):
        role = net.protocol.roles.get(mark.lane)
        who = text(role.title, language) if role else ""
        organisation = names.get(state.parties.get(mark.lane, ""), "")
        if mark.other:
            other = net.protocol.roles.get(mark.other)
            who = f"{who} → {text(other.title, language) if other else mark.other}"
        sign = {"step": "▬", "handoff": "⇄", "custody": "●", "deviation": "▲"}.get(mark.kind)
        if sign is not None and mark.kind != "custody":
            found.append(Line(mark.start, mark.title, f"{who}, {organisation}", sign, mark.state))
    return sorted(found, key=lambda line: line.at)


def draw(
    net: Net, state: State, names: dict[str, str], t: Callable[..., str], language: str
) -> Markup:
    """Return the relay as SVG."""
    now = datetime.now(UTC)
    table = marks(net, state, language, now)
    used = {m.lane for m in table} | {m.other for m in table}
    lanes = [role for role in net.protocol.roles if role in used]
    y = {role: TOP + 24 + i * LANE for i, role in enumerate(lanes)}
    start = state.opened_at
    end = max([m.end for m in table] + [state.ended_at or now, start + timedelta(minutes=1)])
    span = (end - start).total_seconds()
    height = TOP + 24 + LANE * len(lanes) + 24

    def x(at: datetime) -> float:
        return LEFT + (WIDTH - LEFT - 24) * (at - start).total_seconds() / span

    out = [
        f'<svg class="relay" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-labelledby="relay-title"><title id="relay-title">'
        f"{escape(t('journey.relay', coi=state.coi))}</title>"
    ]
    for i in range(7):
        at = start + (end - start) * i / 6
        label = format_datetime(at.astimezone(), "d MMM HH:mm", locale=language)
        out.append(f'<line class="tick" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP}" y2="{height - 22:.1f}"/>')
        anchor = "start" if i == 0 else "end" if i == 6 else "middle"
        out.append(
            f'<text class="soft" x="{x(at):.1f}" y="{height - 6:.1f}" text-anchor="{anchor}">'
            f"{escape(label)}</text>"
        )
    for role in lanes:
        out.append(
            f'<rect class="lane" x="{LEFT}" y="{y[role] - 11:.1f}" width="{WIDTH - LEFT - 24:.1f}" height="22"/>'
            f'<text x="4" y="{y[role] - 1:.1f}">{escape(text(net.protocol.roles[role].title, language))}</text>'
            f'<text class="soft" x="4" y="{y[role] + 12:.1f}">{escape(names.get(state.parties.get(role, ""), ""))}</text>'
        )
    for mark in table:
        out.append(_mark(mark, x, y, net, language))
    if state.ended_at is None:
        out.append(f'<line class="now" x1="{x(now):.1f}" x2="{x(now):.1f}" y1="{TOP - 6}" y2="{height - 22:.1f}"/>')
    out.append("</svg>")
    return Markup("".join(out))  # every text in it went through escape


def _mark(
    mark: Mark, x: Callable[[datetime], float], y: dict[str, float], net: Net, language: str
) -> str:
    left, right = x(mark.start), max(x(mark.end), x(mark.start) + 3)
    title = f"<title>{escape(mark.title)}</title>"
    if mark.kind == "owner":
        role = net.protocol.roles.get(mark.title)
        label = escape(text(role.title, language) if role else mark.title)
        return (
            f'<g>{title}<rect class="step" x="{left:.1f}" y="20" width="{right - left:.1f}" height="18" rx="3"/>'
            f'<text x="{left + 4:.1f}" y="33">★ {label if right - left > 130 else ""}</text></g>'
        )
    at = y.get(mark.lane)
    if at is None:
        return ""
    if mark.kind == "step":
        return (
            f'<g>{title}<rect class="step {mark.state}" x="{left:.1f}" y="{at - 9:.1f}" '
            f'width="{right - left:.1f}" height="12" rx="2"/></g>'
        )
    if mark.kind == "custody":
        return (
            f'<g>{title}<rect class="custody" x="{left:.1f}" y="{at + 5:.1f}" '
            f'width="{right - left:.1f}" height="4" rx="2"/></g>'
        )
    if mark.kind == "deviation":
        kind = {"critical": "bad", "major": "held"}.get(mark.state, "handoff")
        points = f"{left:.1f},{at - 14:.1f} {left - 7:.1f},{at - 1:.1f} {left + 7:.1f},{at - 1:.1f}"
        return f'<g>{title}<polygon class="{kind}" points="{points}"/></g>'
    other = y.get(mark.other, at)
    line = "gap" if mark.state else "tick"
    circle = "bad" if mark.state == "bad" else "handoff"
    return (
        f'<g>{title}<line class="{line}" x1="{left:.1f}" x2="{left:.1f}" y1="{at:.1f}" y2="{other:.1f}"/>'
        f'<circle class="{circle}" cx="{left:.1f}" cy="{other:.1f}" r="5"/></g>'
    )
