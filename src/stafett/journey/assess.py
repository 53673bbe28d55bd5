"""The work on a deviation: triage by closed criteria, cause, decision, corrective action.

Severity is not chosen: it is the heaviest of the criteria that hold, and what is unknown about
identity or the patient weighs as if it were so. What each criterion weighs is a proposal of this
project after GMP practice (minor, major, critical), not a published figure.

Supply out of specification needs the treating physician's request, the manufacturer's evaluation of
the risks, and its acceptance on both sides (Guidelines on good manufacturing practice specific to
advanced therapy medicinal products, EudraLex volume 4 part IV, 11.5; handoff catalogue H15).
"""

from __future__ import annotations

from typing import Final

from stafett.journey import command as c
from stafett.journey import deviation, excursion, gate, specification, supply
from stafett.journey import event as e
from stafett.journey.draft import Draft
from stafett.journey.raised import Action, Raised
from stafett.journey.refusal import refuse
from stafett.journey.state import State
from stafett.protocol.model import Handoff, Severity
from stafett.protocol.net import Net

WEIGHT: Final[dict[Severity, int]] = {"minor": 0, "major": 1, "critical": 2}
CRITERIA: Final[dict[c.Criterion, Severity]] = {
    "identity-in-doubt": "critical",
    "custody-unknown": "critical",
    "patient-harm-possible": "critical",
    "product-unsafe-possible": "critical",
    "specification-not-met": "major",
    "limit-exceeded": "major",
    "record-incomplete": "major",
    "delay-reaches-patient": "major",
    "no-effect-shown": "minor",
    "corrected-at-once": "minor",
}
LACKS: Final = {
    "request": "the physician's request",
    "risk-evaluation": "the manufacturer's evaluation of the risks",
    "acceptance-physician": "acceptance by the physician",
    "acceptance-maker": "acceptance by the manufacturer or the Qualified Person",
}


def severity(criteria: tuple[c.Criterion, ...], impact: c.Impact) -> Severity:
    """Return what the criteria weigh together with what the deviation means."""
    found: list[Severity] = [CRITERIA[criterion] for criterion in criteria]
    if {impact.identity, impact.patient} & {"possible", "confirmed", "unknown"}:
        found.append("critical")
    if {impact.custody, impact.product} & {"possible", "confirmed", "unknown"}:
        found.append("major")
    return max(found, key=lambda one: WEIGHT[one], default="minor")


def concerned(net: Net, state: State, raised: Raised) -> frozenset[str]:
    """Return the roles that work on a deviation: those at the interface, and the owner."""
    roles = {state.owner.role}
    for name in (raised.about, raised.detected, raised.originated):
        if name is None or name not in net.index:
            continue
        activity = net.activity(name)
        if isinstance(activity, Handoff):
            roles |= {activity.giver, activity.receiver}
        else:
            roles.add(activity.role)
    # `any` and `owner` stand for roles; those are never parties by name.
    return frozenset(roles & set(state.parties))


def closers(net: Net, state: State, raised: Raised) -> tuple[str, ...]:
    """Return the roles that may close a deviation: those the protocol names, else who is concerned.

    Those are the roles where it was seen or began, the accountable owner, and quality: whoever
    certifies in this protocol, and an authority.
    """
    named = deviation.entry(net.protocol, raised.code).closed_by
    if named:
        return tuple(role for role in named if role in state.parties)
    quality = {step.role for step in net.protocol.steps.values() if step.kind == "certify"}
    quality |= {r for r, one in net.protocol.roles.items() if one.organisation == "authority"}
    return tuple(sorted(concerned(net, state, raised) | quality & set(state.parties)))


def _open(draft: Draft, name: str, by: c.Actor, *, closed: bool = False) -> Raised:
    gate.takes_part(draft.state, by)
    raised = draft.state.deviations.get(name)
    if raised is None:
        raise refuse("unknown-name", "deviation", f"no deviation {name!r}")
    if raised.closed_at is not None and not closed:
        raise refuse("already-answered", "deviation", "it is closed already")
    return raised


