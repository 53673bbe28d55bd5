"""Work inside one role: starting a step, answering checks, attaching documents, finishing."""

from __future__ import annotations

import re

from stafett.journey import clock, excursion, gate, specification
from stafett.journey import command as c
from stafett.journey import event as e
from stafett.journey.check import Verdict, evaluate, moment, shown
from stafett.journey.draft import Draft
from stafett.journey.refusal import Reason, Refusal, Refused, refuse
from stafett.journey.state import Sheet, sheet_key
from stafett.protocol.model import Check, Field, Handoff, Step
from stafett.protocol.net import OPEN, Move, Pending

_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
MAX_FIELD = 2_000


def start(draft: Draft, command: c.Start) -> None:
    """Begin a step: order, materials, prerequisites, shelf lives and conditions permit it."""
    step = _step(draft, command.step)
    gate.may_act(draft.state, command.by, gate.acting(draft.state, step.role))
    same_round(draft, command.step, command.round)
    draft.need(Move("start", command.step), "step")
    used = (*step.inputs, *step.packs, *step.packs.values(), *step.unpacks)
    fresh(draft, tuple(dict.fromkeys(used)))
    excursion.require_decided(draft.net, draft.state, command.step)
    specification.require(draft.net, draft.state, command.step)
    draft.flag_time(command.step)
    draft.add(
        e.StepStarted(
            occurred_at=command.occurred_at,
            by=command.by,
            step=command.step,
            round=draft.state.round(command.step),
        )
    )


def answer(draft: Draft, command: c.Answer) -> None:
    """Record an answer. Failing or unknown at a critical check, it stops the journey here."""
    place = gate.desk(draft.net, draft.state, command.activity, command.side, command.about)
    check = _open_check(draft, place, command)
    verdict = evaluate(draft.net, draft.state, check, command)
    draft.flag_time(command.activity)
    told = moment(verdict.value) if check.kind == "time" else None
    if told is not None and told > command.occurred_at + clock.TOLERANCE:
        what = f"{check.id} is said to be later than the moment it is told"
        draft.flag(command.activity, clock.Bound(what, told))
    draft.add(
        e.CheckAnswered(
            occurred_at=command.occurred_at,
            by=command.by,
            activity=command.activity,
            side=command.side,
            about=command.about,
            round=draft.state.round(command.activity),
            check=check.id,
            value=verdict.value,
            unit=check.unit,
            method=command.method,
            result=verdict.result,
            critical=check.critical,
            expected=verdict.expected,
            why=verdict.why,
        )
    )
    if verdict.binds is not None and check.records is not None and check.by is not None:
        draft.add(
            e.IdentifierBound(
                occurred_at=command.occurred_at,
                by=command.by,
                activity=command.activity,
                side=command.side,
                about=command.about,
                material=check.records,
                identifier=check.by,
                value=verdict.binds,
            )
        )
    if verdict.code is not None and verdict.result != "pass":
        _departure(draft, command, check, verdict, verdict.code)


def _open_check(draft: Draft, place: gate.Desk, command: c.Answer) -> Check:
    """Return the check that is answered; raise Refused if this person may not answer it now."""
    check = place.check(command.check)
    if check is None:
        names = ", ".join(one.id for one in place.checks) or "none"
        raise refuse("unknown-name", "check", f"no check {command.check!r}", f"it has: {names}")
    open_desk(draft, place, command.by, command.round)
    sheet = draft.state.sheet(place.activity, place.side, place.about)
    if check.when == "after":
        before = [
            m
            for m in gate.missing(draft.net, place, sheet, None)
            if _is_before(place, m.reason.field)
        ]
        if before:
            reasons = tuple(m.reason for m in before)
            raise Refused(Refusal(code=before[0].code, reasons=reasons))
    standing = [a for a in sheet.standing(check.id) if a.result != "unknown"]
    if gate.stale(draft.net, place, check, sheet, command.occurred_at):
        counts = gate.fresh(draft.net, check, sheet, command.occurred_at)
        standing = [a for a in standing if a.person in counts]
    if any(a.person == command.by.person for a in standing):
        todo = "another person answers it" if len(standing) < check.people else "correct it"
        raise refuse(
            "already-answered", "check", f"{command.by.person} has answered {check.id}", todo
        )
    if len({a.person for a in standing}) >= check.people:
        raise refuse("already-answered", "check", f"{check.id} is answered", "correct it")
    return check


