"""The next state, given an event. Never raises on an event that `decide` made.

Events that are moves take the protocol's marking with them through `Net.after`, so the journey and
the proof cannot disagree about what a move does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from stafett.journey import case
from stafett.journey import event as e
from stafett.journey.raised import Acknowledged, Closed, Raised
from stafett.journey.state import (
    EMPTY,
    PATIENT,
    Afresh,
    Ahead,
    Answered,
    Attached,
    Carried,
    Ended,
    Lot,
    Notice,
    Offer,
    Sheet,
    Spell,
    State,
    awaited_key,
    sheet_key,
)
from stafett.protocol.net import DONE, IDLE, OPEN, Move, Net

replace = msgspec.structs.replace


def replay(net: Net, events: Iterable[e.Event]) -> State | None:
    """Return the state after `events`, from the journey's first one on; None if there are none."""
    state: State | None = None
    for event in events:
        state = evolve(net, state, event)
    return state


def evolve(net: Net, state: State | None, event: e.Event) -> State:
    """Return the state after `event`; only JourneyOpened may come without a state."""
    if state is None:
        if not isinstance(event, e.JourneyOpened):
            raise ValueError(f"the first event of a journey is JourneyOpened, not {event!r}")
        return _opened(net, event)
    state = _apply(net, state, event)
    latest = max(state.latest_at, event.occurred_at)
    return replace(state, position=state.position + 1, latest_at=latest)


def move_of(event: e.Event) -> Move | None:
    """Return the protocol's move that `event` is, if it is one."""
    match event:
        case e.StepStarted():
            return Move("start", event.step)
        case e.StepFinished():
            return Move("finish", event.step, result=event.result)
        case e.Released():
            return Move("release", event.handoff)
        case e.Accepted():
            return Move("accept", event.handoff)
        case e.Quarantined():
            return Move("quarantine", event.handoff)
        case e.Refused():
            return Move("refuse", event.handoff)
        case e.Stopped():
            return Move("stop", event.activity)
        case e.Decided():
            return Move("decide", event.decision, event.about, event.result)
        case e.LossReported():
            return Move("lose", event.material)
        case e.ExpiryReported():
            return Move("expire", event.material)
        case e.Interrupted():
            return Move("interrupt", event.interrupt)
        case _:
            return None


def _opened(net: Net, event: e.JourneyOpened) -> State:
    owner = net.protocol.owner
    spell = Spell(role=owner, organisation=event.parties[owner], since=event.occurred_at)
    return State(
        journey=event.journey,
        coi=event.coi,
        patient=event.patient,
        protocol=event.protocol,
        version=event.version,
        product=event.product,
        parties=event.parties,
        opened_at=event.occurred_at,
        identifiers=event.identifiers,
        marking=net.initial(),
        accountability=(spell,),
        position=1,
        latest_at=event.occurred_at,
    )


def _apply(net: Net, state: State, event: e.Event) -> State:
    move = move_of(event)
    if move is not None:
        state = _moved(net, state, move, _happened(state, event.occurred_at))
    change = _CHANGES.get(type(event))
    return state if change is None else change(net, state, event)


def _happened(state: State, said: datetime) -> datetime:
    """Return from when on clocks run for what is said to have happened at `said`.

    Never from the future: by a station whose clock is a month ahead, a bag would keep a month more.
    """
    ahead = state.ahead
    return ahead.recorded if ahead is not None and ahead.said == said else said


def _flagged(net: Net, state: State, event: e.TimelineFlagged) -> State:
    ahead = state.ahead
    if event.bound < event.occurred_at:
        ahead = Ahead(said=event.occurred_at, recorded=event.bound)
    return replace(state, flags=state.flags + 1, ahead=ahead)