def _worked_by(draft: Draft, name: str, by: c.Actor, *, closed: bool = False) -> Raised:
    raised = _open(draft, name, by, closed=closed)
    roles = concerned(draft.net, draft.state, raised)
    if by.role not in roles | supply.makers(draft.net):
        what = f"{by.role} neither stands at this interface nor answers for the journey"
        raise refuse("wrong-role", "by.role", what, f"one of: {', '.join(sorted(roles))}")
    return raised


def _kind(draft: Draft, role: str) -> str:
    return draft.net.protocol.roles[role].organisation


def _said(field: str, text: str) -> None:
    if not text.strip():
        raise refuse("reason-missing", field, f"{field} is empty", "say it in a few words")


def _signed(command: c.DecideDeviation | c.StateOutOfSpecification | c.CheckAction) -> None:
    if not any(s.person == command.by.person for s in command.signatures):
        raise refuse("signature", "signatures", f"{command.by.person} has not signed", "sign it")


def triage(draft: Draft, command: c.TriageDeviation) -> None:
    """Assess it; an identity in doubt cannot be assessed as less than critical."""
    raised = _worked_by(draft, command.deviation, command.by)
    if not command.criteria:
        names = ", ".join(CRITERIA)
        raise refuse("bad-value", "criteria", "no criterion is chosen", f"one or more of: {names}")
    found = severity(command.criteria, command.impact)
    if WEIGHT[found] < WEIGHT[raised.severity]:
        _said("note", command.note)
    draft.add(
        e.DeviationTriaged(
            occurred_at=command.occurred_at,
            by=command.by,
            deviation=command.deviation,
            severity=found,
            criteria=tuple(dict.fromkeys(command.criteria)),
            impact=command.impact,
            note=command.note,
        )
    )


def act(draft: Draft, command: c.TakeImmediateAction) -> None:
    """Anyone who takes part may act at once, and says what they did."""
    _open(draft, command.deviation, command.by)
    _said("what", command.what)
    draft.add(
        e.ImmediateActionTaken(
            occurred_at=command.occurred_at,
            by=command.by,
            deviation=command.deviation,
            what=command.what,
        )
    )


def name_cause(draft: Draft, command: c.NameCause) -> None:
    """Where it began is an activity of the protocol, and need not be where it was seen."""
    _worked_by(draft, command.deviation, command.by)
    _said("why", command.why)
    if command.originated is not None and command.originated not in draft.net.index:
        raise refuse("unknown-name", "originated", f"{command.originated!r} is no activity")
    draft.add(
        e.CauseNamed(
            occurred_at=command.occurred_at,
            by=command.by,
            deviation=command.deviation,
            cause=command.cause,
            why=command.why,
            originated=command.originated,
        )
    )


# -- supply out of specification -----------------------------------------------------------------


def state_out_of_specification(draft: Draft, command: c.StateOutOfSpecification) -> None:
    """Request, evaluation, acceptances: in this order, each by the side that answers for it."""
    raised = _open(draft, command.deviation, command.by)
    if raised.kind not in ("product", "condition", "timing"):
        what = f"a deviation of {raised.kind} is never supplied out of specification"
        raise refuse("not-possible-now", "deviation", what)
    _said("statement", command.statement)
    _signed(command)
    parts = {s.part for s in raised.work.statements}
    asks, makes = supply.physicians(draft.net), supply.makers(draft.net)
    wanted = {"request": asks, "risk-evaluation": makes, "acceptance": asks | makes}
    if command.by.role not in wanted[command.part]:
        what = f"a {command.part} is not for {command.by.role}"
        whose = ", ".join(sorted(wanted[command.part]))
        raise refuse("wrong-role", "by.role", what, f"one of: {whose}")
    others = makes if command.by.role in asks else asks
    if any(s.person == command.by.person and s.role in others for s in raised.work.statements):
        what = f"{command.by.person} has spoken for the other side"
        raise refuse("wrong-person", "by.person", what, "each side is another person")
    if command.part == "risk-evaluation" and "request" not in parts:
        raise refuse("not-possible-now", "part", "the physician has not requested it")
    if command.part == "acceptance" and "risk-evaluation" not in parts:
        raise refuse("not-possible-now", "part", "the risks have not been evaluated")
    if any(s.part == command.part and s.role == command.by.role for s in raised.work.statements):
        raise refuse("already-answered", "part", f"{command.by.role} has given it already")
    draft.add(
        e.OutOfSpecificationStated(
            occurred_at=command.occurred_at,
            by=command.by,
            deviation=command.deviation,
            part=command.part,
            statement=command.statement,
            signatures=command.signatures,
        )
    )