def _is_before(place: gate.Desk, name: str) -> bool:
    check = place.check(name)
    return check is not None and check.when == "before"


def _departure(draft: Draft, command: c.Answer, check: Check, verdict: Verdict, code: str) -> None:
    """Raise the deviation that an answer is; stop what is critical."""
    # The seal was broken somewhere before it was seen: where, only an investigation can say.
    name = draft.deviate(
        code,
        check.identifies or check.records or command.activity,
        f"{check.id}: {verdict.why}",
        severity="critical" if check.critical else None,
        detected=command.activity,
        check=check.id,
    )
    if check.critical:
        stop(draft, command.activity, command.side, name, check.id)


def stop(
    draft: Draft, activity: str, side: c.WorkSide, name: str, check: str | None = None
) -> None:
    """Stop an activity if the protocol has a way to; without one its checks block it anyway."""
    if draft.permits(Move("stop", activity)):
        draft.add(
            e.Stopped(
                occurred_at=draft.command.occurred_at,
                by=draft.command.by,
                activity=activity,
                side=side,
                round=draft.state.round(activity),
                deviation=name,
                check=check,
            )
        )


def attach(draft: Draft, command: c.Attach) -> None:
    """Attach a document; each of its required fields must be filled in."""
    place = gate.desk(draft.net, draft.state, command.activity, command.side, command.about)
    if command.document not in place.documents:
        names = ", ".join(place.documents) or "none"
        raise refuse(
            "unknown-name", "document", f"no document {command.document!r} here", f"it has: {names}"
        )
    open_desk(draft, place, command.by, command.round)
    faults = _document_faults(draft, command)
    if faults:
        raise Refused(Refusal(code="bad-value", reasons=tuple(faults)))
    draft.flag_time(command.activity)
    draft.add(
        e.DocumentAttached(
            occurred_at=command.occurred_at,
            by=command.by,
            activity=command.activity,
            side=command.side,
            about=command.about,
            round=draft.state.round(command.activity),
            document=command.document,
            sha256=command.sha256,
            fields=command.fields,
        )
    )


def _document_faults(draft: Draft, command: c.Attach) -> list[Reason]:
    faults = []
    if not _SHA256.match(command.sha256):
        faults.append(Reason("sha256", "not 64 lower-case hexadecimal digits", "hash the file"))
    wanted = draft.net.protocol.documents[command.document].typed
    for name in wanted:
        if not command.fields.get(name, "").strip():
            faults.append(Reason(f"fields.{name}", f"{name} is empty", "fill it in"))
    for name, value in command.fields.items():
        if name not in wanted:
            known = ", ".join(wanted) or "none"
            what = f"the document has no field {name!r}"
            faults.append(Reason(f"fields.{name}", what, f"it has: {known}"))
        elif value.strip() and (wrong := field_fault(wanted[name], value)) is not None:
            faults.append(Reason(f"fields.{name}", *wrong))
    return faults


def field_fault(field: Field, value: str) -> tuple[str, str] | None:
    """Say what is wrong with `value` in a document's field, and what to do; None if nothing is."""
    if len(value) > MAX_FIELD:
        return f"longer than {MAX_FIELD} characters", "shorten it"
    match field.kind:
        case "time" if moment(value) is None:
            return f"{shown(value)} is no time with its zone", "like 2026-11-23T08:30+01:00"
        case "choice" if value not in field.choices:
            return f"{shown(value)} is no choice", f"one of: {', '.join(field.choices)}"
        case "number":
            return _number_fault(field, value)
    return None


