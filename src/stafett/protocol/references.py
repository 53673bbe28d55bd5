"""Names and shape: every name that a protocol uses exists, and its parts fit together.

The rest of the proof only begins when this finds no error: a net with unknown names has no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from stafett.protocol.chain import Chain, sides
from stafett.protocol.finding import Finding
from stafett.protocol.model import LONGEST_NAME, Condition, Handoff, Route, Step
from stafett.protocol.net import target
from stafett.protocol.read import Path_
from stafett.protocol.texts import texts

MOST_ATTEMPTS = 20
MOST_NAMES = 200
NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]*$")
SECTIONS = (
    "roles",
    "identifiers",
    "documents",
    "deviations",
    "materials",
    "steps",
    "handoffs",
    "interrupts",
    "outcomes",
)
RESERVED = {"roles": ("any", "owner"), "materials": ("patient",)}


VERSION = re.compile(r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,39}$")


def references(chain: Chain) -> Iterator[Finding]:
    """Yield every name that does not exist and every part that does not fit."""
    yield from _names(chain)
    yield from texts(chain)
    yield from _activities(chain)
    yield from _materials(chain)
    yield from _checks(chain)
    yield from _routes(chain)
    yield from _rest(chain)
    yield from _cycles(chain)


def _names(chain: Chain) -> Iterator[Finding]:
    """Find names that could be read as something else, and more of them than can be explored."""
    protocol = chain.protocol
    for path, name in _named(chain):
        if len(name) > LONGEST_NAME:
            what = (
                f"{name[:20] + '…'!r} is longer than {LONGEST_NAME} characters: no act can name it"
            )
            yield chain.found("unfit-part", path, what)
    for name in protocol.products:
        if not name.strip():
            what = f"{name!r} is no name: no act can name it"
            yield chain.found("unfit-part", ("products", name), what)
    if not NAME.fullmatch(protocol.protocol):
        what = (
            f"{protocol.protocol!r} is no name: letters, digits, - and _, beginning with a letter"
        )
        yield chain.found("unfit-part", ("protocol",), what)
    if not VERSION.fullmatch(protocol.version):
        what = f"{protocol.version!r} is no version: letters, digits and dots, such as 1.0.0"
        yield chain.found("unfit-part", ("version",), what)
    for section in SECTIONS:
        names = getattr(protocol, section)
        if len(names) > MOST_NAMES:
            what = f"{len(names)} {section}: more than {MOST_NAMES} can't be explored"
            yield chain.found("too-large", (section,), what)
        for name in names:
            if not NAME.fullmatch(name):
                what = f"{name!r} is no name: letters, digits, - and _, beginning with a letter"
                yield chain.found("unfit-part", (section, name), what)
            elif name in RESERVED.get(section, ()):
                what = f"{name!r} has a meaning of its own: {section} can't be called that"
                yield chain.found("name-twice", (section, name), what)
    for name, step in protocol.steps.items():
        for result in step.results:
            if not NAME.fullmatch(result):
                at = ("steps", name, "results", result)
                yield chain.found("unfit-part", at, f"{result!r} is no name for a result")


def _named(chain: Chain) -> Iterator[tuple[Path_, str]]:
    """Yield each name that orders, signatures and competences are to say, with its place."""
    protocol = chain.protocol
    yield ("protocol",), protocol.protocol
    for section in (*SECTIONS, "products"):
        yield from (((section, name), name) for name in getattr(protocol, section))
    for name, step in protocol.steps.items():
        yield from ((("steps", name, "results", one), one) for one in step.results)


def known_name(
    chain: Chain, path: Path_, what: str, name: str, known: Iterable[str]
) -> Iterator[Finding]:
    """Find a `name` of a `what` that is not `known`, with the one that was likely meant."""
    if name not in known:
        near = _nearest(name, known)
        hint = f"; did you mean {near!r}?" if near else ""
        yield chain.found("unknown-name", path, f"there is no {what} {name!r}{hint}")


def _nearest(name: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), 1)), None)


def _ref(chain: Chain, path: Path_, ref: str) -> Iterator[Finding]:
    """Check a ref: an activity that takes part in the order, and one of its results."""
    name, _, result = ref.partition("=")
    steps, handoffs = chain.protocol.steps, chain.protocol.handoffs
    unknown = list(known_name(chain, path, "step or handoff", name, [*steps, *handoffs]))
    yield from unknown
    if unknown:
        return
    if chain.activity(name).on_demand:
        what = f"{name} is on demand: it is not part of the order, so nothing can wait for it"
        yield chain.found("on-demand-misused", path, what)
    if "=" not in ref:
        return
    step = steps.get(name)
    if step is None:
        yield chain.found(
            "unknown-name", path, f"{name} is a handoff: only steps have results ({ref})"
        )
    else:
        yield from known_name(chain, path, f"result of {name}", result, step.results or ("done",))


def _activities(chain: Chain) -> Iterator[Finding]:
    protocol = chain.protocol
    for name in protocol.steps.keys() & protocol.handoffs.keys():
        yield chain.found("name-twice", ("handoffs", name), f"{name} is a step and a handoff")
    for name in protocol.materials.keys() & {*protocol.steps, *protocol.handoffs}:
        yield chain.found("name-twice", ("materials", name), f"{name} is an activity too")
    for name in protocol.interrupts.keys() & {
        *protocol.steps,
        *protocol.handoffs,
        *protocol.materials,
    }:
        yield chain.found("name-twice", ("interrupts", name), f"{name} is something else too")
    for path, name, activity in chain.activities():
        for i, ref in enumerate(activity.after):
            yield from _ref(chain, (*path, "after", i), ref)
        for i, deadline in enumerate(activity.deadlines):
            yield from _ref(chain, (*path, "deadlines", i, "since"), deadline.since)
            if deadline.deviation is not None:
                at = (*path, "deadlines", i, "deviation")
                yield from known_name(
                    chain, at, "deviation", deadline.deviation, protocol.deviations
                )
        for i, document in enumerate(activity.documents):
            at = (*path, "documents", i)
            yield from known_name(chain, at, "document", document, protocol.documents)
        if activity.attempts is not None and not 1 <= activity.attempts <= MOST_ATTEMPTS:
            what = (
                f"{name} may be tried {activity.attempts} times (1 to {MOST_ATTEMPTS} make sense)"
            )
            yield chain.found("contradictory-limits", (*path, "attempts"), what)
        if isinstance(activity, Step):
            yield from _step(chain, path, name, activity)
        else:
            yield from _handoff(chain, path, name, activity)


def _step(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    protocol = chain.protocol
    yield from known_name(chain, (*path, "role"), "role", step.role, protocol.roles)
    lists = (("inputs", step.inputs), ("consumes", step.consumes), ("outputs", step.outputs))
    for field, materials in lists:
        for i, material in enumerate(materials):
            at = (*path, field, i)
            yield from known_name(chain, at, "material", material, protocol.materials)
            if materials.index(material) != i:
                yield chain.found("name-twice", at, f"{material} is named twice in {field}")
    for i, material in enumerate(step.consumes):
        if material not in step.inputs:
            what = f"{name} consumes {material}, which is not one of its inputs"
            yield chain.found("unfit-part", (*path, "consumes", i), what)
    for field, packing in (("packs", step.packs), ("unpacks", step.unpacks)):
        for inner, outer in packing.items():
            for material in (inner, outer):
                at = (*path, field, inner)
                yield from known_name(chain, at, "material", material, protocol.materials)
            if inner == outer:
                yield chain.found("unfit-part", (*path, field, inner), f"{inner} is in itself")
    for result, entry in step.results.items():
        if entry.deviation is not None:
            at = (*path, "results", result, "deviation")
            yield from known_name(chain, at, "deviation", entry.deviation, protocol.deviations)
    if step.on_demand:
        yield from _decision(chain, path, name, step)


def _decision(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    if step.kind != "decision":
        what = f"{name} is a {step.kind} on demand; only decisions are sent for"
        yield chain.found("on-demand-misused", (*path, "on_demand"), what)
    idle = [f for f in ("after", "inputs", "outputs", "consumes", "packs") if getattr(step, f)]
    for field in idle:
        what = f"{name} is on demand: its {field} would never be used"
        yield chain.found("on-demand-misused", (*path, field), what)
    if not step.results:
        yield chain.found("undecided", path, f"{name} has no result to decide for")
    for result, entry in step.results.items():
        if entry.then is None:
            what = f"{name}={result} says nothing about the held activity (go, end, resume, decide)"
            yield chain.found("undecided", (*path, "results", result), what)


def _handoff(chain: Chain, path: Path_, name: str, handoff: Handoff) -> Iterator[Finding]:
    protocol = chain.protocol
    roles = [*protocol.roles, *(("any", "owner") if handoff.on_demand else ())]
    for field in ("giver", "receiver"):
        yield from known_name(chain, (*path, field), "role", getattr(handoff, field), roles)
    if handoff.giver == handoff.receiver and handoff.giver != "any":
        what = f"{name} goes from {handoff.giver} to itself: that is a step, not a handoff"
        yield chain.found("unfit-part", (*path, "receiver"), what)
    for i, material in enumerate(handoff.carries):
        at = (*path, "carries", i)
        yield from known_name(chain, at, "material", material, protocol.materials)
        if handoff.carries.index(material) != i:
            yield chain.found("name-twice", at, f"{material} is carried twice")
    for old, new in handoff.becomes.items():
        at = (*path, "becomes", old)
        yield from known_name(chain, at, "material", new, protocol.materials)
        if old not in handoff.carries:
            yield chain.found("unfit-part", at, f"{name} relabels {old}, which it does not carry")
        if old == new:
            yield chain.found("unfit-part", at, f"{old} becomes itself")
    if handoff.on_demand:
        for field in ("carries", "after", "transfers_accountability"):
            if getattr(handoff, field):
                what = f"{name} is a notification on demand: it can't have {field}"
                yield chain.found("on-demand-misused", (*path, field), what)


def _materials(chain: Chain) -> Iterator[Finding]:
    protocol = chain.protocol
    for name, material in protocol.materials.items():
        for i, identifier in enumerate(material.identifiers):
            at = ("materials", name, "identifiers", i)
            yield from known_name(chain, at, "identifier", identifier, protocol.identifiers)
        if material.shelf_life is not None:
            since = ("materials", name, "shelf_life", "counts_from")
            yield from _ref(chain, since, material.shelf_life.counts_from)
        for i, condition in enumerate(material.conditions):
            where = ("materials", name, "conditions", i)
            known = protocol.deviations
            yield from known_name(
                chain, (*where, "deviation"), "deviation", condition.deviation, known
            )
            if fault := _unfit_condition(condition):
                yield chain.found("unfit-part", where, f"{name}: {fault}")
        if not chain.makers(name):
            yield chain.found(
                "never-made", ("materials", name), f"no step or handoff brings {name} into being"
            )


def _unfit_condition(condition: Condition) -> str:
    """Return what keeps a condition from being judged; nothing if it can be."""
    of, bounds = condition.of, (condition.min, condition.max)
    if of == "temperature" and bounds == (None, None):
        return "a condition of temperature needs min or max"
    if of in ("tilt", "shock") and (condition.max is None or condition.min is not None):
        return f"a condition of {of} has a max, and no min"
    if of in ("door", "silence") and bounds != (None, None):
        return f"a condition of {of} has neither min nor max"
    if of == "silence" and condition.at_most is None:
        return "a condition of silence needs at_most: how long nothing may be heard"
    if of == "temperature" and condition.at_most is None and condition.in_all is None:
        return "a temperature is never judged by one point: give at_most or in_all"
    return ""


def _checks(chain: Chain) -> Iterator[Finding]:
    protocol = chain.protocol
    for path, _, _, check in chain.checks():
        for field in ("identifies", "records"):
            what = getattr(check, field)
            if what is None:
                continue
            subjects = [*protocol.materials, *(("patient",) if field == "identifies" else ())]
            yield from known_name(chain, (*path, field), "material", what, subjects)
        if check.by is not None:
            yield from known_name(
                chain, (*path, "by"), "identifier", check.by, protocol.identifiers
            )
        if check.deviation is not None:
            at = (*path, "deviation")
            yield from known_name(chain, at, "deviation", check.deviation, protocol.deviations)
        for choice, entry in check.choices.items():
            if entry.deviation is not None:
                at = (*path, "choices", choice, "deviation")
                yield from known_name(chain, at, "deviation", entry.deviation, protocol.deviations)
    for path, name, activity in chain.activities():
        for side, more, checks in sides(activity):
            ids = [check.id for check in checks]
            for i, one in enumerate(ids):
                if ids.index(one) != i:
                    at = (*path, *more, "checks", i, "id")
                    yield chain.found("name-twice", at, f"{name} ({side}) has two checks {one!r}")


def _routes(chain: Chain) -> Iterator[Finding]:
    for path, name, route in chain.routes():
        yield from _route(chain, path, name, route)
    for path, name, activity in chain.activities():
        yield from _exhaustion(chain, (*path, "exhausted"), name, activity.exhausted)


def _exhaustion(chain: Chain, path: Path_, name: str, last: Route | None) -> Iterator[Finding]:
    seen = [name]
    while last is not None and last.go is not None:
        if last.go in seen:
            circle = " -> ".join((*seen, last.go))
            what = f"when attempts run out the journey goes round for ever: {circle}"
            yield chain.found("endless-retry", path, what)
            return
        seen.append(last.go)
        known = last.go in chain.protocol.steps or last.go in chain.protocol.handoffs
        last = chain.activity(last.go).exhausted if known else None


def _route(chain: Chain, path: Path_, name: str, route: Route) -> Iterator[Finding]:
    protocol = chain.protocol
    ways = [w for w in ("go", "decide", "end") if getattr(route, w) is not None]
    ways += ["resume"] if route.resume else []
    if len(ways) != 1:
        said = ", ".join(ways) or "nothing"
        yield chain.found("unfit-part", path, f"a route says exactly one way on; this says {said}")
    if route.end is not None:
        yield from known_name(chain, (*path, "end"), "outcome", route.end, protocol.outcomes)
    if route.decide is not None:
        at = (*path, "decide")
        unknown = list(known_name(chain, at, "step", route.decide, protocol.steps))
        yield from unknown
        if not unknown and not protocol.steps[route.decide].on_demand:
            what = f"{route.decide} is not on demand: a route can't ask it to decide"
            yield chain.found("on-demand-misused", at, what)
    if route.go is not None:
        yield from _go(chain, (*path, "go"), route.go)
    if route.resume:
        step = protocol.steps.get(name)
        if step is None or not step.on_demand or "results" not in path:
            what = "only the result of an on-demand decision can resume what it holds"
            yield chain.found("on-demand-misused", (*path, "resume"), what)


def _go(chain: Chain, at: Path_, name: str) -> Iterator[Finding]:
    protocol = chain.protocol
    names = [*protocol.steps, *(n for n, h in protocol.handoffs.items() if not h.on_demand)]
    unknown = list(known_name(chain, at, "step or handoff", name, names))
    yield from unknown
    if unknown:
        return
    activity = chain.activity(name)
    if activity.on_demand:
        yield chain.found("on-demand-misused", at, f"{name} is on demand: use `decide`")
    elif activity.exhausted is None:
        what = f"the journey can be sent back to {name}, which does not say what happens at last"
        yield chain.found("endless-retry", chain.path(name), what)


def _rest(chain: Chain) -> Iterator[Finding]:
    protocol = chain.protocol
    yield from known_name(chain, ("owner",), "role", protocol.owner, protocol.roles)
    for path, _, ladder in chain.ladders():
        for i, rung in enumerate(ladder):
            at = (*path, i, "tell")
            yield from known_name(chain, at, "role", rung.tell, [*protocol.roles, "owner"])
    activities = [*protocol.steps, *protocol.handoffs]
    for i, rule in enumerate(protocol.prerequisites):
        at = ("prerequisites", i)
        yield from known_name(chain, (*at, "before"), "step or handoff", rule.before, activities)
        for j, ref in enumerate(rule.require):
            yield from _ref(chain, (*at, "require", j), ref)
        for j, name in enumerate(rule.on_site):
            known = known_name(chain, (*at, "on_site", j), "material", name, protocol.materials)
            yield from known
        if rule.at is not None:
            yield from known_name(chain, (*at, "at"), "role", rule.at, protocol.roles)
    for name, interrupt in protocol.interrupts.items():
        if interrupt.until is not None:
            yield from _ref(chain, ("interrupts", name, "until"), interrupt.until)
    for name, entry in protocol.deviations.items():
        for i, role in enumerate(entry.closed_by):
            path = ("deviations", name, "closed_by", i)
            yield from known_name(chain, path, "role", role, protocol.roles)
    for name, outcome in protocol.outcomes.items():
        at = ("outcomes", name, "owner")
        yield from known_name(chain, at, "role", outcome.owner, protocol.roles)


def _cycles(chain: Chain) -> Iterator[Finding]:
    """Find each circle in `after`, and name it once."""
    names = {name: activity for _, name, activity in chain.activities()}
    state: dict[str, int] = {}
    for start in names:
        trail = [start]
        todo = [iter(names[start].after)] if start not in state else []
        state.setdefault(start, 1)
        while todo:
            ref = next(todo[-1], None)
            name = target(ref) if ref is not None else None
            if name is None:
                state[trail.pop()] = 2
                todo.pop()
            elif name in names and state.get(name) == 1:
                circle = " -> ".join((*trail[trail.index(name) :], name))
                at = (*chain.path(trail[-1]), "after")
                yield chain.found("cycle", at, f"each waits for the other: {circle}")
            elif name in names and name not in state:
                state[name] = 1
                trail.append(name)
                todo.append(iter(names[name].after))