def decide(draft: Draft, command: c.DecideDeviation) -> None:
    """The decision on what it is about: signed, with its reason, after the assessment."""
    raised = _worked_by(draft, command.deviation, command.by)
    if excursion.is_excursion(draft.net, raised) and _kind(draft, command.by.role) == "courier":
        what = "who carries a material does not decide whether it may be used"
        raise refuse("wrong-role", "by.role", what, "the manufacturer or the hospital decides")
    if raised.work.triaged_at is None:
        raise refuse("not-possible-now", "deviation", "it is not assessed yet", "triage it first")
    if raised.work.disposition is not None:
        raise refuse("already-answered", "deviation", "that has been decided already")
    _said("reason", command.reason)
    _signed(command)
    impact = raised.work.impact
    assert impact is not None
    unknown = [k for k in ("identity", "custody", "product", "patient") if
               getattr(impact, k) == "unknown"]  # fmt: skip
    if unknown and command.disposition not in ("discard", "recollect"):
        what = f"what it means for {', '.join(unknown)} is unknown: it blocks, it never passes"
        raise refuse("unknown-blocks", "disposition", what, "find out and triage it again")
    if impact.identity == "confirmed" and command.disposition not in ("discard", "recollect"):
        what = "the identity is lost: nothing of it may be used"
        raise refuse("not-possible-now", "disposition", what, "discard it, or collect again")
    if command.disposition == specification.SUPPLY:
        left = [LACKS[part] for part in supply.lacking(draft.net, raised)]
        if left:
            raise refuse("not-possible-now", "disposition", f"there is no {'; no '.join(left)}")
    elif command.disposition in specification.AS_IF_WITHIN and specification.only_by_supply(
        draft.net, draft.state, raised
    ):
        what = "the product is out of specification: it is not passed off as within it"
        todo = "supply out of specification, rework, collect again or discard"
        raise refuse("not-possible-now", "disposition", what, todo)
    draft.add(
        e.DeviationDecided(
            occurred_at=command.occurred_at,
            by=command.by,
            deviation=command.deviation,
            disposition=command.disposition,
            reason=command.reason,
            signatures=command.signatures,
        )
    )


# -- corrective action ---------------------------------------------------------------------------


def plan(draft: Draft, command: c.PlanAction) -> None:
    """A corrective action has an owner, a date, and a later date for the look at its effect.

    One that did not work is followed by another, also when the deviation has been closed since.
    """
    raised = _worked_by(draft, command.deviation, command.by, closed=True)
    if raised.closed_at is not None and unanswered(raised) is None:
        raise refuse("already-answered", "deviation", "it is closed already")
    _said("what", command.what)
    if command.owner not in draft.state.parties:
        raise refuse("unknown-name", "owner", f"{command.owner!r} has no part in this journey")
    for field in ("due", "check_by"):
        if getattr(command, field).utcoffset() is None:
            raise refuse("bad-time", field, f"{field} has no zone", "send it with its zone")
    if not command.occurred_at < command.due < command.check_by:
        what = "it is due after now, and its effect is looked at later than it is due"
        raise refuse("bad-value", "due", what)
    draft.add(
        e.ActionPlanned(
            occurred_at=command.occurred_at,
            by=command.by,
            deviation=command.deviation,
            action=f"{command.deviation}.A{len(raised.work.actions) + 1}",
            what=command.what,
            owner=command.owner,
            organisation=draft.state.parties[command.owner],
            due=command.due,
            check_by=command.check_by,
        )
    )


