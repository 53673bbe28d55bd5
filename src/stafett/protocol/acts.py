"""Acts and their ladders: who signs, who is called in time, what is measured on arrival."""

from __future__ import annotations

from collections.abc import Iterator

from stafett.protocol import units
from stafett.protocol.chain import Chain
from stafett.protocol.consequences import LIVING, living
from stafett.protocol.finding import Finding
from stafett.protocol.model import Check, Handoff
from stafett.protocol.read import Path_

SIGNED = ("collect", "conditioning", "thaw")
# Beyond these a limit limits nothing (assumptions of this project).
OLDEST_SCAN = 12 * 3600  # a shift: who scanned has gone home
LONGEST_SILENCE = 366 * 86400


def acts(chain: Chain) -> Iterator[Finding]:
    """Yield acts that nobody signs, ladders that call too late, arrivals that nobody measures."""
    for path, name, activity in chain.activities():
        if not isinstance(activity, Handoff) and activity.kind in SIGNED and activity.sign is None:
            yield chain.found("unsigned", path, f"nobody signs {name} ({activity.kind})")
        yield from _ladder(chain, path, name)
    yield from _arrivals(chain)
    died = chain.protocol.interrupts.get("patient_died")
    if died is not None and died.until is not None:
        what = f"a death after {died.until} cannot be recorded"
        yield chain.found("no-interrupt", ("interrupts", "patient_died", "until"), what)
    scans = chain.protocol.scans
    if scans is not None and scans.at_most.seconds > OLDEST_SCAN:
        what = f"a scan may be {scans.at_most} old: who made it is no longer there"
        yield chain.found("limits-nothing", ("scans", "at_most"), what)


def _ladder(chain: Chain, path: Path_, name: str) -> Iterator[Finding]:
    """Find work on living material without a ladder, and ladders that end when it has expired."""
    activity = chain.activity(name)
    if not isinstance(activity, Handoff) and not activity.escalation and living(chain, activity):
        what = f"{', '.join(living(chain, activity))} waits for {name}, and nobody is called"
        yield chain.found("no-escalation", path, what)
    for i, rung in enumerate(activity.escalation):
        at = (*path, "escalation", i, "after")
        if rung.after.seconds > LONGEST_SILENCE:
            yield chain.found(
                "limits-nothing", at, f"{name} calls {rung.tell} only after {rung.after}"
            )
            return
    last = activity.escalation[-1] if activity.escalation else None
    for material in living(chain, activity) if last is not None else ():
        life = chain.material(material).shelf_life
        if last is not None and life is not None and last.after > life.at_most:
            at = (*path, "escalation", len(activity.escalation) - 1, "after")
            what = (
                f"{name} calls {last.tell} after {last.after}, and {material} keeps for"
                f" {life.at_most}"
            )
            yield chain.found("ladder-too-late", at, what)
            return


def _arrivals(chain: Chain) -> Iterator[Finding]:
    """Find living material that has travelled and whose temperature nobody reads on arrival."""
    for name, step in chain.protocol.steps.items():
        if step.kind != "transport":
            continue
        for box in step.inputs:
            read = [
                check
                for _, other, activity in chain.activities()
                if name in chain.before[other]
                for check in (
                    activity.accept.checks
                    if isinstance(activity, Handoff) and box in activity.carries
                    else activity.checks
                    if not isinstance(activity, Handoff)
                    and (box in activity.unpacks.values() or box in activity.inputs)
                    else ()
                )
            ]
            if _holds_living(chain, box) and not any(_is_temperature(check) for check in read):
                what = f"{box} is brought by {name}, and nobody reads its temperature on arrival"
                yield chain.found("arrival-unmeasured", ("steps", name), what)


def _holds_living(chain: Chain, box: str) -> bool:
    return any(
        chain.material(inner).purpose in LIVING
        for step in chain.protocol.steps.values()
        for inner, outer in step.packs.items()
        if outer == box
    )


def _is_temperature(check: Check) -> bool:
    unit = check.unit
    return check.kind == "quantity" and unit is not None and units.comparable(unit, "Cel")
