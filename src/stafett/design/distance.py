"""How far places lie apart, and how fast the modes of a lane can be."""

from __future__ import annotations

import math

EARTH_KM = 6371.0088  # mean radius, IUGG

# Kilometres an hour that no whole journey of the mode exceeds, from door to door: bounds of ours.
FASTEST = {"road": 110.0, "air": 900.0}


def distance(a: tuple[float, float] | None, b: tuple[float, float] | None) -> float | None:
    """Kilometres along the great circle between two places (degrees), None without both."""
    if a is None or b is None:
        return None
    (p, x), (q, y) = ((math.radians(v) for v in place) for place in (a, b))
    h = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin((y - x) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(h))
