"""What a command leads to: events, or a refusal with its reasons. Pure; changes nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stafett.journey import accountability, assess, handling, passing, silence, working
from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.clock import UNKEPT, is_aware, is_kept
from stafett.journey.draft import Draft
from stafett.journey.evolve import evolve
from stafett.journey.identifier import Unreadable, chain_of_identity, commitment, of_kind
from stafett.journey.refusal import Reason, Refusal, Refused, refuse
from stafett.journey.state import State
from stafett.protocol.net import NONE, Net

Handler = Callable[[Draft, Any], None]

HANDLERS: dict[type, Handler] = {
    c.Start: working.start,
    c.Answer: working.answer,
    c.Attach: working.attach,
    c.Sign: working.sign,
    c.Finish: working.finish,
    c.Release: passing.release,
    c.Receive: passing.receive,
    c.Decide: passing.take_decision,
    c.ReportLost: handling.report_lost,
    c.ReportExpired: handling.report_expired,
    c.ReportSilence: silence.report,
    c.Interrupt: handling.interrupt,
    c.RaiseDeviation: handling.raise_deviation,
    c.AcknowledgeDeviation: handling.acknowledge,
    c.CloseDeviation: handling.close,
    c.TriageDeviation: assess.triage,
    c.TakeImmediateAction: assess.act,
    c.NameCause: assess.name_cause,
    c.StateOutOfSpecification: assess.state_out_of_specification,
    c.DecideDeviation: assess.decide,
    c.PlanAction: assess.plan,
    c.FinishAction: assess.finish_action,
    c.CheckAction: assess.check_action,
    c.Correct: handling.correct,
    c.Notify: handling.notify,
    c.AcknowledgeNotice: handling.acknowledge_notice,
    c.OfferAccountability: accountability.offer,
    c.AnswerAccountability: accountability.answer,
    c.WithdrawAccountability: accountability.withdraw,
}

# What may still be said when a journey has its outcome.
AFTER_THE_END = (
    c.RaiseDeviation,
    c.AcknowledgeDeviation,
    c.CloseDeviation,
    c.TriageDeviation,
    c.TakeImmediateAction,
    c.NameCause,
    c.StateOutOfSpecification,
    c.DecideDeviation,
    c.PlanAction,
    c.FinishAction,
    c.CheckAction,
    c.Correct,
    c.Notify,
    c.AcknowledgeNotice,
)


def decide(net: Net, state: State | None, command: c.Command) -> tuple[e.Event, ...] | Refusal:
    """Return the events that `command` leads to in `state`, or why it is refused.

    The events are in order and belong together: all of them are recorded, or none. `state` is
    None for a journey that does not exist yet.
    """
    try:
        _times(command)
        if isinstance(command, c.OpenJourney):
            return _open(net, state, command)
        if state is None:
            raise refuse("not-open", "journey", "there is no such journey", "open it first")
        if state.marking.outcome != NONE and not isinstance(command, AFTER_THE_END):
            name = net.outcomes[state.marking.outcome]
            raise refuse("ended", "journey", f"the journey has ended as {name}")
        draft = Draft(net, state, command)
        HANDLERS[type(command)](draft, command)
        return tuple(draft.events)
    except Refused as refused:
        return refused.refusal


def _times(command: c.Command) -> None:
    for field in ("occurred_at", "recorded_at", "due", "check_by"):
        moment = getattr(command, field, None)
        if moment is not None and not is_aware(moment):
            raise refuse("bad-time", field, f"{field} has no zone", "send it with its zone")
        if moment is not None and not is_kept(moment):
            what = f"no record is about {moment.isoformat()}"
            raise refuse("bad-time", field, what, UNKEPT)


def _open(net: Net, state: State | None, command: c.OpenJourney) -> tuple[e.Event, ...]:
    if state is not None:
        raise refuse("already-open", "journey", f"journey {command.journey} is open already")
    reasons = list(_opening_faults(net, command))
    if reasons:
        raise Refused(Refusal(code="bad-value", reasons=tuple(reasons)))
    opened = e.JourneyOpened(
        occurred_at=command.occurred_at,
        by=command.by,
        journey=command.journey,
        coi=chain_of_identity(command.coi),
        patient=command.patient,
        protocol=command.protocol,
        version=command.version,
        product=command.product,
        parties=command.parties,
        identifiers={
            name: of_kind(net.protocol.identifiers[name], value)
            for name, value in command.identifiers.items()
        },
    )
    draft = Draft(net, evolve(net, None, opened), command)
    draft.flag_time("")
    return (opened, *draft.events)


def _opening_faults(net: Net, command: c.OpenJourney) -> list[Reason]:
    protocol = net.protocol
    faults = []
    if not command.journey.strip():
        faults.append(Reason("journey", "journey is empty", "fill it in"))
    try:
        commitment(command.patient)
    except Unreadable as error:
        faults.append(Reason("patient", error.what, error.todo))
    if (command.protocol, command.version) != (protocol.protocol, protocol.version):
        what = f"this is {protocol.protocol} {protocol.version}"
        faults.append(Reason("version", what, "open it under the version that is in force"))
    if command.product is not None and command.product not in protocol.products:
        known = ", ".join(protocol.products) or "none"
        faults.append(Reason("product", f"no product {command.product!r}", f"it knows: {known}"))
    for role in protocol.roles:
        if not command.parties.get(role, "").strip():
            faults.append(Reason(f"parties.{role}", f"nobody plays {role}", "name one"))
    for role in command.parties:
        if role not in protocol.roles:
            faults.append(Reason(f"parties.{role}", f"the protocol has no role {role!r}"))
    for name in command.identifiers:
        kind = protocol.identifiers.get(name)
        if kind is None or kind.of != "journey":
            faults.append(Reason(f"identifiers.{name}", f"{name!r} is no identifier of a journey"))
            continue
        try:
            of_kind(kind, command.identifiers[name])
        except Unreadable as error:
            faults.append(Reason(f"identifiers.{name}", error.what, error.todo))
    try:
        chain_of_identity(command.coi)
    except Unreadable as error:
        faults.append(Reason("coi", error.what, error.todo))
    if not faults and command.parties.get(command.by.role) != command.by.organisation:
        what = f"{command.by.organisation} does not play {command.by.role} in this journey"
        faults.append(Reason("by.role", what))
    return faults