def _action(draft: Draft, deviation: str, name: str, by: c.Actor) -> Action:
    gate.takes_part(draft.state, by)
    raised = draft.state.deviations.get(deviation)
    if raised is None:
        raise refuse("unknown-name", "deviation", f"no deviation {deviation!r}")
    for action in raised.work.actions:
        if action.action == name:
            return action
    raise refuse("unknown-name", "action", f"no action {name!r}")


def finish_action(draft: Draft, command: c.FinishAction) -> None:
    """Only its owner says that it was carried out."""
    action = _action(draft, command.deviation, command.action, command.by)
    gate.may_act(draft.state, command.by, action.owner)
    if action.finished_at is not None:
        raise refuse("already-answered", "action", "it is finished already")
    _said("result", command.result)
    draft.add(
        e.ActionFinished(
            occurred_at=command.occurred_at,
            by=command.by,
            deviation=command.deviation,
            action=command.action,
            result=command.result,
        )
    )


def check_action(draft: Draft, command: c.CheckAction) -> None:
    """Whether it worked is said by another person, with evidence; this may be after closing."""
    action = _action(draft, command.deviation, command.action, command.by)
    if action.finished_at is None:
        raise refuse("not-possible-now", "action", "it is not finished yet")
    if action.checked_at is not None:
        raise refuse("already-answered", "action", "it has been checked already")
    if action.finished_by == command.by.person:
        what = f"{command.by.person} carried it out: another person looks whether it worked"
        raise refuse("wrong-person", "by.person", what)
    _said("evidence", command.evidence)
    _signed(command)
    draft.add(
        e.ActionChecked(
            occurred_at=command.occurred_at,
            by=command.by,
            deviation=command.deviation,
            action=command.action,
            effective=command.effective,
            evidence=command.evidence,
            signatures=command.signatures,
        )
    )


def unanswered(raised: Raised) -> Action | None:
    """Return the action whose look found that it did not work, if no other is under way for it."""
    looks = []
    for n, action in enumerate(raised.work.actions):
        if action.checked_at is None:
            return None
        looks.append((action.checked_at, n))
    if not looks:
        return None
    last = raised.work.actions[max(looks)[1]]  # of two at one moment: the one planned later
    return None if last.effective else last


def may_close(raised: Raised) -> None:
    """Raise Refused unless what its severity asks for has been done."""
    found = in_the_way(raised)
    if found:
        raise refuse("not-possible-now", "deviation", "; ".join(found), "finish the work first")


def in_the_way(raised: Raised) -> tuple[str, ...]:
    """Return why a deviation cannot be closed yet: a minor one needs its conclusion only."""
    work, found = raised.work, []
    if raised.severity != "minor" and work.triaged_at is None:
        found.append("it is not assessed by the criteria")
    if raised.severity != "minor" and work.cause is None:
        found.append("its cause is not named")
    if raised.severity != "minor" and work.disposition is None:
        found.append("nothing is decided on what it is about")
    if work.statements and work.disposition is None and "decided" not in " ".join(found):
        found.append("a supply out of specification was asked for and not decided")
    left = [a.action for a in work.actions if a.finished_at is None]
    if left:
        found.append(f"{', '.join(left)} is not finished")
    failed = unanswered(raised)
    if failed is not None:
        found.append(f"{failed.action} did not work, and nothing follows it")
    return tuple(found)
