"""What a site's page may tell of what it received, beside its region's page and the other sites'.

A site's page and its region's tell of the same handoffs, and their difference of other sites. A
figure of a site is therefore shown only where there is nothing to find: of that handoff no site has
a count from 1 to MINIMUM - 1 in any region, and no region's page hides its own. Then what is
shown are sums of counts that are zero or large, and no page's hidden count depends on them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from stafett.registry.disclosure import MINIMUM, Rate, Shown, one, rate
from stafett.registry.place import Place
from stafett.service.chain_counts import Act

HIDDEN = Shown(None, "hidden")
KINDS = ("good", "bad")
Told = Callable[[str, Act, Place], Shown]  # what a place's page says of a measure of an act


def at_site(
    received: Mapping[tuple[Act, Place, str], tuple[int, int]], organisation: str, told: Told
) -> list[tuple[Act, Shown, Rate | None]]:
    """Return what an organisation received of each handoff, and which part of it right at once.

    `received` are first attempts (all, good) by act, region of the journey and who answered.
    """
    acts: dict[Act, list[tuple[Place, str, int, int]]] = defaultdict(list)
    for (act, place, who), (first, good) in received.items():
        acts[act].append((place, who, first, good))
    found = []
    for act, cells in sorted(acts.items()):
        mine = [(first, good) for _, who, first, good in cells if who == organisation]
        if not mine:
            continue
        first, good = (sum(part) for part in zip(*mine, strict=True))
        places = {outer for place, *_ in cells for outer in place.around}
        counts = _large(n for _, _, n, _ in cells) and _open(("passed",), act, places, told)
        kinds = _large(n for _, _, f, g in cells for n in (g, f - g)) and _open(
            KINDS, act, places, told
        )
        shown = one(first) if counts or not first else HIDDEN
        found.append((act, shown, rate(good, first) if counts and kinds else None))
    return found


def _large(counts: Iterable[int]) -> bool:
    return not any(0 < n < MINIMUM for n in counts)


def _open(measures: Iterable[str], act: Act, places: Iterable[Place], told: Told) -> bool:
    """Say whether every page of a place tells these measures of the act."""
    places = tuple(places)
    return all(told(m, act, place).why is None for m in measures for place in places)
