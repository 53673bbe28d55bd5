"""A protocol as a picture: SVG for A3, drawn from the file that is enforced.

Lanes are roles, bars are steps, a vertical line with a baton at its end is a handoff. Material is a
solid line with a filled baton, information a dashed line with a hollow one. A diamond marks an
activity that has prerequisites. Decisions, prerequisites and outcomes stand in words below.
"""

from __future__ import annotations

import html

from stafett.protocol.ink import width, wrapped
from stafett.protocol.layout import COLUMN, LANE, MARGIN, NAMES, SHEET, Box, Layout, layout
from stafett.protocol.model import Protocol, text
from stafett.protocol.texts import UNSEEN

POINT = 25.4 / 72  # millimetres
SMALL, BODY, HEAD = 6.0 * POINT, 6.6 * POINT, 12 * POINT  # never below 6 points
# Inside the frame of a step; beside the baton of a handoff, up to what stands in the next column.
STEP_ROOM, POINT_ROOM = COLUMN - 2.4, COLUMN - 4.0
WORDS = {
    "en": ("step", "handoff of material", "handoff of information", "has prerequisites",
           "Decisions and notifications on demand", "Prerequisites", "Outcomes", "before"),
    "sv": ("steg", "överlämning av material", "överlämning av information", "har förutsättningar",
           "Beslut och meddelanden vid behov", "Förutsättningar", "Utfall", "före"),
    "es": ("paso", "traspaso de material", "traspaso de información", "tiene condiciones previas",
           "Decisiones y avisos a demanda", "Condiciones previas", "Desenlaces", "antes de"),
}  # fmt: skip
ORGANISATIONS = {
    "sv": {"hospital": "sjukhus", "manufacturer": "tillverkare", "laboratory": "laboratorium",
           "courier": "transportör", "authority": "myndighet"},
    "es": {"manufacturer": "fabricante", "laboratory": "laboratorio", "courier": "transportista",
           "authority": "autoridad"},
}  # fmt: skip
ANYBODY = {
    "any": {"en": "anybody", "sv": "vem som helst", "es": "cualquiera"},
    "owner": {"en": "accountable owner", "sv": "ansvarig", "es": "responsable"},
}
STYLE = """
text{font-family:'Helvetica Neue',Arial,'DejaVu Sans',sans-serif;fill:#16191d}
.soft{fill:#4b5563}.lane{fill:#f3f4f6}.lane.odd{fill:#e9ebef}
.step{fill:#fff;stroke:#16191d;stroke-width:.3}
.material{stroke:#1f4f8f;stroke-width:.9}
.information{stroke:#4b5563;stroke-width:.45;stroke-dasharray:1.4 .9}
.baton{fill:#1f4f8f;stroke:#1f4f8f;stroke-width:.3}.hollow{fill:#fff;stroke:#4b5563;stroke-width:.4}
.guard{fill:#8a4b00}.rule{stroke:#c9ced6;stroke-width:.3}
""".replace("\n", "")


def draw(protocol: Protocol, language: str = "en") -> str:
    """Return the drawing as an SVG document, sized in millimetres."""
    table = layout(protocol)
    words = WORDS.get(language, WORDS["en"])
    title = f"{text(protocol.title, language)} · {protocol.protocol} {protocol.version}"
    body = [_text(MARGIN, MARGIN + HEAD, title, HEAD, bold=True), _legend(words)]
    y = MARGIN + HEAD + 2.5
    for i, stave in enumerate(table.staves):
        body.append(_stave(protocol, table, i, y, language))
        y += len(stave.lanes) * LANE + 2
    tail, y = _tail(protocol, y, language, words)
    body.append(tail)
    height = max(SHEET[1], y + MARGIN)
    story = _story(protocol, language)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SHEET[0]:g}mm" height="{height:.1f}mm" '
        f'viewBox="0 0 {SHEET[0]:g} {height:.1f}" role="img" aria-labelledby="t d">'
        f'<title id="t">{_escaped(title)}</title><desc id="d">{_escaped(story)}</desc>'
        f"<style>{STYLE}</style>{''.join(body)}</svg>\n"
    )


