"""A network as lanes: who does what, and where ownership changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stafett.design.network import CENTRE
from stafett.design.reading import System
from stafett.insight.pictures.svg import FAINT, GREY, INK, RED, Canvas, cut
from stafett.protocol.model import text
from stafett.service.pictures.axes import COLOURS

WORDS = {"centres": "Treating centres ({n})", "owners": "{n} owners", "within": "handoff within",
         "handoff": "handoff"}  # fmt: skip


LONGEST = 34  # characters of an activity's title; the picture has room for so many below


def lanes(
    system: System,
    order: Sequence[str],
    *,
    title: str,
    words: Mapping[str, str] = WORDS,
    language: str = "en",
    said: Callable[[str], str] = str,
) -> str:
    """The network as lanes: one for each organisation, activities in their order, handoffs between.

    `words` has those of WORDS, and names of pools; activities have the protocol's titles in
    `language`; `said` says the network's own titles in it. A lane's colour is its owner's; a
    handoff that crosses a border of ownership is dashed red.
    """
    n, p = system.network, system.protocol

    def who(role: str) -> str:
        return n.roles[role]

    rows = list(dict.fromkeys(who(r) for a in order for r in _roles(system, a)))
    owners: dict[str, str] = {}
    for row in rows:
        owners[row] = CENTRE if row == CENTRE else n.organisations[row].owner
    shades = {o: COLOURS[i % len(COLOURS)] for i, o in enumerate(dict.fromkeys(owners.values()))}
    left, step, lane = 216.0, 34.0, 64.0
    width = left + step * len(order) + 90
    canvas = Canvas(width, lane * len(rows) + 210, title)
    middle = {row: 28 + lane * i + lane / 2 for i, row in enumerate(rows)}
    for i, row in enumerate(rows):
        y = 28 + lane * i
        canvas.rect(0, y, width, lane - 6, "#f6f8fa")
        canvas.rect(0, y, 6, lane - 6, shades[owners[row]])
        name = (
            words["centres"].replace("{n}", str(len(n.centres)))
            if row == CENTRE
            else said(n.organisations[row].title)
        )
        owner = (
            words["owners"].replace("{n}", str(len({c.owner for c in n.centres.values()})))
            if row == CENTRE
            else said(n.owners[owners[row]])
        )
        canvas.text(14, y + 24, cut(name, 30), bold=True)
        canvas.text(14, y + 41, cut(owner, 32), size=11, colour=FAINT)
    for pool, spec in n.pools.items():
        a, b = order.index(spec.begins), order.index(spec.ends)
        x0, x1 = left + step * a, left + step * (b + 1) - 6
        y = 14 + 5 * list(n.pools).index(pool)
        canvas.line(x0, y, x1, y, GREY, 3)
        canvas.text(x0, y - 3, words.get(pool, spec.title.lower()), size=9, colour=FAINT)
    for i, name in enumerate(order):
        x = left + step * i + step / 2
        called = text((p.steps.get(name) or p.handoffs[name]).title, language)
        if name in p.steps:
            y = middle[who(p.steps[name].role)]
            hint = f"{name} {called}"
            canvas.rect(x - 11, y - 16, 22, 20, shades[owners[who(p.steps[name].role)]], hint)
        else:
            h = p.handoffs[name]
            y0, y1 = middle[who(h.giver)], middle[who(h.receiver)]
            border = who(h.giver) != who(h.receiver) and (
                owners[who(h.giver)] != owners[who(h.receiver)]
            )
            colour, dash = (RED, "4 3") if border else (INK, "")
            if y0 == y1:
                canvas.dot(x, y0 - 6, 5, colour, f"{name} {called}: {words['within']}")
            else:
                hint = f"{name} {called}: {words['handoff']}"
                canvas.path(
                    f"M{x:.1f} {y0 - 6:.1f} L{x:.1f} {y1 - 6:.1f}", colour, 2, dash=dash, hint=hint
                )
                canvas.dot(x, y1 - 6, 5, colour, hint)
        canvas.text(x, lane * len(rows) + 34, cut(called, LONGEST), size=10, colour=INK, turn=60)
    return str(canvas)


def _roles(system: System, activity: str) -> tuple[str, ...]:
    step = system.protocol.steps.get(activity)
    if step is not None:
        return (step.role,)
    h = system.protocol.handoffs[activity]
    return (h.giver, h.receiver)
