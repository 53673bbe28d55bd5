"""When and by whom labels are compared: before the work, on both sides, with the donation kept."""

from __future__ import annotations

from collections.abc import Iterator

from stafett.protocol.chain import Chain
from stafett.protocol.finding import Finding
from stafett.protocol.model import Handoff, Step
from stafett.protocol.read import Path_

PATIENT = "patient"
# What is done to the patient -> the code when nobody has made sure which patient it is.
TO_THE_PATIENT = {
    "consent": "identity-act",
    "collect": "identity-collection",
    "conditioning": "identity-act",
}


def labels(chain: Chain) -> Iterator[Finding]:
    """Yield scans that come too late, that one side only makes, and labels that hide a swap."""
    for path, name, activity in chain.activities():
        if isinstance(activity, Handoff):
            yield from _both_sides(chain, path, name, activity)
        else:
            yield from _in_time(chain, path, name, activity)
            yield from _patient(chain, path, name, activity)
            yield from _sample(chain, path, name, activity)
    yield from _kinds(chain)
    yield from _unread(chain)


def _both_sides(chain: Chain, path: Path_, name: str, handoff: Handoff) -> Iterator[Finding]:
    """Find labels of what is carried that one side compares and the other does not."""
    scanned = {
        side: {
            (check.identifies, check.by): check.id
            for check in getattr(handoff, side).checks
            if check.kind == "scan" and check.critical and check.identifies in handoff.carries
        }
        for side in ("release", "accept")
    }
    for one, other, who in (
        ("release", "accept", handoff.receiver),
        ("accept", "release", handoff.giver),
    ):
        for subject, by in scanned[one].keys() - scanned[other].keys():
            if not any(subject == there for there, _ in scanned[other]):
                continue  # not identified at all: said by `matching`
            what = f"{who} ({other} of {name}) does not scan {by} of {subject}; the other side does"
            yield chain.found("identity-one-sided", (*path, other), what)


def _in_time(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    """Find what is used up by a step and identified only when it is gone."""
    for material in step.consumes:
        scans = [c for c in step.checks if c.kind == "scan" and c.identifies == material]
        if material in step.unpacks or not scans or any(c.when == "before" for c in scans):
            continue
        yield chain.found("identity-late", path, f"{name} identifies {material} when it is used up")


def _patient(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    code = TO_THE_PATIENT.get(step.kind)
    scans = [c for c in step.checks if c.kind == "scan" and c.identifies == PATIENT and c.critical]
    if code is None or any(c.when == "before" for c in scans):
        return
    if scans:
        what = f"{name} identifies the patient when it is done, and not before"
        yield chain.found("identity-late", path, what)
    elif code == "identity-act":
        what = f"{name} ({step.kind}) does not identify the patient"
        yield chain.found("identity-act", path, what)


def _sample(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    """Find tests of nobody's sample in particular."""
    for material in step.inputs if step.kind == "test" else ():
        scans = [c for c in step.checks if c.kind == "scan" and c.identifies == material]
        if not any(c.critical for c in scans):
            what = f"{name} tests {material} and does not make sure that it is the right one"
            yield chain.found("identity-sample", path, what)


def _unread(chain: Chain) -> Iterator[Finding]:
    """Find labels that are recorded and that nobody ever compares."""
    compared = {(check.identifies, check.by) for _, _, _, check in chain.checks()}
    said = set()
    for path, name, _, check in chain.checks():
        label = (check.records, check.by)
        if check.records is None or label in compared or label in said:
            continue
        said.add(label)
        what = f"{name} records {check.by} of {check.records}, and nobody ever compares it"
        yield chain.found("label-unread", path, what)


def _kinds(chain: Chain) -> Iterator[Finding]:
    """Find identifiers whose kind leaves open what must not be left open."""
    for name, identifier in chain.protocol.identifiers.items():
        path = ("identifiers", name)
        donation = identifier.structure == "isbt128-din" and identifier.of == "material"
        carried = [m for m, entry in chain.protocol.materials.items() if name in entry.identifiers]
        if donation and len(carried) > 1 and not identifier.kept:
            what = f"{name} may change from one of {', '.join(carried)} to the next"
            yield chain.found("donation-not-kept", path, what)
        said = chain.document.at(*path)
        plain = identifier.structure == "plain" and identifier.of == "journey"
        if plain and isinstance(said, dict) and "direct" not in said:
            what = f"{name} belongs to the patient, and nothing says whether it tells who that is"
            yield chain.found("direct-unsaid", path, what)
