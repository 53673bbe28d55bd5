"""How well fitted durations follow what was seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stafett.insight.pictures.svg import BLUE, FAINT, GREY, RED, Canvas, cut

if TYPE_CHECKING:  # the room that fits loads what a page does not need
    from stafett.design.calibrate.fit import Goodness


def fits(found: Sequence[Goodness], *, title: str) -> str:
    """Quantile against quantile, one small panel an activity; on the line, the fit is good."""
    size, across = 132.0, 5
    down = max(1, math.ceil(len(found) / across))
    canvas = Canvas(across * (size + 18) + 10, down * (size + 46) + 10, title)
    for i, g in enumerate(found):
        x0, y0 = 10 + (i % across) * (size + 18), 22 + (i // across) * (size + 46)
        canvas.rect(x0, y0, size, size, "#f6f8fa")
        ends = [v for p in g.points for v in p if v > 0]
        low, high = math.log(min(ends)), math.log(max(ends))
        span = (high - low) or 1.0
        canvas.line(x0, y0 + size, x0 + size, y0, GREY)
        for fitted, seen in g.points:
            if fitted <= 0 or seen <= 0:
                continue
            x = x0 + size * (math.log(fitted) - low) / span
            y = y0 + size * (1 - (math.log(seen) - low) / span)
            hint = f"{g.activity}: fitted {fitted:.3g} d, seen {seen:.3g} d"
            canvas.dot(min(max(x, x0), x0 + size), min(max(y, y0), y0 + size), 2.2, BLUE, hint)
        word = "fits" if g.fits else "does not fit"
        canvas.text(x0, y0 - 6, cut(g.activity, 20), size=11, bold=True)
        canvas.text(
            x0, y0 + size + 14, f"n = {g.n}, {word}", size=10, colour=FAINT if g.fits else RED
        )
    return str(canvas)
