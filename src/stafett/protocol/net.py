"""What a protocol means: markings, the moves they permit, and what each move does.

A **marking** says how far a journey has come: the state of each activity, where each material is
and who holds it, who is accountable, which decisions are pending. `moves` lists what may happen
next, `violations` says what would be wrong with a move (no custodian, wrong custodian, a missing
prerequisite), `fire` gives the marking after it. The proof explores every marking; the journey
takes one move at a time and refuses those that `violations` names. Both use this module, so that
what is proven is what is enforced.

Markings are small tuples of integers, hashable and cheap; indices are into `Net.activities`,
`Net.materials`, `Net.roles`. Time is not part of a marking: that something is late or expired is a
move (`expire`) that the caller makes when the clock says so.

**Holds.** A failed critical check, a quarantine, a loss may lead to a pending decision. While one
is pending nothing new starts and nothing is released; what is already under way may be finished or
received, because it physically goes on. What has lost its material can't be finished or received.

**Going back.** `go` starts an activity and all that depends on it afresh and discards what they had
made. Decisions awaited about other activities, other materials and interrupts stay awaited.
Accountability does not go back by itself: it stays where it was until it is handed over; a handoff
repeated while its receiver is already accountable changes nothing.

**Resuming.** A decision that says `resume` takes the held activity up again: a stopped or refused
handoff is released and received afresh, by both sides; a stopped step goes on, with its checks
made anew; a handoff received into quarantine counts as accepted; a step that ended out of
specification counts as done with that result. Nothing that is lost or expired can be resumed: a
decision about such an activity offers only its other results. A decision that leads to another
decision lifts no quarantine.
"""

from __future__ import annotations

from stafett.protocol import firing, violations
from stafett.protocol.index import Index, target
from stafett.protocol.marking import (
    ABSENT,
    CONSUMED,
    DONE,
    GONE,
    IDLE,
    ISOLATED,
    LIVE,
    NONE,
    OPEN,
    PRESENT,
    QUARANTINED,
    REFUSED,
    STOPPED,
    Held,
    Marking,
    Move,
    MoveKind,
    NotPossible,
    Pending,
    Violation,
)
from stafett.protocol.violations import HANDS_ON

# What a caller needs stands here; it is made in `marking`, `index`, `violations` and `firing`.
__all__ = [
    "ABSENT",
    "CONSUMED",
    "DONE",
    "GONE",
    "HANDS_ON",
    "IDLE",
    "ISOLATED",
    "LIVE",
    "NONE",
    "OPEN",
    "PRESENT",
    "QUARANTINED",
    "REFUSED",
    "STOPPED",
    "Held",
    "Marking",
    "Move",
    "MoveKind",
    "Net",
    "NotPossible",
    "Pending",
    "Violation",
    "target",
]


class Net(Index):
    """A protocol and its meaning. Names that do not exist raise KeyError: check them first."""

    def moves(self, marking: Marking) -> list[Move]:
        """List every move that the order of the protocol permits, in a stable order."""
        if marking.outcome != NONE:
            return []
        found: list[Move] = []
        for pending in marking.pending:
            decision = self.activities[pending.decision]
            found += [
                Move("decide", decision, pending.about, result)
                for result, entry in self.protocol.steps[decision].results.items()
                if not (entry.then and entry.then.resume) or self.can_resume(marking, pending.about)
            ]
        for name, state in zip(self.activities, marking.activities, strict=True):
            if state in (IDLE, OPEN):
                found += self._moves_of(marking, name)
        found += self._mishaps(marking)
        return found

    def permits(self, marking: Marking, move: Move) -> bool:
        """Say whether `move` is one of `moves(marking)`, without listing the others."""
        if move.kind in ("decide", "lose", "expire", "interrupt") or marking.outcome != NONE:
            return move in self.moves(marking)
        return move.subject in self.index and move in self._moves_of(marking, move.subject)

    def can_resume(self, marking: Marking, held: str) -> bool:
        """Say whether what a decision holds can be taken up again: nothing of it is gone."""
        if held not in self.index:
            return held in self.protocol.interrupts
        step = self.protocol.steps.get(held)
        if step is not None and self.state(marking, held) >= DONE:
            return self.present(marking, step.outputs)
        return self.present(marking, self.involved(marking, held))

    def _moves_of(self, marking: Marking, name: str) -> list[Move]:
        state = self.state(marking, name)
        step = self.protocol.steps.get(name)
        if state == IDLE:
            on_demand = step is not None and step.on_demand
            if on_demand or marking.pending or not self.is_enabled(marking, name):
                return []
            if step is not None:
                return [Move("start", name)]
            stop = [Move("stop", name)] if self.activity(name).on_stop else []
            return [Move("release", name), *stop]
        if state != OPEN:
            return []
        here = self.present(marking, self.involved(marking, name))
        if step is not None:
            finish = [Move("finish", name, result=r) for r in self.results(name) if here]
            return finish + ([Move("stop", name)] if step.on_stop else [])
        handoff = self.protocol.handoffs[name]
        found = [Move("accept", name)] if here else []
        if here and handoff.on_quarantine:
            found.append(Move("quarantine", name))
        if handoff.on_refuse:
            found.append(Move("refuse", name))
        if handoff.on_stop:
            found.append(Move("stop", name))
        return found

    def _mishaps(self, marking: Marking) -> list[Move]:
        found = []
        for name, held in zip(self.materials, marking.materials, strict=True):
            if held.state not in PRESENT:
                continue
            material = self.protocol.materials[name]
            if material.on_lost:
                found.append(Move("lose", name))
            if material.shelf_life and material.on_expired:
                found.append(Move("expire", name))
        for name, interrupt in self.protocol.interrupts.items():
            if interrupt.until is None or not self.is_done(marking, interrupt.until):
                found.append(Move("interrupt", name))
        return found

    def violations(self, marking: Marking, move: Move) -> list[Violation]:
        """Return the properties that `move` would break; empty when it is safe to make it."""
        return violations.violations(self, marking, move)

    def fire(self, marking: Marking, move: Move) -> Marking:
        """Return the marking after `move`; raise NotPossible if the order does not permit it."""
        if not self.permits(marking, move):
            raise NotPossible(f"{move} is not possible now")
        return self.after(marking, move)

    def after(self, marking: Marking, move: Move) -> Marking:
        """Return the marking after `move`, which must be one of `moves(marking)`."""
        return firing.after(self, marking, move)
