"""The hold-time budget of a dry shipper: what it was rated, what its journey has used.

Vendors rate a standing shipper (10 days and more); in practice it holds 5 to 10, units of one model
differ by up to 40 %, and lying on its side costs up to 60 % (Cryoport, Cell Culture Dish, Fisher
BioServices: S71, S72, S73 of this project's sources). So an hour on the side uses up to
1 / (1 - 0.6) = 2.5 hours of the budget. From which angle on is an assumption of this project.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stafett.watch.reading import Array

ON_SIDE_COSTS: Final = 0.6
ON_SIDE_FROM_DEG: Final = 45.0  # assumption
UNIT_VARIATION: Final = 0.4


class Budget(NamedTuple):
    """Seconds: what was rated, and what is used and left at least and at most."""

    rated_s: float
    used_least_s: float
    used_most_s: float
    left_least_s: float
    left_most_s: float
    on_side_s: float


def budget(
    times: Array, tilt_deg: Array, *, rated_s: float, start: float, end: float, gap_s: float,
    variation: float = 0.0,
) -> Budget:  # fmt: skip
    """Return the budget at `end` of a shipper charged at `start`.

    Time with a tilt that nobody knows may have been spent on the side. `variation` is how much less
    than rated this unit may hold (UNIT_VARIATION where the rating is the vendor's, 0 where the
    protocol's limit already allows for it).
    """
    elapsed = max(end - start, 0.0)
    known_s = on_side = 0.0
    if len(times):
        spans = np.append(np.diff(times), max(end - float(times[-1]), 0.0))
        stands = np.where(np.isnan(tilt_deg), 0.0, np.minimum(spans, gap_s))
        known_s = float(stands.sum())
        on_side = float(stands[tilt_deg > ON_SIDE_FROM_DEG].sum())
    known_s = min(known_s, elapsed)
    extra = 1.0 / (1.0 - ON_SIDE_COSTS) - 1.0
    unknown = elapsed - known_s
    least = elapsed
    most = elapsed + extra * (on_side + unknown)
    worst = rated_s * (1.0 - variation)
    return Budget(rated_s, least, most, worst - most, rated_s - least, on_side)
