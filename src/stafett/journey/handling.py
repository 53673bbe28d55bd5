"""What can be said at any time: loss, expiry, interrupts, deviations, corrections, notices."""

from __future__ import annotations

from stafett.journey import assess, clock, deviation, excursion, gate, silence
from stafett.journey import check as checks
from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.draft import Draft
from stafett.journey.refusal import refuse
from stafett.journey.state import Answered, State
from stafett.journey.working import field_fault, is_news, stop
from stafett.protocol.model import Handoff
from stafett.protocol.net import IDLE, NONE, PRESENT, Move


def report_lost(draft: Draft, command: c.ReportLost) -> None:
    """A material is lost: raised, and the protocol's way for it is taken."""
    gate.takes_part(draft.state, command.by)
    _reasoned(command.reason)
    lot = _present(draft, command.material)
    draft.need(Move("lose", command.material), "material")
    draft.flag_time(command.material)
    draft.deviate(
        deviation.MATERIAL_LOST, command.material, command.reason, detected=_where(draft, lot)
    )
    draft.add(
        e.LossReported(
            occurred_at=command.occurred_at,
            by=command.by,
            material=command.material,
            lot=lot,
            reason=command.reason,
        )
    )


def report_expired(draft: Draft, command: c.ReportExpired) -> None:
    """A material has outlived its shelf life: raised, and the protocol's way for it is taken."""
    if command.by.role != c.WATCH:
        gate.takes_part(draft.state, command.by)
    lot = _present(draft, command.material)
    expires = clock.expiry(draft.net, draft.state, command.material)
    if expires is None or draft.known_at <= expires:
        what = f"{command.material} has not expired"
        when = f"it expires at {expires.isoformat()}" if expires else "no clock runs for it"
        raise refuse("not-possible-now", "material", what, when)
    code = clock.expiry_code(draft.net, command.material)
    move = Move("expire", command.material)
    if not is_news(draft, command.material):
        raise refuse("already-answered", "material", "its expiry has been raised already")
    life = draft.net.protocol.materials[command.material].shelf_life
    draft.deviate(
        code,
        command.material,
        f"expired at {expires.isoformat()}"
        + (f" ({life.at_most} from {life.counts_from})" if life else ""),
        detected=_where(draft, lot),
    )
    if draft.permits(move):
        draft.add(
            e.ExpiryReported(
                occurred_at=command.occurred_at,
                by=command.by,
                material=command.material,
                lot=lot,
                expired_at=expires,
            )
        )


def _present(draft: Draft, material: str) -> str:
    if material not in draft.net.material:
        raise refuse(
            "unknown-name",
            "material",
            f"{material!r} is no material of this protocol",
            f"one of: {', '.join(draft.net.materials)}",
        )
    held = draft.state.marking.materials[draft.net.material[material]]
    if held.state not in PRESENT:
        raise refuse("not-possible-now", "material", f"there is no {material} now")
    return draft.state.current[material]


def _where(draft: Draft, lot: str) -> str:
    """Return the activity in which `lot` was last handled, as far as the record knows."""
    state, net = draft.state, draft.net
    material = state.lots[lot].material
    touching = [
        (at, name)
        for name, at in (*state.begun.items(), *state.done.items())
        if name in net.index and material in excursion.handled(net, name)
    ]
    return max(touching)[1] if touching else state.lots[lot].made_in


def interrupt(draft: Draft, command: c.Interrupt) -> None:
    """Consent withdrawn, death, ...: the protocol's way for it is taken."""
    gate.takes_part(draft.state, command.by)
    _reasoned(command.reason)
    if command.interrupt not in draft.net.protocol.interrupts:
        names = ", ".join(draft.net.protocol.interrupts)
        what = f"{command.interrupt!r} is no interrupt of this protocol"
        raise refuse("unknown-name", "interrupt", what, f"one of: {names}")
    draft.need(Move("interrupt", command.interrupt), "interrupt")
    draft.flag_time("")
    draft.add(
        e.Interrupted(
            occurred_at=command.occurred_at,
            by=command.by,
            interrupt=command.interrupt,
            reason=command.reason,
        )
    )


# -- deviations ----------------------------------------------------------------------------------


def raise_deviation(draft: Draft, command: c.RaiseDeviation) -> None:
    """A person reports a departure; a critical one stops the activity that it is about."""
    net, state = draft.net, draft.state
    if command.by.role != c.WATCH:
        gate.takes_part(state, command.by)
    known = deviation.catalogue(net.protocol)
    if command.code not in known:
        names = ", ".join(sorted(known))
        raise refuse("bad-value", "code", f"no deviation {command.code!r}", f"one of: {names}")
    for field in ("about", "detected", "originated"):
        name = getattr(command, field)
        places = (*net.index, *net.material) if field == "about" else tuple(net.index)
        if name is not None and name not in places:
            raise refuse("unknown-name", field, f"{name!r} is not in this protocol")
    draft.flag_time(command.about)
    detected = command.detected or (command.about if command.about in net.index else None)
    name = draft.deviate(
        command.code,
        command.about,
        command.note,
        detected=detected,
        originated=command.originated,
    )
    if command.by.role == c.WATCH and known[command.code].kind == "timing":
        silence.taken_over(draft, command.about, name)
    if known[command.code].severity == "critical" and command.about in net.index:
        _stop_by_hand(draft, command.about, name)


