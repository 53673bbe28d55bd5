"""What must be in order before something passes: who acts, checks, documents, signatures.

`missing` lists what is in the way of one side of an activity; the station shows the same list that
`decide` refuses with.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from stafett.journey import clock
from stafett.journey.command import Actor, Signature, WorkSide
from stafett.journey.refusal import Code, Reason, Refusal, Refused, refuse
from stafett.journey.state import Sheet, State
from stafett.protocol.model import Check, Handoff, Sign, Text, text
from stafett.protocol.net import Net


class Desk(NamedTuple):
    """One side of an activity as the protocol describes it, and whose it is."""

    activity: str
    side: WorkSide
    about: str
    role: str
    checks: tuple[Check, ...]
    documents: tuple[str, ...]
    sign: Sign | None
    on_demand: bool = False

    def check(self, name: str) -> Check | None:
        """Return the check called `name`."""
        return next((c for c in self.checks if c.id == name), None)


def desk(net: Net, state: State, activity: str, side: WorkSide, about: str = "") -> Desk:
    """Return the desk of one side; raise Refused if there is no such side."""
    step = net.protocol.steps.get(activity)
    handoff = net.protocol.handoffs.get(activity)
    if step is not None and side == "step":
        role = acting(state, step.role)
        documents, sign = step.documents, step.sign
        return Desk(activity, side, about, role, step.checks, documents, sign, step.on_demand)
    if handoff is not None and not handoff.on_demand and side in ("release", "accept"):
        part = handoff.release if side == "release" else handoff.accept
        role = acting(state, handoff.giver if side == "release" else handoff.receiver)
        documents = handoff.documents if side == "release" else ()
        return Desk(activity, side, about, role, part.checks, documents, part.sign)
    if step is None and handoff is None:
        raise refuse("unknown-name", "activity", f"{activity!r} is not in this protocol")
    raise refuse("unknown-name", "side", f"{activity} has no side {side!r}", "see the protocol")


def acting(state: State, role: str) -> str:
    """Return `role`, or the role of the accountable owner where it says `owner`."""
    return state.owner.role if role == "owner" else role


def may_act(state: State, by: Actor, role: str) -> None:
    """Raise Refused unless `by` acts in `role`, for the organisation that plays it here."""
    if by.role != role:
        raise refuse("wrong-role", "by.role", f"this is for {role}, not for {by.role}")
    takes_part(state, by)


def takes_part(state: State, by: Actor) -> None:
    """Raise Refused unless the organisation of `by` plays that role in this journey."""
    plays = state.parties.get(by.role)
    if plays is None:
        raise refuse("wrong-role", "by.role", f"{by.role!r} has no part in this journey")
    if plays != by.organisation:
        raise refuse(
            "wrong-organisation",
            "by.organisation",
            f"{by.role} is played by {plays} in this journey, not by {by.organisation}",
        )


class Missing(NamedTuple):
    """One thing in the way, with the code of the refusal it leads to."""

    code: Code
    reason: Reason


def stale(net: Net, place: Desk, check: Check, sheet: Sheet, at: datetime | None) -> bool:
    """Say whether a wristband or a bag was scanned too long before `at` to be signed for.

    What is scanned before a step's work begins is about that moment; and from the first signature
    on nothing is scanned any more. `at` is when the side closes by the clock of who closes it, so
    that a station without network is judged as if it had had one.
    """
    if at is None or check.kind != "scan" or check.identifies is None or sheet.signatures:
        return False
    if place.side == "step" and check.when == "before" and not place.on_demand:
        return False
    if sheet.result(check) != "pass":
        return False
    return len(fresh(net, check, sheet, at)) < check.people


def fresh(net: Net, check: Check, sheet: Sheet, at: datetime) -> frozenset[str]:
    """Return the people whose scan for `check` counts at `at`."""
    oldest = at - clock.scans_keep(net)
    return frozenset(a.person for a in sheet.standing(check.id) if a.at >= oldest)


def missing(net: Net, place: Desk, sheet: Sheet, at: datetime | None) -> list[Missing]:
    """List what is in the way of closing this side at `at`, apart from its signatures.

    Without `at`, no scan is too old.
    """
    found = [m for check in place.checks if (m := _check(check, sheet)) is not None]
    for check in place.checks:
        if stale(net, place, check, sheet, at):
            minutes = int(clock.scans_keep(net).total_seconds() // 60)
            what = f"{check.id} was scanned more than {minutes} minutes ago"
            found.append(Missing("check-missing", Reason(check.id, what, "scan it again, here")))
    for name in place.documents:
        if name not in sheet.documents:
            found.append(
                Missing("document-missing", Reason(name, f"{name} is missing", "attach it"))
            )
    return found


def _check(check: Check, sheet: Sheet) -> Missing | None:
    result = sheet.result(check)
    if result == "pass" or (result == "fail" and not check.critical):
        left = check.people - len({a.person for a in sheet.standing(check.id)})
        if left <= 0:
            return None
        what = f"{check.id} is still to be checked by another person"
        return Missing("check-missing", Reason(check.id, what, "the second person answers it"))
    if result == "fail":
        return Missing("stopped", Reason(check.id, f"{check.id} failed: nothing passes"))
    if result == "unknown":
        what = f"{check.id} is unknown: it blocks, it never passes"
        return Missing("unknown-blocks", Reason(check.id, what, "find out and answer it again"))
    answered = len({a.person for a in sheet.standing(check.id)})
    if answered:
        what = f"{check.id} is still to be checked by another person"
        return Missing("check-missing", Reason(check.id, what, "the second person answers it"))
    return Missing("check-missing", Reason(check.id, f"{check.id} is not answered", "answer it"))


# What stands most in the way gives the refusal its code.
_ORDER: tuple[Code, ...] = ("stopped", "unknown-blocks", "check-missing", "document-missing")


def require(net: Net, place: Desk, sheet: Sheet, at: datetime) -> None:
    """Raise Refused, with everything that is in the way, unless this side is in order at `at`."""
    found = missing(net, place, sheet, at)
    if found:
        code = next(c for c in _ORDER if any(m.code == c for m in found))
        raise Refused(Refusal(code=code, reasons=tuple(m.reason for m in found)))


def failed(place: Desk, sheet: Sheet) -> tuple[str, ...]:
    """Return the checks of this side that failed without being critical."""
    return tuple(c.id for c in place.checks if sheet.result(c) == "fail")


def meanings(meaning: Text) -> frozenset[str]:
    """Return a signature's meaning in every language it is written in."""
    return frozenset((meaning,)) if isinstance(meaning, str) else frozenset(meaning.values())