def _stave(protocol: Protocol, table: Layout, number: int, top: float, language: str) -> str:
    stave = table.staves[number]
    at = {lane: top + (i + 0.5) * LANE for i, lane in enumerate(stave.lanes)}
    out = []
    for i, lane in enumerate(stave.lanes):
        odd = " odd" if i % 2 else ""
        out.append(
            f'<rect class="lane{odd}" x="{MARGIN:g}" y="{top + i * LANE:.2f}" '
            f'width="{SHEET[0] - 2 * MARGIN:g}" height="{LANE:g}"/>'
        )
        role = protocol.roles[lane]
        (name,) = wrapped(text(role.title, language), BODY * 1.12, NAMES - 3, rows=1)
        out.append(_text(MARGIN + 1, at[lane] - 0.2, name, BODY, bold=True))
        kind = ORGANISATIONS.get(language, {}).get(role.organisation, role.organisation)
        out.append(_text(MARGIN + 1, at[lane] + 2.5, kind, SMALL, kind="soft"))
    boxes = [box for box in table.boxes if box.stave == number]
    # Lines first, so that no line runs over a label.
    out += [_line(box, at) for box in boxes if len(box.lanes) == 2]
    out += [_label(protocol, box, at, language) for box in boxes]
    return f"<g>{''.join(out)}</g>"


def _x(box: Box) -> float:
    return MARGIN + NAMES + box.column * COLUMN


def _line(box: Box, at: dict[str, float]) -> str:
    x, (giver, receiver) = _x(box) + 1.6, box.lanes
    if giver == receiver:
        return ""
    return f'<line class="{box.kind}" x1="{x:.2f}" x2="{x:.2f}" y1="{at[giver]:.2f}" y2="{at[receiver]:.2f}"/>'  # noqa: E501


def _label(protocol: Protocol, box: Box, at: dict[str, float], language: str) -> str:
    x, y = _x(box), at[box.lanes[-1]]
    if box.kind == "step":
        step = protocol.steps[box.name]
        frame = (
            f'<rect class="step" x="{x + 0.3:.2f}" y="{y - LANE / 2 + 0.3:.2f}" '
            f'width="{COLUMN - 1.2:g}" height="{LANE - 0.6:g}" rx="1"/>'
        )
        guard = _diamond(x + COLUMN - 1.3, y - LANE / 2 + 0.7) if box.guarded else ""
        return frame + _lines(x + 1.1, y, box.name, text(step.title, language), STEP_ROOM) + guard
    handoff = protocol.handoffs[box.name]
    kind = "baton" if box.kind == "material" else "hollow"
    ends = f'<circle class="hollow" cx="{x + 1.6:.2f}" cy="{at[box.lanes[0]]:.2f}" r=".8"/>'
    ends += f'<circle class="{kind}" cx="{x + 1.6:.2f}" cy="{y:.2f}" r="1.3"/>'
    # What is held back is the release: the mark is where the baton leaves, out of the line's way.
    leaves = at[box.lanes[0]]
    guard = _diamond(x + 1.6, leaves + (2.6 if leaves > y else -2.6)) if box.guarded else ""
    return ends + _lines(x + 3.6, y, box.name, text(handoff.title, language), POINT_ROOM) + guard


def _lines(x: float, y: float, name: str, title: str, room: float) -> str:
    """Write the name and the title in at most three lines around height `y`, `room` mm wide."""
    shown = name.replace("_", "\N{NO-BREAK SPACE}")
    rows = wrapped(f"{shown} {title}", SMALL, room, rows=3, bold=shown)
    step = SMALL * 1.1
    start = y - step * (len(rows) - 1) / 2 + SMALL * 0.3
    out = [_text(x, start + step * i, row, SMALL) for i, row in enumerate(rows)]
    for i, row in enumerate(rows):  # a single long word is squeezed
        if width(row, SMALL, bold=row == shown) > room:
            squeezed = f' textLength="{room:.2f}" lengthAdjust="spacingAndGlyphs">'
            out[i] = out[i].replace(">", squeezed, 1)
    strong = f'<tspan font-weight="700">{_escaped(shown)}</tspan>'
    whole = f"<title>{_escaped(f'{shown} {title}')}</title>"
    return f"<g>{whole}{''.join(out).replace(f'>{_escaped(shown)}', f'>{strong}', 1)}</g>"


