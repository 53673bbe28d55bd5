"""What a protocol's activities are, for whoever writes them into a model: their order and phase,
what is carried, and where a journey goes that begins again or is out of specification.
"""

from __future__ import annotations

from stafett.design.network import PHASES
from stafett.protocol.model import Handoff, Protocol, Route, Step
from stafett.protocol.net import target


def order(p: Protocol) -> tuple[str, ...]:
    """The activities that are not on demand, each after all that it comes after."""
    activities: dict[str, Step | Handoff] = {**p.steps, **p.handoffs}
    # Handoffs and steps stand in two mappings; their positions in `after` decide.
    left = {n: a for n, a in activities.items() if not a.on_demand}
    done: list[str] = []
    while left:
        free = [n for n, a in left.items() if all(target(r) not in left for r in a.after)]
        if not free:
            raise ValueError(f"{p.protocol}: {', '.join(left)} wait for one another")
        # Go deep before going broad: continue with what follows the last one done.
        follows = [n for n in free if done and done[-1] in {target(r) for r in left[n].after}]
        chosen = (follows or free)[0]
        done.append(chosen)
        del left[chosen]
    return tuple(done)


def carried(p: Protocol) -> bool:
    """Whether a courier carries cells though no step of the protocol is a transport.

    Fresh cells cannot wait for it: a collection waits until there is carriage both ways.
    """
    if any(step.kind == "transport" for step in p.steps.values()):
        return False
    return any(p.roles[h.receiver].organisation == "courier" for h in p.handoffs.values()
               if h.receiver in p.roles)  # fmt: skip


def restart(p: Protocol, activities: tuple[str, ...]) -> Route | None:
    """Back to the beginning of a new attempt: the `go` to before collection met most often."""
    collect = [i for i, a in enumerate(activities) if a in p.steps and p.steps[a].kind == "collect"]
    before = set(activities[: collect[0] + 1]) if collect else set()
    goes = [
        r.then.go
        for step in p.steps.values()
        for r in step.results.values()
        if r.then and r.then.go in before
    ]
    return Route(go=max(goes, key=goes.count)) if goes else None


def out_of_spec(p: Protocol) -> Route | None:
    """The decision that a failed test leads to."""
    for step in p.steps.values():
        if step.kind == "test":
            for result in step.results.values():
                if result.then and result.then.decide:
                    return result.then
    return None


def phase_of(p: Protocol, activities: tuple[str, ...]) -> dict[str, str]:
    """Phase of each activity: before collection, until manufacture, until release, after."""
    phases, phase = {}, 0
    for name in activities:
        step = p.steps.get(name)
        if step and step.kind == "manufacture":
            phase = max(phase, 2)
        phases[name] = PHASES[phase]
        if step and step.kind == "collect":
            phase = max(phase, 1)
        if step and step.kind == "certify":
            phase = 3
    return phases
