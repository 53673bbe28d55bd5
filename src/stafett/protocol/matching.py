"""Identity, matched on both sides at each change of custodian and of container.

What is sealed in a container is identified by its outermost container while it is passed on; what
is worked on, packed, unpacked or relabelled is identified itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from stafett.protocol.chain import Chain, sides
from stafett.protocol.finding import Finding
from stafett.protocol.model import Check, Handoff, Step
from stafett.protocol.read import Path_

PATIENT = "patient"


def matching(chain: Chain) -> Iterator[Finding]:
    """Yield every change of hands, container or label at which identity is not matched."""
    for path, name, activity in chain.activities():
        if isinstance(activity, Handoff):
            yield from _handoff(chain, path, name, activity)
        else:
            yield from _step(chain, path, name, activity)
    yield from _labels(chain)


def _scanned(checks: tuple[Check, ...], field: str, subject: str) -> tuple[bool, bool]:
    """Say whether `subject` is scanned at all, and whether a mismatch stops the journey."""
    scans = [c for c in checks if c.kind == "scan" and getattr(c, field) == subject]
    return bool(scans), any(c.critical for c in scans)


def _must(
    chain: Chain, path: Path_, code: str, checks: tuple[Check, ...], subject: str, who: str
) -> Iterator[Finding]:
    there, critical = _scanned(checks, "identifies", subject)
    if not there:
        yield chain.found(code, path, f"{who} does not identify {subject}")
    elif not critical:
        what = f"{who} scans {subject}, but a mismatch does not stop the journey"
        yield chain.found("identity-weak", path, what)


def _matters(chain: Chain, material: str) -> bool:
    """Say whether a material's identity matters: all but packaging in which nothing is packed."""
    if chain.material(material).purpose != "packaging":
        return True
    return any(material in step.packs.values() for step in chain.protocol.steps.values())


def _handoff(chain: Chain, path: Path_, name: str, handoff: Handoff) -> Iterator[Finding]:
    for side, code, checks, who in (
        ("release", "identity-giver", handoff.release.checks, handoff.giver),
        ("accept", "identity-receiver", handoff.accept.checks, handoff.receiver),
    ):
        for material in handoff.carries:
            if _matters(chain, material) and not _is_empty(chain, name, material):
                at = (*path, side)
                yield from _must(chain, at, code, checks, material, f"{who} ({side} of {name})")
        papers = not handoff.carries and not handoff.on_demand and _has_patient(chain)
        if papers and not any(c.kind == "scan" and c.identifies and c.critical for c in checks):
            what = f"{who} ({side} of {name}) does not match whose papers these are"
            yield chain.found("papers-unmatched", (*path, side), what)
    for old, new in handoff.becomes.items():
        at = (*path, "becomes", old)
        checks = handoff.accept.checks
        who = f"relabelling in {name}"
        yield from _must(chain, at, "identity-container", checks, old, who)
        if not _scanned(checks, "records", new)[0]:
            what = f"{who} does not record the new label of {new}"
            yield chain.found("identity-container", at, what)


def _has_patient(chain: Chain) -> bool:
    """Say whether the chain is about a patient: bringing a site on is not."""
    return chain.protocol.family != "onboarding"


def _is_empty(chain: Chain, handoff: str, material: str) -> bool:
    """Say whether a container is surely empty: all that it ever held was unpacked before."""
    if chain.material(material).purpose not in ("packaging", "kit"):
        return False
    steps = chain.protocol.steps.items()
    packed = {(name, inner) for name, s in steps for inner, o in s.packs.items() if o == material}
    unpacked = {
        (name, inner) for name, s in steps for inner, o in s.unpacks.items() if o == material
    }
    before = chain.before[handoff]
    return bool(packed) and all(
        any(out in before and inner == what and name in chain.before[out] for out, what in unpacked)
        for name, inner in packed
    )


def _step(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    if step.kind == "collect":
        there = _scanned(step.checks, "identifies", PATIENT)
        if not there[0]:
            what = f"{name} does not identify the patient"
            yield chain.found("identity-collection", path, what)
        elif not there[1]:
            what = f"{name} scans the patient, but a mismatch does not stop the journey"
            yield chain.found("identity-weak", path, what)
    if step.kind == "administer":
        yield from _bedside(chain, path, name, step)
    yield from _containers(chain, path, name, step)


def _bedside(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    doses = [m for m in step.inputs if chain.material(m).purpose == "dose"]
    if not doses:
        yield chain.found("identity-bedside", path, f"{name} has no dose among its inputs")
    for subject in (PATIENT, *doses):
        scans = [c for c in step.checks if c.kind == "scan" and c.identifies == subject]
        early = [c for c in scans if c.when == "before"]
        if not early:
            what = f"{name} does not identify {subject} before it begins"
            yield chain.found("identity-bedside", path, what)
        elif not any(c.critical for c in early):
            what = f"{name} scans {subject}, but a mismatch does not stop it"
            yield chain.found("identity-bedside", path, what)
        elif not any(c.critical and c.people >= 2 for c in early):
            what = f"in {name} one person alone identifies {subject}"
            yield chain.found("identity-bedside", path, what)


def _containers(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    """Hold each change of container against the scans before and after it."""
    living = [m for m in step.outputs if chain.material(m).purpose != "packaging"]
    parents = [m for m in step.inputs if chain.material(m).purpose not in ("packaging", "kit")]
    for parent in parents if living else ():
        yield from _must(chain, path, "identity-container", step.checks, parent, name)
    for child in living:
        if not _scanned(step.checks, "records", child)[0]:
            what = f"{name} does not record the label of {child}"
            yield chain.found("identity-container", path, what)
    for field in ("packs", "unpacks"):
        for inner in getattr(step, field):
            if inner in parents and living:
                continue  # said above
            at = (*path, field, inner)
            who = f"{name} ({field} {inner})"
            yield from _must(chain, at, "identity-container", step.checks, inner, who)


def _labels(chain: Chain) -> Iterator[Finding]:
    """Find scans that compare with a label which nothing before them has recorded."""
    recorders: dict[tuple[str, str], set[str]] = {}
    for _, name, _, check in chain.checks():
        if check.records is not None and check.by is not None:
            recorders.setdefault((check.records, check.by), set()).add(name)
    for path, name, activity in chain.activities():
        for _, more, checks in sides(activity):
            for i, check in enumerate(checks):
                subject, by = check.identifies, check.by
                if subject is None or subject == PATIENT or by is None:
                    continue
                if chain.protocol.identifiers[by].of == "journey":
                    continue
                known = recorders.get((subject, by), set())
                if not known & (chain.before[name] | {name}):
                    what = f"{check.id} in {name} compares {by} of {subject}, not recorded before"
                    yield chain.found("label-unrecorded", (*path, *more, "checks", i), what)