def _moved(net: Net, state: State, move: Move, at: datetime) -> State:
    before, after = state.marking, net.after(state.marking, move)
    begun, done = dict(state.begun), dict(state.done)
    for name, was, now in zip(net.activities, before.activities, after.activities, strict=True):
        if now == was:
            continue
        if now == OPEN and was == IDLE:
            begun[name] = at
        elif now >= DONE:
            done[name] = at
    wanted = {awaited_key(net.activities[p.decision], p.about) for p in after.pending}
    awaited = {k: v for k, v in state.awaited.items() if k in wanted}
    awaited.update(dict.fromkeys(sorted(wanted - awaited.keys()), at))
    return replace(state, marking=after, begun=begun, done=done, awaited=awaited)


# -- sheets --------------------------------------------------------------------------------------


def _with_sheet(state: State, key: str, sheet: Sheet) -> State:
    return replace(state, sheets={**state.sheets, key: sheet})


def _signed(state: State, key: str, signatures: tuple[Any, ...]) -> State:
    if not signatures:
        return state
    sheet = state.sheets.get(key, EMPTY)
    return _with_sheet(state, key, replace(sheet, signatures=_union(sheet.signatures, signatures)))


def _union(old: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*old, *(s for s in new if s not in old))


def _check_answered(net: Net, state: State, event: e.CheckAnswered) -> State:
    key = sheet_key(event.activity, event.side, event.about)
    sheet = state.sheets.get(key, EMPTY)
    answer = Answered(
        person=event.by.person,
        value=event.value,
        result=event.result,
        method=event.method,
        at=_happened(state, event.occurred_at),
        position=state.position + 1,
        expected=event.expected,
    )
    answers = (*sheet.answers.get(event.check, ()), answer)
    return _with_sheet(state, key, replace(sheet, answers={**sheet.answers, event.check: answers}))


def _document_attached(net: Net, state: State, event: e.DocumentAttached) -> State:
    key = sheet_key(event.activity, event.side, event.about)
    sheet = state.sheets.get(key, EMPTY)
    entry = Attached(sha256=event.sha256, fields=event.fields, position=state.position + 1)
    documents = {**sheet.documents, event.document: entry}
    return _with_sheet(state, key, replace(sheet, documents=documents))


def _identifier_bound(net: Net, state: State, event: e.IdentifierBound) -> State:
    if event.material == PATIENT:
        return replace(state, identifiers={**state.identifiers, event.identifier: event.value})
    if event.material in net.made_by(frozenset((event.activity,))):
        key = sheet_key(event.activity, event.side, event.about)
        sheet = state.sheets.get(key, EMPTY)
        labels = {**sheet.bound.get(event.material, {}), event.identifier: event.value}
        bound = {**sheet.bound, event.material: labels}
        return _with_sheet(state, key, replace(sheet, bound=bound))
    lot = state.lot(event.material)
    if lot is None:
        return state
    identifiers = {**lot.identifiers, event.identifier: event.value}
    return _with_lot(state, replace(lot, identifiers=identifiers))


def _started_afresh(net: Net, state: State, event: e.StartedAfresh) -> State:
    again = set(event.activities)
    rounds = {**state.rounds, **{name: state.round(name) + 1 for name in event.activities}}
    waiting = {name for name in again if state.marking.activities[net.index[name]] == IDLE}
    before = [
        Carried(
            handoff=name, since=state.begun[name], until=state.done.get(name, event.occurred_at)
        )
        for name in event.activities
        if name in waiting and name in state.begun and name in net.protocol.handoffs
    ]
    at = event.occurred_at
    afresh = [Afresh(activity=n, done_at=_done(state, n), at=at) for n in event.activities]
    return replace(
        state,
        rounds=rounds,
        earlier=(*state.earlier, *before),
        afresh=(*state.afresh, *afresh),
        begun={k: v for k, v in state.begun.items() if k not in waiting},
        done={k: v for k, v in state.done.items() if k not in waiting},
        renewed={**state.renewed, **dict.fromkeys(event.activities, at)},
        sheets={k: v for k, v in state.sheets.items() if k.partition(":")[0] not in again},
    )


def _done(state: State, name: str) -> datetime | None:
    """Return when an activity had been done in the round that ends now, if it had been."""
    done, begun = state.done.get(name), state.renewed.get(name)
    return None if done is None or (begun is not None and done <= begun) else done


