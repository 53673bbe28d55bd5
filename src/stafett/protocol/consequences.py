"""What follows: a failure stops or is heard of, a decision can say no, a refusal can be made.

A question that is asked and whose answer changes nothing protects nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from stafett.protocol.chain import Chain
from stafett.protocol.finding import Finding
from stafett.protocol.model import Check, Handoff, Route, Step
from stafett.protocol.read import Path_

LIVING = ("starting", "intermediate", "dose")
# An interrupt -> the kind of step that may be begun afresh after it, if any.
FINAL: dict[str, str | None] = {"consent_withdrawn": "consent", "patient_died": None}


def consequences(chain: Chain) -> Iterator[Finding]:
    """Yield failures that stop nothing, decisions that decide nothing, ends that are none."""
    yield from _mild(chain)
    for path, name, activity in chain.activities():
        for i, deadline in enumerate(activity.deadlines):
            if deadline.deviation is None:
                what = f"nothing is raised when {name} misses its deadline since {deadline.since}"
                yield chain.found("deadline-unheard", (*path, "deadlines", i), what)
        if isinstance(activity, Step):
            if activity.on_demand:
                yield from _decision(chain, path, name, activity)
        elif activity.on_refuse is None and not (activity.on_demand or activity.carries):
            what = f"{name} has no `on_refuse`: {activity.receiver} can only accept"
            yield chain.found("no-refuse-route", path, what)
    for name, again in FINAL.items():
        interrupt = chain.protocol.interrupts.get(name)
        if interrupt is not None and not _is_final(chain, interrupt.then, again, ()):
            what = f"after {name} the journey can go on as if nothing had happened"
            yield chain.found("withdrawn-goes-on", ("interrupts", name, "then"), what)


def _mild(chain: Chain) -> Iterator[Finding]:
    """Find what is critical and does not stop, and what stops and is called less than critical."""
    for path, name, _, check in chain.checks():
        on_demand = chain.activity(name).on_demand
        codes = _raised(check)
        worst = [code for code in codes if chain.protocol.deviations[code].severity == "critical"]
        if worst and not check.critical and not on_demand and check.records is None:
            what = f"{check.id} in {name} raises the critical {worst[0]}, and the journey goes on"
            yield chain.found("critical-goes-on", path, what)
        if check.critical and check.identifies is not None:
            for code in codes:
                if (severity := chain.protocol.deviations[code].severity) != "critical":
                    what = (
                        f"{check.id} in {name} stops at a mismatch, and {code} calls it {severity}"
                    )
                    yield chain.found("mismatch-belittled", path, what)


def _raised(check: Check) -> tuple[str, ...]:
    """Return the codes that the answers of `check` can raise."""
    own = [check.deviation]
    if check.kind == "choice":
        wrong = [choice for choice in check.choices.values() if choice.means != "pass"]
        own = [choice.deviation or check.deviation for choice in wrong]
    return tuple(dict.fromkeys(code for code in own if code is not None))


def _decision(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    routes = [entry.then for entry in step.results.values()]
    if all(route is not None and route.resume for route in routes):
        what = f"{name} can only let what is held go on: {', '.join(step.results)}"
        yield chain.found("one-way-decision", (*path, "results"), what)
    if step.takes is None and not step.deadlines:
        yield chain.found("no-limit", path, f"{name} holds a journey, and has no time limit")
    if not step.escalation:
        what = f"nobody is called when {name} is not made, and what it is about is held"
        yield chain.found("no-escalation", path, what)
    elif step.escalation[-1].tell not in ("owner", chain.protocol.owner):
        what = (
            f"the ladder of {name} ends at {step.escalation[-1].tell}, not at the accountable owner"
        )
        yield chain.found("no-escalation", (*path, "escalation"), what)


def _is_final(chain: Chain, route: Route, again: str | None, seen: tuple[str, ...]) -> bool:
    """Say whether `route` ends the journey, or begins it afresh with a step of kind `again`."""
    if route.end is not None:
        return True
    if route.go is not None:
        afresh = {route.go, *chain.net.downstream(route.go)}
        return again is not None and any(
            step.kind == again and name in afresh for name, step in chain.protocol.steps.items()
        )
    if route.decide is None or route.decide in seen:
        return False
    results = chain.protocol.steps[route.decide].results.values()
    return all(
        entry.then is not None and _is_final(chain, entry.then, again, (*seen, route.decide))
        for entry in results
    )


def living(chain: Chain, activity: Step | Handoff) -> tuple[str, ...]:
    """Return the living materials that an activity works on or passes, in the order of names."""
    has = sorted(chain.contents(activity))
    return tuple(m for m in has if chain.material(m).purpose in LIVING)