def _number_fault(field: Field, value: str) -> tuple[str, str] | None:
    if not _NUMBER.fullmatch(value):
        return f"{shown(value)} is not a number", f"in {field.unit}, like 12.5"
    number = float(value)
    if field.min is not None and number < field.min:
        return f"{value} is below {field.min:g} {field.unit}", "look again"
    if field.max is not None and number > field.max:
        return f"{value} is above {field.max:g} {field.unit}", "look again"
    return None


def sign(draft: Draft, command: c.Sign) -> None:
    """Take the signature of one of several people; what is signed no longer changes."""
    place = gate.desk(draft.net, draft.state, command.activity, command.side, command.about)
    open_desk(draft, place, command.by, command.round, signing=True)
    if place.sign is None:
        raise refuse("signature", "signature", f"{place.activity} is not signed")
    sheet = draft.state.sheet(place.activity, place.side, place.about)
    gate.require(draft.net, place, sheet, command.occurred_at)
    gate.valid(place.sign, command.signature)
    if command.signature.person != command.by.person:
        raise refuse("signature", "signature.person", "each person signs for themselves")
    if any(s.person == command.by.person for s in sheet.signatures):
        raise refuse("signature", "signature.person", f"{command.by.person} has signed already")
    draft.flag_time(command.activity)
    draft.add(
        e.Signed(
            occurred_at=command.occurred_at,
            by=command.by,
            activity=command.activity,
            side=command.side,
            about=command.about,
            round=draft.state.round(command.activity),
            signature=command.signature,
        )
    )


def finish(draft: Draft, command: c.Finish) -> None:
    """End a step: everything is answered, attached and signed."""
    step = _step(draft, command.step)
    place = gate.desk(draft.net, draft.state, command.step, "step")
    gate.may_act(draft.state, command.by, place.role)
    same_round(draft, command.step, command.round)
    results = draft.net.results(command.step)
    if command.result not in results:
        todo = f"one of: {', '.join(results)}"
        raise refuse("bad-value", "result", f"no result {command.result!r}", todo)
    draft.need(Move("finish", command.step, result=command.result), "step")
    sheet = draft.state.sheet(command.step, "step")
    gate.require(draft.net, place, sheet, command.occurred_at)
    denied = specification.denies(step, sheet, command.result)
    if denied is not None:
        raise Refused(Refusal(code="not-possible-now", reasons=(denied,)))
    result = step.results.get(command.result)
    if specification.releases(step, command.result):
        excursion.require_decided(draft.net, draft.state, command.step)
        specification.require(draft.net, draft.state, command.step)
    gate.signatures(place, sheet, command.by, command.signatures, frozenset())
    draft.flag_time(command.step)
    names = [*draft.late(command.step), *_outlived(draft, step, command.step)]
    # Raised after the work had begun: what was done is recorded, and that it was in doubt.
    names += [d.deviation for d in excursion.doubts(draft.net, draft.state, command.step)]
    names += [d.deviation for d in specification.doubts(draft.net, draft.state, command.step)]
    if result is not None and result.deviation is not None:
        same = specification.found(step, sheet, draft.state, command.step, result.deviation)
        names += same  # an answer has raised it: one finding is one deviation
    if result is not None and result.deviation is not None and not same:
        names.append(
            draft.deviate(
                result.deviation,
                command.step,
                f"{command.step} ended as {command.result}",
                detected=command.step,
            )
        )
    names += _declared(draft, sheet_key(command.step, "step"), place)
    state = draft.state
    draft.add(
        e.StepFinished(
            occurred_at=command.occurred_at,
            by=command.by,
            step=command.step,
            round=state.round(command.step),
            result=command.result,
            signatures=command.signatures,
            inputs=tuple(state.current[m] for m in step.inputs if m in state.current),
            deviations=tuple(dict.fromkeys(names)),
        )
    )


def _outlived(draft: Draft, step: Step, name: str) -> list[str]:
    """Raise a deviation for what outlived its shelf life during the step: it did happen."""
    at = draft.command.occurred_at
    found = []
    for material in step.inputs:
        expires = clock.expiry(draft.net, draft.state, material)
        if expires is not None and at > expires:
            found.append(
                draft.deviate(
                    clock.expiry_code(draft.net, material),
                    material,
                    f"{name} ended after {material} expired at {expires.isoformat()}",
                    detected=name,
                    originated=name,
                )
            )
    return found