# -- materials -----------------------------------------------------------------------------------


def _with_lot(state: State, lot: Lot) -> State:
    return replace(state, lots={**state.lots, lot.lot: lot})


def _material_created(net: Net, state: State, event: e.MaterialCreated) -> State:
    spell = Spell(role=event.role, organisation=event.organisation, since=event.occurred_at)
    lot = Lot(
        lot=event.lot,
        material=event.material,
        parents=event.parents,
        made_in=event.made_in,
        made_at=event.occurred_at,
        identifiers=event.identifiers,
        custody=(spell,),
    )
    current = {**state.current, event.material: event.lot}
    return replace(_with_lot(state, lot), current=current)


def _material_ended(net: Net, state: State, event: e.MaterialConsumed | e.MaterialGone) -> State:
    lot = state.lots[event.lot]
    last = replace(lot.custody[-1], until=event.occurred_at)
    why = event.reason if isinstance(event, e.MaterialGone) else "consumed"
    ended = replace(
        lot, custody=(*lot.custody[:-1], last), end=Ended(at=event.occurred_at, how=why)
    )
    return _with_lot(state, ended)


def _material_packed(net: Net, state: State, event: e.MaterialPacked) -> State:
    lot = state.lots[event.lot]
    return _with_lot(state, replace(lot, inside=(*lot.inside, event.outer)))


def _custody_moved(net: Net, state: State, event: e.CustodyMoved) -> State:
    lot = state.lots[event.lot]
    return _with_lot(state, replace(lot, custody=_handed(lot.custody, event)))


def _accountability_moved(net: Net, state: State, event: e.AccountabilityMoved) -> State:
    # Whoever answers for it now may not want what the one before offered.
    return replace(state, accountability=_handed(state.accountability, event), offer=None)


def _accountability_offered(net: Net, state: State, event: e.AccountabilityOffered) -> State:
    offer = Offer(
        offer=event.offer,
        giver=event.giver,
        to=event.to,
        organisation=event.organisation,
        person=event.by.person,
        reason=event.reason,
        at=event.occurred_at,
    )
    return replace(state, offer=offer, offers=state.offers + 1)


def _accountability_accepted(net: Net, state: State, event: e.AccountabilityAccepted) -> State:
    return replace(state, marking=state.marking._replace(owner=net.role[event.to]))


def _handed(
    spells: tuple[Spell, ...], event: e.CustodyMoved | e.AccountabilityMoved
) -> tuple[Spell, ...]:
    """End the last spell and begin the next at the same instant: no gap can be written."""
    last = replace(spells[-1], until=event.occurred_at)
    following = Spell(role=event.receiver, organisation=event.organisation, since=event.occurred_at)
    return (*spells[:-1], last, following)


# -- deviations, corrections, notices ------------------------------------------------------------


def _deviation_raised(net: Net, state: State, event: e.DeviationRaised) -> State:
    raised = Raised(
        deviation=event.deviation,
        code=event.code,
        kind=event.kind,
        severity=event.severity,
        about=event.about,
        note=event.note,
        raised_at=event.occurred_at,
        position=state.position + 1,
        detected=event.detected,
        originated=event.originated,
        check=event.check,
        silence=event.silence,
    )
    return _with_deviation(state, raised)


def _received(net: Net, state: State, event: e.Accepted | e.Quarantined | e.Refused) -> State:
    state = _signed(state, sheet_key(event.handoff, "accept"), event.signatures)
    since = state.begun.get(event.handoff)
    if since is None:
        return state
    for one in state.deviations.values():
        # It is about the handoff taking too long, in this round: not about what came before it.
        mine = one.about == one.originated == event.handoff and one.kind == "timing"
        if mine and one.between is None and one.raised_at >= since:
            between = (since, max(event.occurred_at, since))
            state = _with_deviation(state, replace(one, between=between))
    return state


def _with_deviation(state: State, raised: Raised) -> State:
    return replace(state, deviations={**state.deviations, raised.deviation: raised})


