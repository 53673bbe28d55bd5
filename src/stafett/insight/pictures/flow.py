"""Pictures of flow: who hands to whom (Sankey), and which step follows which (process map)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stafett.insight.pictures.svg import (
    AMBER,
    BLUE,
    FAINT,
    GREY,
    INK,
    Canvas,
    cut,
    fitted,
    measure,
    room,
)

PALETTE = ("#2f6ea5", "#c9861a", "#7a5195", "#3a8a6b", "#a34d6b", "#6b7d2e", "#4a6274", "#9a6a3c")

WIDEST_NAME = 240.0
LEGEND = "right: onwards, left: back, circle: again at once"
LEAST_WIDTH = 420.0  # the legend in the longest language


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
    """Draw activities downwards in their usual order; onward arcs right, returns left.

    Each box has a column for the name, one for how often, and one for how often it came again at
    once. Arcs leave and arrive at different heights of a box, so that neither hides the other.
    """
    place = {name: i for i, name in enumerate(activities)}
    again = {a: n for a, b, n in edges if a == b}
    between = [(a, b, n) for a, b, n in edges if a != b]
    step, box, lane, pad = 34.0, 24.0, 6.0, 8.0
    labels = {name: fitted(name, WIDEST_NAME) for name in activities}
    numbers = max((measure(f"{counts[name]:,}", 10) for name in activities), default=0)
    loops = max((measure(f"{n:,}", 10) + 18 for n in again.values()), default=0)
    names = max(map(measure, labels.values()), default=0)
    inner = pad + names + 12 + numbers + (12 + loops if again else 0) + pad
    far = max((abs(place[a] - place[b]) for a, b, _ in between), default=1)
    reach = min(40 + 16.0 * far, 260.0)
    x = reach + 10
    canvas = Canvas(max(2 * x + inner, LEAST_WIDTH), step * len(activities) + 50, title)
    most = max((n for _, _, n in edges), default=1)

    def y(name: str) -> float:
        return 24 + step * place[name]

    for a, b, n in sorted(between, key=lambda edge: edge[2]):
        thick = 0.8 + 9 * n / most
        way = 1 if place[b] > place[a] else -1
        start, end = y(a) + way * lane, y(b) - way * lane
        near = x + inner if way > 0 else x
        tip = near + way * 10
        out = tip + way * (20 + (reach - 50) * abs(place[a] - place[b]) / far)
        colour = BLUE if way > 0 else AMBER
        d = (
            f"M{near:.1f} {start:.1f} L{tip:.1f} {start:.1f} C{out:.1f} {start:.1f} {out:.1f}"
            f" {end:.1f} {tip:.1f} {end:.1f}"
        )
        canvas.path(d, colour, thick, opacity=0.45, hint=f"{a} → {b}: {n:,}")
        canvas.path(
            f"M{near:.1f} {end:.1f} L{tip:.1f} {end - 5:.1f} L{tip:.1f} {end + 5:.1f} Z",
            fill=colour,
        )
    for name in activities:
        middle = y(name)
        canvas.rect(x, middle - box / 2, inner, box, "#eef2f6", f"{name}: {counts[name]:,}")
        canvas.text(x + pad, middle + 4, labels[name])
        right = x + inner - pad
        if name in again:
            hint = f"{name} → {name}: {again[name]:,}"
            turn = right - loops
            canvas.path(f"M{turn + 9:.1f} {middle - 3:.1f} a5 5 0 1 0 1 4", GREY, 2, hint=hint)
            canvas.text(right, middle + 4, f"{again[name]:,}", size=10, anchor="end")
        where = right - (loops + 12 if again else 0)
        canvas.text(where, middle + 4, f"{counts[name]:,}", size=10, colour=FAINT, anchor="end")
    canvas.text(10, 28 + step * len(activities), LEGEND, size=11, colour=INK)
    return str(canvas)
