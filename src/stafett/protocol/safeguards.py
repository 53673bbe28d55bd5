"""Safeguards that each interface, material and journey must have: routes, ladders, signatures."""

from __future__ import annotations

from collections.abc import Iterator

from stafett.protocol.chain import Chain
from stafett.protocol.finding import Finding
from stafett.protocol.model import Handoff, Step
from stafett.protocol.net import target
from stafett.protocol.read import Path_

INTERRUPTS = ("consent_withdrawn", "patient_died")
WITHDRAWN = ("onboarding_withdrawn",)  # where there is no patient: a site becomes ready
MAY_FAIL = ("consent", "collect", "manufacture", "test", "certify")
DECISIVE = ("consent", "certify")
SIGNED = ("consent", "certify", "decision", "administer")
# Acts that cannot be undone -> the kind of step that their prerequisites must require.
IRREVERSIBLE = {"conditioning": "certify", "thaw": "certify", "administer": "conditioning"}
LIVING = ("starting", "intermediate", "dose")


def safeguards(chain: Chain) -> Iterator[Finding]:
    """Yield every safeguard that is missing from the text of the protocol."""
    for path, name, activity in chain.activities():
        if isinstance(activity, Handoff):
            yield from _handoff(chain, path, name, activity)
        else:
            yield from _step(chain, path, name, activity)
    yield from _materials(chain)
    yield from _prerequisites(chain)
    without = chain.protocol.family == "onboarding"
    for interrupt in WITHDRAWN if without else INTERRUPTS:
        if interrupt not in chain.protocol.interrupts:
            what = f"the interrupt {interrupt!r} is missing"
            yield chain.found("no-interrupt", ("interrupts",), what)
            continue
        until = chain.protocol.interrupts[interrupt].until
        given = {n for n, step in chain.protocol.steps.items() if step.kind == "administer"}
        if (
            until is not None
            and not without
            and not given & (chain.before[target(until)] | {target(until)})
        ):
            what = f"{interrupt} is provided for until {until} only, not until the dose is given"
            yield chain.found("no-interrupt", ("interrupts", interrupt), what)
    yield from _unused(chain)


def _handoff(chain: Chain, path: Path_, name: str, handoff: Handoff) -> Iterator[Finding]:
    def missing(code: str, what: str) -> Finding:
        return chain.found(code, path, f"{name} has no {what}")

    critical = any(c.critical for side in (handoff.release, handoff.accept) for c in side.checks)
    if (handoff.carries or critical) and handoff.on_stop is None and not handoff.on_demand:
        yield missing("no-stop-route", "`on_stop`: its checks can fail")
    if handoff.carries:
        if handoff.on_quarantine is None:
            yield missing("no-quarantine-route", "`on_quarantine`, though it carries material")
        if handoff.on_refuse is None:
            yield missing("no-refuse-route", "`on_refuse`, though it carries material")
    if handoff.takes is None and not handoff.deadlines:
        yield missing("no-limit", "time limit")
    yield from _ladder(chain, path, name, handoff)
    if not handoff.accept.checks:
        what = f"{handoff.receiver} accepts {name} without a check of its own"
        yield chain.found("one-sided", (*path, "accept"), what)
    living = any(chain.material(m).purpose in LIVING for m in chain.contents(handoff))
    if living and not any(c.kind in ("choice", "quantity") for c in handoff.accept.checks):
        what = (
            f"{handoff.receiver} accepts {name} by its label alone: seal, condition, temperature?"
        )
        yield chain.found("condition-unchecked", (*path, "accept"), what)
    if not handoff.release.checks and handoff.carries:
        what = f"{handoff.giver} releases {name} without a check of its own"
        yield chain.found("one-sided", (*path, "release"), what)
    for side in ("release", "accept"):
        if getattr(handoff, side).sign.people < 1:
            yield chain.found("unsigned", (*path, side, "sign"), f"nobody signs {side} of {name}")


def _ladder(chain: Chain, path: Path_, name: str, handoff: Handoff) -> Iterator[Finding]:
    told = [rung.tell for rung in handoff.escalation]
    if not told:
        yield chain.found("no-escalation", path, f"nobody is called when {name} does not happen")
    elif told[-1] not in ("owner", chain.protocol.owner):
        what = f"the ladder of {name} ends at {told[-1]}, not at the accountable owner"
        yield chain.found("no-escalation", (*path, "escalation"), what)