def _deviation_acknowledged(net: Net, state: State, event: e.DeviationAcknowledged) -> State:
    raised = state.deviations[event.deviation]
    return _with_deviation(
        state,
        replace(raised, acknowledged=Acknowledged(at=event.occurred_at, person=event.by.person)),
    )


def _deviation_closed(net: Net, state: State, event: e.DeviationClosed) -> State:
    raised = state.deviations[event.deviation]
    closed = replace(
        raised,
        closed=Closed(at=event.occurred_at, conclusion=event.conclusion),
        originated=event.originated or raised.originated,
    )
    return _with_deviation(state, closed)


def _corrected(net: Net, state: State, event: e.Corrected) -> State:
    state = replace(state, corrections=state.corrections + 1)
    for key, sheet in state.sheets.items():
        for check, answers in sheet.answers.items():
            for i, answer in enumerate(answers):
                if answer.position == event.position and event.result is not None:
                    new = replace(answer, value=event.new, result=event.result)
                    changed = (*answers[:i], new, *answers[i + 1 :])
                    return _with_sheet(
                        state, key, replace(sheet, answers={**sheet.answers, check: changed})
                    )
        for name, entry in sheet.documents.items():
            if entry.position == event.position:
                filled = replace(entry, fields={**entry.fields, event.field: str(event.new)})
                documents = {**sheet.documents, name: filled}
                return _with_sheet(state, key, replace(sheet, documents=documents))
    for raised in state.deviations.values():
        if raised.position == event.position:
            changes: dict[str, Any] = {event.field: event.new}
            return _with_deviation(state, replace(raised, **changes))
    return state


def _notified(net: Net, state: State, event: e.Notified) -> State:
    notice = Notice(
        notice=event.notice,
        handoff=event.handoff,
        giver=event.giver,
        receiver=event.receiver,
        sent_at=event.occurred_at,
        note=event.note,
    )
    return replace(state, notices={**state.notices, event.notice: notice})


def _notice_acknowledged(net: Net, state: State, event: e.NoticeAcknowledged) -> State:
    read = replace(state.notices[event.notice], acknowledged_at=event.occurred_at)
    return replace(state, notices={**state.notices, event.notice: read})


_CHANGES: dict[type, Any] = {
    e.StepFinished: lambda net, s, v: _signed(s, sheet_key(v.step, "step"), v.signatures),
    e.Released: lambda net, s, v: _signed(s, sheet_key(v.handoff, "release"), v.signatures),
    e.Accepted: _received,
    e.Quarantined: _received,
    e.Refused: _received,
    e.Signed: lambda net, s, v: _signed(s, sheet_key(v.activity, v.side, v.about), (v.signature,)),
    # What was answered for one decision does not count for the next about the same thing.
    e.Decided: lambda net, s, v: replace(
        s,
        sheets={k: x for k, x in s.sheets.items() if k != sheet_key(v.decision, "step", v.about)},
    ),
    e.CheckAnswered: _check_answered,
    e.DocumentAttached: _document_attached,
    e.IdentifierBound: _identifier_bound,
    e.StartedAfresh: _started_afresh,
    e.MaterialCreated: _material_created,
    e.MaterialConsumed: _material_ended,
    e.MaterialGone: _material_ended,
    e.MaterialPacked: _material_packed,
    e.CustodyMoved: _custody_moved,
    e.AccountabilityMoved: _accountability_moved,
    e.AccountabilityOffered: _accountability_offered,
    e.AccountabilityAccepted: _accountability_accepted,
    e.AccountabilityDeclined: lambda net, s, v: replace(s, offer=None),
    e.AccountabilityWithdrawn: lambda net, s, v: replace(s, offer=None),
    e.JourneyEnded: lambda net, s, v: replace(s, ended_at=v.occurred_at),
    e.DeviationRaised: _deviation_raised,
    e.DeviationAcknowledged: _deviation_acknowledged,
    e.DeviationClosed: _deviation_closed,
    e.TimelineFlagged: _flagged,
    e.Corrected: _corrected,
    e.Notified: _notified,
    e.NoticeAcknowledged: _notice_acknowledged,
    **case.CHANGES,
}