def _legend(words: tuple[str, ...]) -> str:
    y, x = MARGIN + HEAD - 1.2, SHEET[0] - MARGIN - 190
    return (
        f'<rect class="step" x="{x:.1f}" y="{y - 2.4:.1f}" width="6" height="3.4" rx=".6"/>'
        + _text(x + 7.5, y, words[0], BODY)
        + f'<line class="material" x1="{x + 24:.1f}" x2="{x + 30:.1f}" y1="{y - 0.8:.1f}" y2="{y - 0.8:.1f}"/>'  # noqa: E501
        + f'<circle class="baton" cx="{x + 30:.1f}" cy="{y - 0.8:.1f}" r="1.3"/>'
        + _text(x + 32.5, y, words[1], BODY)
        + f'<line class="information" x1="{x + 84:.1f}" x2="{x + 90:.1f}" y1="{y - 0.8:.1f}" y2="{y - 0.8:.1f}"/>'  # noqa: E501
        + f'<circle class="hollow" cx="{x + 90:.1f}" cy="{y - 0.8:.1f}" r="1.3"/>'
        + _text(x + 92.5, y, words[2], BODY)
        + _diamond(x + 148, y - 0.8)
        + _text(x + 150.5, y, words[3], BODY)
    )


def _tail(
    protocol: Protocol, top: float, language: str, words: tuple[str, ...]
) -> tuple[str, float]:
    """Return decisions, prerequisites and outcomes in three columns, and where they end."""
    decisions = [
        f"{name.replace('_', ' ')} – {text(step.title, language)} ({text(protocol.roles[step.role].title, language)}): "  # noqa: E501
        + ", ".join(text(result.title, language) for result in step.results.values())
        for name, step in protocol.steps.items()
        if step.on_demand and step.role in protocol.roles
    ]
    decisions += _notifications(protocol, language)
    rules = [
        f"◆ {words[7]} {rule.before.replace('_', ' ')}: {text(rule.why, language)}"
        for rule in protocol.prerequisites
    ]
    ends = [
        f"{'●' if outcome.treated else '○'} {text(outcome.title, language)}"
        for outcome in protocol.outcomes.values()
    ]
    third = (SHEET[0] - 2 * MARGIN) / 3
    out, low = [], top
    for i, (head, rows) in enumerate(
        zip((words[4], words[5], words[6]), (decisions, rules, ends), strict=True)
    ):
        x, y = MARGIN + i * third, top + BODY
        out.append(_text(x, y, head, BODY, bold=True))
        for row in rows:
            for line in wrapped(row, SMALL, third - 4, rows=9):
                y += SMALL * 1.25
                out.append(_text(x, y, line, SMALL))
        low = max(low, y)
    rule = f'<line class="rule" x1="{MARGIN:g}" x2="{SHEET[0] - MARGIN:g}" y1="{top - 2:.1f}" y2="{top - 2:.1f}"/>'  # noqa: E501
    return rule + "".join(out), low


def _notifications(protocol: Protocol, language: str) -> list[str]:
    """Return what anybody may send at any time, and to whom: it has no place on the time axis."""

    def who(role: str) -> str:
        one = protocol.roles.get(role)
        return text(one.title, language) if one is not None else ANYBODY[role].get(language, role)

    return [
        f"{name.replace('_', ' ')} – {text(one.title, language)}"
        f" ({who(one.giver)} → {who(one.receiver)})"
        for name, one in protocol.handoffs.items()
        if one.on_demand
    ]


def _story(protocol: Protocol, language: str) -> str:
    """Return the drawing in words, for who cannot see it."""
    table = layout(protocol)
    parts = []
    for box in sorted(table.boxes, key=lambda b: (b.stave, b.column)):
        activity = protocol.steps.get(box.name) or protocol.handoffs[box.name]
        who = " → ".join(text(protocol.roles[lane].title, language) for lane in box.lanes)
        parts.append(f"{box.name} {text(activity.title, language)} ({who})")
    return "; ".join(parts) + "."


def _escaped(what: str) -> str:
    """Return a text as SVG can hold it: without the characters that no XML document may have."""
    return html.escape(UNSEEN.sub("\N{REPLACEMENT CHARACTER}", what))


def _diamond(x: float, y: float) -> str:
    points = (
        f"{x:.2f},{y - 1.5:.2f} {x + 1.5:.2f},{y:.2f} {x:.2f},{y + 1.5:.2f} {x - 1.5:.2f},{y:.2f}"
    )
    return f'<polygon class="guard" points="{points}"/>'


def _text(x: float, y: float, what: str, size: float, *, bold: bool = False, kind: str = "") -> str:
    weight = ' font-weight="700"' if bold else ""
    named = f' class="{kind}"' if kind else ""
    at = f'x="{x:.2f}" y="{y:.2f}" font-size="{size:.2f}"'
    return f"<text {at}{weight}{named}>{_escaped(what)}</text>"