def _stop_by_hand(draft: Draft, activity: str, name: str) -> None:
    if draft.state.marking.outcome != NONE:
        return
    side: c.WorkSide = "step"
    if activity in draft.net.protocol.handoffs:
        idle = draft.net.state(draft.state.marking, activity) == IDLE
        side = "release" if idle else "accept"
    stop(draft, activity, side, name)


def acknowledge(draft: Draft, command: c.AcknowledgeDeviation) -> None:
    """Somebody takes care of it."""
    gate.takes_part(draft.state, command.by)
    raised = draft.state.deviations.get(command.deviation)
    if raised is None:
        raise refuse("unknown-name", "deviation", f"no deviation {command.deviation!r}")
    if raised.acknowledged_at is not None or raised.closed_at is not None:
        raise refuse("already-answered", "deviation", "it has been acknowledged already")
    draft.add(
        e.DeviationAcknowledged(
            occurred_at=command.occurred_at, by=command.by, deviation=command.deviation
        )
    )


def close(draft: Draft, command: c.CloseDeviation) -> None:
    """The assessment of a deviation is done; what it stopped stays stopped until decided."""
    gate.takes_part(draft.state, command.by)
    raised = draft.state.deviations.get(command.deviation)
    if raised is None:
        raise refuse("unknown-name", "deviation", f"no deviation {command.deviation!r}")
    if raised.closed_at is not None:
        raise refuse("already-answered", "deviation", "it is closed already")
    closers = assess.closers(draft.net, draft.state, raised)
    if command.by.role not in closers:
        what = f"{raised.deviation} is not closed by {command.by.role}"
        raise refuse("wrong-role", "by.role", what, f"one of: {', '.join(closers)}")
    assess.may_close(raised)
    if not command.conclusion.strip():
        raise refuse("reason-missing", "conclusion", "an assessment has a conclusion", "say it")
    if command.originated is not None and command.originated not in draft.net.index:
        raise refuse("unknown-name", "originated", f"{command.originated!r} is no activity")
    draft.add(
        e.DeviationClosed(
            occurred_at=command.occurred_at,
            by=command.by,
            deviation=command.deviation,
            conclusion=command.conclusion,
            originated=command.originated,
            signatures=command.signatures,
        )
    )


# -- corrections ---------------------------------------------------------------------------------


def correct(draft: Draft, command: c.Correct) -> None:
    """Correct an answer, a document's field or a deviation's note: a new event, never an old one.

    An identifier cannot be corrected, and nothing that was stopped goes on by a correction.
    """
    gate.takes_part(draft.state, command.by)
    _reasoned(command.reason)
    state = draft.state
    if not 1 <= command.position <= state.position:
        there = f"this journey has 1 to {state.position}"
        raise refuse("unknown-name", "position", f"there is no event {command.position}", there)
    found = _answer_at(state, command.position)
    if found is not None:
        _correct_answer(draft, command, *found)
        return
    for key, sheet in state.sheets.items():
        for name, entry in sheet.documents.items():
            if entry.position == command.position and command.field in entry.fields:
                gate.may_act(state, command.by, _desk(draft, key).role)
                if not isinstance(command.value, str) or not command.value.strip():
                    raise refuse("bad-value", "value", "a document's field is filled in text")
                field = draft.net.protocol.documents[name].typed.get(command.field)
                if field is not None and (wrong := field_fault(field, command.value)) is not None:
                    raise refuse("bad-value", "value", *wrong)
                _corrected(draft, command, entry.fields[command.field])
                return
    for raised in state.deviations.values():
        if raised.position == command.position and command.field in ("note", "originated"):
            origin = command.field == "originated"
            if not isinstance(command.value, str) or (
                origin and command.value not in draft.net.index
            ):
                raise refuse(
                    "bad-value", "value", f"{command.value!r} cannot be its {command.field}"
                )
            _corrected(draft, command, getattr(raised, command.field))
            return
    raise refuse(
        "not-correctable",
        "position",
        f"event {command.position} has no {command.field!r} that can be corrected",
        "raise a deviation instead",
    )


def _desk(draft: Draft, key: str) -> gate.Desk:
    """Return the desk whose sheet is kept under `key`."""
    activity, side, about = (*key.split(":", 2), "")[:3]
    return gate.desk(draft.net, draft.state, activity, side, about)  # type: ignore[arg-type]


