"""A comparison worked out, in the process that computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from stafett.design.compare import compare, conclusions
from stafett.design.sofar import SoFar, watch
from stafett.service.computing_messages import Task
from stafett.service.studio import Asked, Found, plan_of, systems_of
from stafett.simulation import Store


def compared(task: Task, tick: Callable[[int], None], see: Callable[[SoFar], None]) -> Found:
    """Run the comparison, and again with assumptions drawn if wished; go on from what is kept.

    The systems themselves come first, and `see` is told their figures as replications come in.
    """
    wish = msgspec.json.decode(task.wish, type=Asked)
    systems, plan, store = systems_of(wish), plan_of(wish), Store(Path(task.keep))
    rest = watch(systems, plan, store, see, tick)
    c = compare(systems, plan, store=store, progress=rest)
    if wish.assumptions != "sampled":
        return Found(c, None, [])
    drawn = compare(systems, replace(plan, assumptions="sampled"), store=store, progress=tick)
    return Found(c, drawn, conclusions(c, drawn))
