"""Pictures of flow: who hands to whom (Sankey), and which step follows which (process map)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stafett.insight.pictures.svg import AMBER, BLUE, FAINT, GREY, INK, Canvas, cut, room

PALETTE = ("#2f6ea5", "#c9861a", "#7a5195", "#3a8a6b", "#a34d6b", "#6b7d2e", "#4a6274", "#9a6a3c")


def sankey(flows: Mapping[tuple[str, str], int], *, title: str) -> str:
    """Draw givers on the left, receivers on the right, ribbons as wide as their handoffs."""
    givers: dict[str, int] = {}
    receivers: dict[str, int] = {}
    for (giver, receiver), n in flows.items():
        givers[giver] = givers.get(giver, 0) + n
        receivers[receiver] = receivers.get(receiver, 0) + n
    total = sum(flows.values()) or 1
    left, width, gap = room(list(givers), 22) + 60, 420.0, 6.0
    height = max(300.0, 22.0 * max(len(givers), len(receivers)))
    right = room(list(receivers), 22) + 60
    canvas = Canvas(
        left + width + right, height + gap * max(len(givers), len(receivers)) + 50, title
    )
    colours = {
        name: PALETTE[i % len(PALETTE)]
        for i, name in enumerate(sorted(givers, key=lambda g: -givers[g]))
    }

    def places(sums: Mapping[str, int]) -> dict[str, float]:
        at, out = 30.0, {}
        for name in sorted(sums, key=lambda key: -sums[key]):
            out[name] = at
            at += sums[name] / total * height + gap
        return out

    start, end = places(givers), places(receivers)
    canvas.text(left, 16, "gives", colour=FAINT, anchor="end")
    canvas.text(left + width, 16, "receives", colour=FAINT)
    used_left, used_right = dict(start), dict(end)
    order = sorted(flows.items(), key=lambda item: (start[item[0][0]], end[item[0][1]]))
    for (giver, receiver), n in order:
        thick = n / total * height
        y1, y2 = used_left[giver], used_right[receiver]
        used_left[giver] += thick
        used_right[receiver] += thick
        middle = left + width / 2
        near, far = left + 10, left + width - 10
        d = (
            f"M{near:.1f} {y1:.1f} C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {far:.1f} {y2:.1f} "
            f"L{far:.1f} {y2 + thick:.1f} C{middle:.1f} {y2 + thick:.1f} "
            f"{middle:.1f} {y1 + thick:.1f} {near:.1f} {y1 + thick:.1f} Z"
        )
        canvas.path(
            d, fill=colours[giver], opacity=0.45, hint=f"{giver} → {receiver}: {n:,} handoffs"
        )
    for sums, at, x, anchor, shift in (
        (givers, start, left, "end", -6.0),
        (receivers, end, left + width - 10, "start", 16.0),
    ):
        for name, n in sums.items():
            thick = n / total * height
            canvas.rect(x, at[name], 10, max(thick, 1), colours.get(name, GREY), f"{name}: {n:,}")
            if thick + gap > 11:
                canvas.text(
                    x + shift,
                    at[name] + thick / 2 + 4,
                    f"{cut(name, 22)}  {n:,}",
                    size=11,
                    anchor=anchor,
                )
    return str(canvas)


def process_map(
    activities: Sequence[str],
    counts: Mapping[str, int],
    edges: Sequence[tuple[str, str, int]],
    *,
    title: str,
) -> str:
    """Draw activities downwards in their usual order; onward arcs right, returns left."""
    place = {name: i for i, name in enumerate(activities)}
    step = 34.0
    names = room(list(activities), 30)
    reach = 40 + 16.0 * max((abs(place[a] - place[b]) for a, b, _ in edges), default=1)
    reach = min(reach, 260.0)
    x = reach + 10
    canvas = Canvas(2 * reach + names + 90, step * len(activities) + 50, title)
    most = max((n for _, _, n in edges), default=1)

    def y(name: str) -> float:
        return 24 + step * place[name]

    far = max((abs(place[a] - place[b]) for a, b, _ in edges), default=1) or 1
    for a, b, n in sorted(edges, key=lambda edge: edge[2]):
        thick = 0.8 + 9 * n / most
        hint = f"{a} → {b}: {n:,}"
        if a == b:
            px = x + names + 34
            canvas.path(
                f"M{px} {y(a) - 6} c26 -10 26 22 0 12", GREY, min(thick, 5), opacity=0.8, hint=hint
            )
            continue
        forward = place[b] > place[a]
        bend = (30 + (reach - 40) * abs(place[a] - place[b]) / far) * (1 if forward else -1)
        px = x + names + 34 if forward else x - 4
        colour = BLUE if forward else AMBER
        out = px + bend
        d = f"M{px:.1f} {y(a):.1f} C{out:.1f} {y(a):.1f} {out:.1f} {y(b):.1f} {px:.1f} {y(b):.1f}"
        canvas.path(d, colour, thick, opacity=0.45, hint=hint)
        tip = px + (8 if forward else -8)
        canvas.path(
            f"M{px:.1f} {y(b):.1f} L{tip:.1f} {y(b) - 4:.1f} L{tip:.1f} {y(b) + 4:.1f} Z",
            fill=colour,
        )
    for name in activities:
        canvas.rect(x, y(name) - 12, names + 30, 24, "#eef2f6")
        canvas.text(x + 8, y(name) + 4, cut(name, 30))
        canvas.text(
            x + names + 24, y(name) + 4, f"{counts[name]:,}", size=10, colour=FAINT, anchor="end"
        )
    foot = 24 + step * len(activities)
    canvas.text(x, foot + 4, "right: onwards   left: back", size=11, colour=INK)
    return str(canvas)