def _answer_at(state: State, position: int) -> tuple[str, str, Answered] | None:
    for key, sheet in state.sheets.items():
        for check, answers in sheet.answers.items():
            for answer in answers:
                if answer.position == position:
                    return key, check, answer
    return None


def _correct_answer(draft: Draft, command: c.Correct, key: str, name: str, old: Answered) -> None:
    place = _desk(draft, key)
    activity, about = place.activity, place.about
    check = place.check(name)
    assert check is not None
    gate.may_act(draft.state, command.by, place.role)
    if check.kind == "scan" or command.field != "value":
        raise refuse(
            "not-correctable",
            "position",
            "an identifier is never corrected in place",
            "raise a deviation; what is wrong is made anew",
        )
    if old.result == "unknown":
        raise refuse("not-correctable", "position", f"{name} is unknown", "answer it again")
    if old.result == "fail" and check.critical:
        raise refuse("not-correctable", "position", "a stop is lifted by a decision only")
    verdict = checks.evaluate(
        draft.net,
        draft.state,
        check,
        c.Answer(
            occurred_at=command.occurred_at,
            by=command.by,
            activity=activity,
            side=place.side,
            about=about,
            check=name,
            value=command.value,
            method=old.method,
        ),
    )
    _corrected(draft, command, old.value, verdict)
    if verdict.result != "pass" and verdict.code is not None and old.result == "pass":
        raised = draft.deviate(
            verdict.code,
            activity,
            f"{name}, corrected: {verdict.why}",
            severity="critical" if check.critical else None,
            detected=activity,
            check=name,
        )
        if check.critical:
            stop(draft, activity, place.side, raised, name)


def _corrected(
    draft: Draft, command: c.Correct, old: c.Value, verdict: checks.Verdict | None = None
) -> None:
    draft.add(
        e.Corrected(
            occurred_at=command.occurred_at,
            by=command.by,
            position=command.position,
            field=command.field,
            old=old,
            new=command.value,
            reason=command.reason,
            result=None if verdict is None else verdict.result,
        )
    )


# -- notices -------------------------------------------------------------------------------------


def notify(draft: Draft, command: c.Notify) -> None:
    """Send an on-demand notification; every answer it asks for is given."""
    net, state = draft.net, draft.state
    handoff = net.protocol.handoffs.get(command.handoff)
    if handoff is None or not handoff.on_demand:
        raise refuse("unknown-name", "handoff", f"{command.handoff!r} is no notification")
    gate.takes_part(state, command.by)
    if handoff.giver != "any":
        gate.may_act(state, command.by, gate.acting(state, handoff.giver))
    receiver = gate.acting(state, handoff.receiver)
    if receiver == "any":
        receiver = command.receiver or ""
        if receiver not in net.protocol.roles:
            raise refuse("unknown-name", "receiver", f"no role {receiver!r}", "say who is told")
    _answers(draft, command, handoff)
    for one in command.signatures:
        gate.valid(handoff.release.sign, one)
    if not any(s.person == command.by.person for s in command.signatures):
        raise refuse("signature", "signatures", f"{command.by.person} has not signed", "sign it")
    draft.flag_time("")
    draft.add(
        e.Notified(
            occurred_at=command.occurred_at,
            by=command.by,
            notice=f"N{len(state.notices) + 1}",
            handoff=command.handoff,
            giver=command.by.role,
            receiver=receiver,
            answers=command.answers,
            note=command.note,
            signatures=command.signatures,
        )
    )


def _answers(draft: Draft, command: c.Notify, handoff: Handoff) -> None:
    wanted = {check.id: check for check in handoff.release.checks}
    for name in command.answers:
        if name not in wanted:
            raise refuse("unknown-name", f"answers.{name}", f"no check {name!r}")
    for name, check in wanted.items():
        if name not in command.answers:
            raise refuse("check-missing", f"answers.{name}", f"{name} is not answered")
        if check.kind == "scan":
            continue
        checks.evaluate(
            draft.net,
            draft.state,
            check,
            c.Answer(
                occurred_at=command.occurred_at,
                by=command.by,
                activity=command.handoff,
                side="release",
                check=name,
                value=command.answers[name],
                method="seen",
            ),
        )


def acknowledge_notice(draft: Draft, command: c.AcknowledgeNotice) -> None:
    """The receiver has read it."""
    notice = draft.state.notices.get(command.notice)
    if notice is None:
        raise refuse("unknown-name", "notice", f"no notice {command.notice!r}")
    gate.may_act(draft.state, command.by, notice.receiver)
    if notice.acknowledged_at is not None:
        raise refuse("already-answered", "notice", "it has been read already")
    draft.add(
        e.NoticeAcknowledged(
            occurred_at=command.occurred_at,
            by=command.by,
            notice=command.notice,
            signatures=command.signatures,
        )
    )


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise refuse("reason-missing", "reason", "the reason is empty", "say why")
