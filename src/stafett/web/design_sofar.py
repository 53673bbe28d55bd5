"""What a run that goes on, or was stopped, shows of what it found so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stafett.design.estimate import Estimate
from stafett.design.measures import TITLES
from stafett.design.sofar import SoFar
from stafett.web import design_words as say
from stafett.web.design_figures import T

Table = dict[str, dict[str, Estimate]]
Rows = list[tuple[str, list[str]]]


def so_far(seen: SoFar | None, t: T, language: str) -> dict[str, Any]:
    """The figures of the systems, and below them a table of each thing that is found already."""
    if seen is None:
        return {"so_far": [], "so_far_more": []}
    heads, levers = list(seen.figures), say.levers(t)

    def rows(table: Table, what: Callable[[str], str], digits: int) -> Rows:
        every = dict.fromkeys(k for found in table.values() for k in found)
        return [
            (what(k), [say.figure(table.get(n, {}).get(k), digits, language) for n in heads])
            for k in every
        ]

    def figures(table: Table) -> Rows:
        named = {n: {k: found[k] for k in TITLES if k in found} for n, found in table.items()}
        return rows(named, lambda k: say.measure(t, k), 1)

    more = {
        "levers": rows(seen.levers, lambda k: levers.get(k, k), 2),
        "resilience": rows(seen.resilience, lambda k: say.event(t, k), 2),
        "scale": rows(seen.scale, lambda k: k, 1),
        "drawn": figures(seen.drawn),
    }
    return {
        "heads": heads,
        "called": {n: say.system(t, n) for n in heads},
        "so_far": figures(seen.figures),
        "so_far_more": [(t(f"design.{kind}"), found) for kind, found in more.items() if found],
    }