def _step(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    critical = any(check.critical for check in step.checks)
    if critical and step.on_stop is None and not step.on_demand:
        what = f"{name} has no `on_stop`, though a critical check can fail"
        yield chain.found("no-stop-route", path, what)
    failing = [r for r in step.results.values() if r.then is not None and not r.then.resume]
    if step.kind in MAY_FAIL and not failing:
        what = f"{name} ({step.kind}) has no result with a `then` for its failure"
        yield chain.found("no-failing-result", path, what)
    going_on = [result for result, entry in step.results.items() if entry.then is None]
    if step.kind in DECISIVE and len(going_on) > 1:
        for other_path, other, activity in chain.activities():
            if name in activity.after:
                what = f"{other} follows {name} however it ends: {', '.join(going_on)}"
                yield chain.found("result-ignored", (*other_path, "after"), what)
    if step.kind in SIGNED and (step.sign is None or step.sign.people < 1):
        yield chain.found("unsigned", path, f"nobody signs {name} ({step.kind})")
    elif step.kind == "administer" and step.sign is not None and step.sign.people < 2:
        what = f"one person alone signs {name} ({step.kind})"
        yield chain.found("unsigned", (*path, "sign"), what)
    if step.kind == "certify" and not any(
        one.kind == "test" and other in chain.before[name]
        for other, one in chain.protocol.steps.items()
    ):
        yield chain.found("certified-untested", path, f"{name} ({step.kind}) comes after no test")
    if step.kind == "administer":
        for dose in step.inputs:
            if chain.material(dose).purpose == "dose" and dose not in step.consumes:
                yield chain.found("dose-kept", path, f"{name} gives {dose} and does not use it up")


def _materials(chain: Chain) -> Iterator[Finding]:
    for name, material in chain.protocol.materials.items():
        path = ("materials", name)
        if material.purpose != "packaging" and material.on_lost is None:
            yield chain.found("no-loss-route", path, f"nothing says what happens if {name} is lost")
        if material.shelf_life is not None and material.on_expired is None:
            what = f"{name} keeps for {material.shelf_life.at_most}; nothing says what then"
            yield chain.found("no-expiry-route", path, what)
        if material.shelf_life is None and material.purpose in LIVING:
            what = f"{name} ({material.purpose} material) has no shelf life"
            yield chain.found("no-shelf-life", path, what)


def _prerequisites(chain: Chain) -> Iterator[Finding]:
    """Find acts that cannot be undone and have no prerequisite, or one that leaves out too much."""
    steps = chain.protocol.steps
    for name, step in steps.items():
        doses = [m for m in step.inputs if chain.material(m).purpose == "dose"]
        if step.kind not in IRREVERSIBLE or (step.kind == "thaw" and not doses):
            continue
        rules = [rule for rule in chain.protocol.prerequisites if rule.before == name]
        if not rules:
            what = f"{name} ({step.kind}) cannot be undone, and has no prerequisite"
            yield chain.found("no-prerequisite", ("steps", name), what)
            continue
        required = {target(ref) for rule in rules for ref in rule.require}
        wanted = [
            other
            for other, one in steps.items()
            if one.kind == IRREVERSIBLE[step.kind] and other in chain.before[name]
        ]
        place = ("prerequisites", chain.protocol.prerequisites.index(rules[0]))
        for other in wanted:
            if other not in required:
                what = f"the prerequisites of {name} do not require {other} ({steps[other].kind})"
                yield chain.found("no-prerequisite", place, what)
        fresh = not wanted and step.kind == "conditioning"
        if not fresh and not any(rule.on_site and rule.at for rule in rules):
            what = f"the prerequisites of {name} do not say which dose must be on site, and where"
            yield chain.found("no-prerequisite", place, what)


def _unused(chain: Chain) -> Iterator[Finding]:
    """Find roles, identifiers and documents that nothing uses."""
    protocol = chain.protocol
    roles = {protocol.owner} | {outcome.owner for outcome in protocol.outcomes.values()}
    identifiers = {m for material in protocol.materials.values() for m in material.identifiers}
    documents: set[str] = set()
    for _, _, activity in chain.activities():
        documents |= set(activity.documents)
        roles |= {rung.tell for rung in activity.escalation}
        if isinstance(activity, Handoff):
            roles |= {activity.giver, activity.receiver}
        else:
            roles.add(activity.role)
    for _, _, _, check in chain.checks():
        identifiers |= {check.by} if check.by is not None else set()
    for section, used in (
        ("roles", roles),
        ("identifiers", identifiers),
        ("documents", documents),
    ):
        for name in getattr(protocol, section):
            if name not in used:
                yield chain.found("unused-name", (section, name), f"{section}: {name} is not used")
