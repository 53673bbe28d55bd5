"""A comparison worked out, in the process that computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from stafett.design.compare import compare, conclusions
from stafett.design.sofar import SoFar, watch, watched
from stafett.service.computing_messages import Task
from stafett.service.studio import Asked, Found, plan_of, systems_of
from stafett.simulation import Store


def compared(task: Task, tick: Callable[[int], None], see: Callable[[SoFar], None]) -> Found:
    """Run the comparison, and again with assumptions drawn if wished; go on from what is kept.

    `see` is told what was found each time that there is more: the systems as replications come in,
    then what levers, disruptions and scale do, then the systems with assumptions drawn.
    """
    wish = msgspec.json.decode(task.wish, type=Asked)
    systems, plan, store = systems_of(wish), plan_of(wish), Store(Path(task.keep))
    last: list[SoFar] = []

    def keep(seen: SoFar) -> None:
        last[:] = [seen]
        see(seen)

    c = watched(systems, plan, store, keep, tick)
    if wish.assumptions != "sampled":
        return Found(c, None, [])

    def again(seen: SoFar) -> None:
        see(replace(last[0], drawn=seen.figures, drawn_replications=seen.replications))

    wide = replace(plan, assumptions="sampled")
    rest = watch(systems, wide, store, again, tick)
    drawn = compare(systems, wide, store=store, progress=rest)
    return Found(c, drawn, conclusions(c, drawn))