def signatures(
    place: Desk, sheet: Sheet, by: Actor, given: tuple[Signature, ...], barred: frozenset[str]
) -> None:
    """Raise Refused unless `given` and those on the sheet close this side.

    Each must carry the protocol's meaning; enough different people must sign, the one who acts
    among them, and none of `barred` (those who acted for the other side).
    """
    if place.sign is None:
        return
    for one in given:
        valid(place.sign, one)
    people = {s.person for s in (*sheet.signatures, *given)}
    if by.person not in people:
        raise refuse("signature", "signatures", f"{by.person} acts but has not signed", "sign it")
    if len(people) < place.sign.people:
        what = f"{place.sign.people} different people must sign as {text(place.sign.meaning)!r}"
        raise refuse("signature", "signatures", f"{what}; {len(people)} did", "ask another person")
    both = people & barred
    if both:
        raise not_both(sorted(both)[0], place.activity)


def valid(sign: Sign, one: Signature) -> None:
    """Raise Refused unless `one` has the meaning of `sign`, a name, a zone and a digest."""
    if one.meaning not in meanings(sign.meaning):
        what = f"{one.meaning!r} is not what is signed here"
        raise refuse("signature", "signatures", what, f"it means {text(sign.meaning)!r}")
    for field in ("person", "name", "method", "digest"):
        if not getattr(one, field).strip():
            raise refuse("signature", f"signatures.{field}", f"the signature has no {field}")
    if one.at.utcoffset() is None:
        raise refuse("bad-time", "signatures.at", "the time of signing has no zone", "add it")


def not_both(person: str, activity: str) -> Refused:
    """Make the refusal for a person who acted for the other side of a handoff."""
    return refuse(
        "wrong-person",
        "by.person",
        f"{person} acted for the giver of {activity}: the receiver checks independently",
        "another person must receive",
    )


def givers(net: Net, state: State, activity: str) -> frozenset[str]:
    """Return everyone who acted for the giver in this round of a handoff."""
    if not isinstance(net.activity(activity), Handoff):
        return frozenset()
    return state.sheet(activity, "release").people()