def _declared(draft: Draft, key: str, place: gate.Desk) -> list[str]:
    """Return the open deviations that this activity's own failed checks raised."""
    sheet = draft.state.sheets.get(key, Sheet())
    failed = set(gate.failed(place, sheet))
    return [
        d.deviation
        for d in draft.state.open_deviations()
        if d.detected == place.activity and d.check in failed
    ]


# -- what several of them ask --------------------------------------------------------------------


def _step(draft: Draft, name: str) -> Step:
    step = draft.net.protocol.steps.get(name)
    if step is None:
        known = ", ".join(n for n, s in draft.net.protocol.steps.items() if not s.on_demand)
        what = f"{name!r} is no step of this protocol"
        raise refuse("unknown-name", "step", what, f"one of: {known}")
    if step.on_demand:
        raise refuse("not-possible-now", "step", f"{name} is a decision", "decide it")
    return step


def same_round(draft: Draft, activity: str, given: int | None) -> None:
    """Raise Refused if a station speaks of a round that has been abandoned since."""
    now = draft.state.round(activity)
    if given is not None and given != now:
        raise refuse(
            "stale-input",
            "round",
            f"{activity} is in round {now}, this is for round {given}",
            "look at the station again",
        )


def open_desk(
    draft: Draft, place: gate.Desk, by: c.Actor, given: int | None, *, signing: bool = False
) -> None:
    """Raise Refused unless `by` may work at `place` now."""
    state, net = draft.state, draft.net
    gate.may_act(state, by, place.role)
    same_round(draft, place.activity, given)
    if place.side == "release":
        draft.need(Move("release", place.activity), "activity")
    elif _on_demand(draft, place.activity):
        pending = Pending(net.index[place.activity], place.about)
        if pending not in state.marking.pending:
            what = f"no decision of {place.activity} about {place.about!r} is pending"
            raise refuse("not-possible-now", "about", what)
    elif net.state(state.marking, place.activity) != OPEN:
        what = f"{place.activity} is not under way"
        todo = "it is released first" if place.side == "accept" else "start it first"
        raise refuse("not-possible-now", "activity", what, todo)
    if place.side == "accept" and by.person in gate.givers(net, state, place.activity):
        raise gate.not_both(by.person, place.activity)
    if not signing and state.sheet(place.activity, place.side, place.about).signatures:
        raise refuse("not-possible-now", "activity", "what is signed no longer changes")


def _on_demand(draft: Draft, name: str) -> bool:
    step = draft.net.protocol.steps.get(name)
    return step is not None and step.on_demand


def fresh(draft: Draft, materials: tuple[str, ...]) -> None:
    """Raise Refused if one of `materials` has expired; the refusal says to report it."""
    at = draft.command.occurred_at
    reasons, reports = [], []
    for material in materials:
        expires = clock.expiry(draft.net, draft.state, material)
        if expires is not None and at > expires:
            what = f"{material} expired at {expires.isoformat()}"
            reasons.append(Reason(material, what, "it cannot be used any more"))
            if draft.known_at > expires and is_news(draft, material):
                by, known = draft.command.by, draft.known_at
                reports.append(c.ReportExpired(occurred_at=known, by=by, material=material))
    if reasons:
        raise Refused(Refusal(code="expired", reasons=tuple(reasons), then=tuple(reports)))


def is_news(draft: Draft, material: str) -> bool:
    """Say whether a report that `material` has expired would tell the record anything."""
    code = clock.expiry_code(draft.net, material)
    raised = any(d.code == code for d in draft.state.open_deviations(material))
    return not raised or draft.permits(Move("expire", material))


def carried(draft: Draft, handoff: Handoff) -> tuple[str, ...]:
    """Return what a handoff moves now, contents included."""
    return draft.net.carried(draft.state.marking, handoff)
