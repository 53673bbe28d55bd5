"""A net compiled to bytes: the same meaning as `stafett.protocol.net`, several times faster.

A marking is one `bytes`: the activities' states; state, custodian and container of each material;
the owner; one flag per decision that may be awaited; the attempts. `Compiled.successors` is
`Net.moves`, `Net.violations` and `Net.after` in one pass.

With `exact=False` markings that behave alike are one marking, which leaves far fewer of them:

* whether a material is used up, gone, or never was: none of them can be used;
* with which result a step ended, when nothing asks for that result;
* how often an activity was tried: where it may be tried again, both the next attempt and its end
  (`exhausted`) follow. Each real path is kept, so what holds here holds there; and each real
  marking can still reach an end if all of these can, because every `go` uses up an attempt, so no
  path has infinitely many. (What breaks here may be a path that would need more attempts than are
  left: `stafett.protocol.explore` then looks for an exact path.)
"""

from __future__ import annotations

from typing import NamedTuple

from stafett.protocol.model import Handoff, Route, Step
from stafett.protocol.net import (
    ABSENT,
    CONSUMED,
    DONE,
    GONE,
    HANDS_ON,
    IDLE,
    ISOLATED,
    LIVE,
    NONE,
    OPEN,
    QUARANTINED,
    REFUSED,
    STOPPED,
    Move,
)
from stafett.protocol.tables import Tables

ON = -1  # the journey goes on: no outcome yet


class Edge(NamedTuple):
    """A move, the outcome that it leads to (ON if the journey goes on) and the marking after it.

    `broken` says that the move violates a property: it is not made, and `marking` is that before.
    """

    move: Move
    outcome: int
    marking: bytes
    broken: bool = False


class Compiled(Tables):
    """A net compiled: its tables, and the edges that leave a marking."""

    def ready(self, state: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the activities that may begin, if nothing is pending, and those under way."""
        key = state[: self.n]
        known = self._ready.get(key)
        if known is None:
            enabled = tuple(
                i
                for i in range(self.n)
                if key[i] == IDLE
                and not self.on_demand[i]
                and all(key[j] >= DONE if not s else key[j] == s for j, s in self.after[i])
            )
            under_way = tuple(i for i in range(self.n) if key[i] == OPEN)
            known = self._ready[key] = (enabled, under_way)
        return known

    def successors(self, state: bytes) -> tuple[list[Edge], list[Edge]]:
        """Return the edges of ordinary moves, and those of mishaps (loss, expiry, interrupts)."""
        found: list[Edge] = []
        enabled, under_way = self.ready(state)
        pending = 1 in state[self.pending_at : self.tries_at]
        if pending:
            self._decided(state, found)
        else:
            for i in enabled:
                self._begun(state, i, under_way, found)
        for i in under_way:
            if self.steps[i] is not None:
                self._finished(state, i, found)
            else:
                self._received(state, i, found)
        mishaps: list[Edge] = []
        for i, ways in self.mishaps:
            if LIVE <= state[self.at[i]] <= QUARANTINED:
                gone = self._gone(state, i)
                for move, route in ways:
                    self._route(gone, route, move.subject, move, mishaps)
        for move, route, until in self.interrupts:
            if until is None or not self._is_done(state, until):
                self._route(state, route, move.subject, move, mishaps)
        return found, mishaps

    def _is_done(self, state: bytes, ref: tuple[int, int]) -> bool:
        i, wanted = ref
        return state[i] == wanted if wanted else state[i] >= DONE

    def _begun(self, state: bytes, i: int, under_way: tuple[int, ...], found: list[Edge]) -> None:
        step = self.steps[i]
        if step is not None:
            broken = self._start_breaks(state, i, step, under_way)
            move = self.move["start", i]
        else:
            handoff = self.handoffs[i]
            assert handoff is not None
            broken = self._release_breaks(state, i, handoff, under_way)
            move = self.move["release", i]
        if not broken and i in self.rules:
            broken = not all(rule(state) for rule in self.rules[i])
        if broken:
            found.append(Edge(move, ON, state, True))
        else:
            found.append(Edge(move, ON, state[:i] + b"\x01" + state[i + 1 :]))
        if step is None:
            self._stopped(state, i, found)

    def _stopped(self, state: bytes, i: int, found: list[Edge]) -> None:
        route = self.net.activity(self.net.activities[i]).on_stop
        if route is None:
            return
        held = bytearray(state)
        self._isolate(state, held, i)
        held[i] = STOPPED
        move = self.move["stop", i]
        self._route(bytes(held), route, move.subject, move, found)

    def _isolate(self, state: bytes, held: bytearray, i: int) -> None:
        for m in self._carried(state, i) if self.steps[i] is None else self.works[i]:
            if held[self.at[m]] == LIVE:
                held[self.at[m]] = QUARANTINED

    def _finished(self, state: bytes, i: int, found: list[Edge]) -> None:
        step = self.steps[i]
        assert step is not None
        if self._here(state, i):
            index = self.net.material
            doubled = any(
                LIVE <= state[self.at[index[m]]] <= QUARANTINED and m not in step.consumes
                for m in step.outputs
            )
            for move, done, then in self.finishes[i]:
                if doubled:
                    found.append(Edge(move, ON, state, True))
                    continue
                made = bytes(self._made(state, i, step, done, then))
                if then is None:
                    found.append(Edge(move, ON, made))
                else:
                    self._route(made, then, move.subject, move, found)
        self._stopped(state, i, found)

    def _here(self, state: bytes, i: int) -> bool:
        at = self.at
        return all(LIVE <= state[at[m]] <= QUARANTINED for m in self.works[i])

    def _made(self, state: bytes, i: int, step: Step, done: int, then: Route | None) -> bytearray:
        index, at = self.net.material, self.at
        made = bytearray(state)
        for inner in step.unpacks:
            made[at[index[inner]] + 2] = 0
        for inner, outer in step.packs.items():
            made[at[index[inner]] + 2] = index[outer] + 1
        for used in step.consumes:
            self._put(made, index[used], CONSUMED)
        if then is None or then.decide is not None:
            for output in step.outputs:
                state_ = LIVE if then is None else QUARANTINED
                self._put(made, index[output], state_, self.net.role[step.role] + 1)
        made[i] = done
        return made

    def _put(self, made: bytearray, m: int, state: int, custodian: int = 0) -> None:
        a = self.at[m]
        if not self.exact and state in (CONSUMED, GONE):
            state, custodian = ABSENT, 0
        made[a : a + 3] = bytes((state, custodian, 0))

    def _received(self, state: bytes, i: int, found: list[Edge]) -> None:
        handoff = self.handoffs[i]
        assert handoff is not None
        name = self.net.activities[i]
        if self._here(state, i):
            unaccountable = self._unaccountable(state, handoff)
            index = self.net.material
            doubled = any(
                LIVE <= state[self.at[index[new]]] <= QUARANTINED and new not in handoff.becomes
                for new in handoff.becomes.values()
            )
            move = self.move["accept", i]
            if unaccountable or doubled:
                found.append(Edge(move, ON, state, True))
            else:
                found.append(Edge(move, ON, self._accepted(state, i, handoff)))
            if handoff.on_quarantine is not None:
                move = self.move["quarantine", i]
                if unaccountable:
                    found.append(Edge(move, ON, state, True))
                else:
                    held = bytearray(self._passed(state, i, handoff))
                    self._isolate(state, held, i)
                    held[i] = ISOLATED
                    self._route(bytes(held), handoff.on_quarantine, name, move, found)
        if handoff.on_refuse is not None:
            refused = state[:i] + bytes((REFUSED,)) + state[i + 1 :]
            self._route(refused, handoff.on_refuse, name, self.move["refuse", i], found)
        self._stopped(state, i, found)

    def _unaccountable(self, state: bytes, handoff: Handoff) -> bool:
        if not handoff.transfers_accountability:
            return False
        role = self.net.role
        return state[self.owner_at] not in (role[handoff.giver], role[handoff.receiver])

    def _accepted(self, state: bytes, i: int, handoff: Handoff) -> bytes:
        made = bytearray(self._passed(state, i, handoff))
        receiver = self.net.role[handoff.receiver]
        for old, new in handoff.becomes.items():
            self._put(made, self.net.material[old], CONSUMED)
            self._put(made, self.net.material[new], LIVE, receiver + 1)
        if handoff.transfers_accountability:
            made[self.owner_at] = receiver
        made[i] = self.done[i][0]
        return bytes(made)

    def _passed(self, state: bytes, i: int, handoff: Handoff) -> bytes:
        passed = bytearray(state)
        receiver = self.net.role[handoff.receiver] + 1
        for m in self._carried(state, i):
            if LIVE <= state[self.at[m]] <= QUARANTINED:
                passed[self.at[m] + 1] = receiver
        return bytes(passed)

    def _contents(self, state: bytes, m: int) -> list[int]:
        inside = state[self.n + 2 : self.owner_at : 3]
        if m + 1 not in inside:
            return []
        found: list[int] = []
        todo = [m]
        while todo:
            outer = todo.pop(0) + 1
            for k, where in enumerate(inside):
                present = LIVE <= state[self.at[k]] <= QUARANTINED
                if where == outer and present and k not in found:
                    found.append(k)
                    todo.append(k)
        return found

    def _carried(self, state: bytes, i: int) -> list[int]:
        carried = list(self.involved[i])
        for m in self.involved[i]:
            carried += [k for k in self._contents(state, m) if k not in carried]
        return carried

    def _gone(self, state: bytes, m: int) -> bytes:
        gone = bytearray(state)
        for k in (*self._contents(state, m), m):
            a = self.at[k]
            if self.exact:
                gone[a], gone[a + 2] = GONE, 0
            else:
                gone[a : a + 3] = b"\x00\x00\x00"
        return bytes(gone)

    # -- what breaks ---------------------------------------------------------------------------

    def _start_breaks(self, state: bytes, i: int, step: Step, under_way: tuple[int, ...]) -> bool:
        holder = self.net.role[step.role] + 1
        used = self.involved[i]
        for m in used:
            a = self.at[m]
            if state[a] != LIVE or state[a + 1] != holder:
                return True
        for j in under_way:
            if j in self.conflicts[i]:
                return True
            if self.handoffs[j] is not None and set(used) & set(self._carried(state, j)):
                return True
        index, at = self.net.material, self.at
        for inner, outer in step.unpacks.items():
            if state[at[index[inner]] + 2] != index[outer] + 1:
                return True
        for inner, outer in step.packs.items():
            if state[at[index[inner]] + 2] and inner not in step.unpacks:
                return True
            if inner == outer or index[outer] in self._contents(state, index[inner]):
                return True
        if step.kind in HANDS_ON:
            for name in step.inputs:
                if state[at[index[name]] + 2] and name not in step.unpacks:
                    return True
        for name in step.consumes:
            for k in self._contents(state, index[name]):
                inner = self.net.materials[k]
                if inner not in step.consumes and inner not in step.unpacks:
                    return True
        return False

    def _release_breaks(
        self, state: bytes, i: int, handoff: Handoff, under_way: tuple[int, ...]
    ) -> bool:
        giver = self.net.role[handoff.giver] + 1
        for m in self.involved[i]:
            a = self.at[m]
            if state[a] != LIVE or state[a + 1] != giver or state[a + 2]:
                return True
        carried = self._carried(state, i)
        if any(state[self.at[m]] == QUARANTINED for m in carried):
            return True
        for j in under_way:
            others = self._carried(state, j) if self.steps[j] is None else self.works[j]
            if set(carried) & set(others):
                return True
        for old in handoff.becomes:
            if self._contents(state, self.net.material[old]):
                return True
        return self._unaccountable(state, handoff)

    # -- routes and decisions ------------------------------------------------------------------

    def _route(
        self, state: bytes, route: Route, origin: str, move: Move, found: list[Edge]
    ) -> None:
        if route.end is not None:
            found.append(Edge(move, self.net.outcomes.index(route.end), state))
        elif route.decide is not None:
            k = self.pending_at + self.pair[route.decide, origin]
            found.append(Edge(move, ON, state[:k] + b"\x01" + state[k + 1 :]))
        else:
            assert route.go is not None
            self._sent_back(state, route.go, move, found)

    def _sent_back(self, state: bytes, name: str, move: Move, found: list[Edge]) -> None:
        i = self.net.index[name]
        activity = self.net.activity(name)
        most = activity.attempts or 1
        tries = state[self.tries_at + i] + 1 if self.exact else 0
        if most > 1 and (not self.exact or tries < most):
            found.append(Edge(move, ON, self._afresh(state, i, tries)))
        if not self.exact or tries >= most:
            assert activity.exhausted is not None
            self._route(state, activity.exhausted, name, move, found)

    def _afresh(self, state: bytes, i: int, tries: int) -> bytes:
        again, discarded, dropped = self.go[i]
        made = bytearray(state)
        for m in discarded:
            a = self.at[m]
            if made[a] == LIVE or made[a] == QUARANTINED or made[a] == CONSUMED:
                custodian = made[a + 1]
                self._put(made, m, GONE, custodian)
        for a in self.at:
            if made[a + 2]:
                outer = self.at[made[a + 2] - 1]
                if not LIVE <= made[outer] <= QUARANTINED:
                    made[a + 2] = 0
        for j in again:
            made[j] = IDLE
            if self.exact:
                made[self.tries_at + j] = 0
        for k in dropped:
            made[self.pending_at + k] = 0
        if self.exact:
            made[self.tries_at + i] = tries
        return bytes(made)

    def _decided(self, state: bytes, found: list[Edge]) -> None:
        for k in self.awaited(state):
            about = self.pairs[k][1]
            i = self.net.index.get(about, NONE)
            for move, then in self.decisions[k]:
                if then.resume and not self._can_resume(state, about, i):
                    continue
                left = bytearray(state)
                left[self.pending_at + k] = 0
                if then.decide is None and i != NONE:
                    self._lift(left, i)
                if then.resume:
                    self._resumed(bytes(left), i, move, found)
                else:
                    self._route(bytes(left), then, about, move, found)

    def _can_resume(self, state: bytes, about: str, i: int) -> bool:
        if i == NONE:
            return about in self.net.protocol.interrupts
        step = self.steps[i]
        if step is not None and state[i] >= DONE:
            at, index = self.at, self.net.material
            return all(LIVE <= state[at[index[m]]] <= QUARANTINED for m in step.outputs)
        return self._here(state, i)

    def _lift(self, left: bytearray, i: int) -> None:
        state = bytes(left)
        others: set[int] = set()
        for k in self.awaited(left):
            about = self.pairs[k][1]
            if about in self.net.index:
                others |= set(self._touched(state, self.net.index[about]))
        for m in self._touched(state, i):
            if left[self.at[m]] == QUARANTINED and m not in others:
                left[self.at[m]] = LIVE

    def _touched(self, state: bytes, i: int) -> list[int]:
        step = self.steps[i]
        if step is None:
            return self._carried(state, i)
        return [*self.works[i], *(self.net.material[m] for m in step.outputs)]

    def _resumed(self, state: bytes, i: int, move: Move, found: list[Edge]) -> None:
        if i == NONE:
            found.append(Edge(move, ON, state))
        elif (handoff := self.handoffs[i]) is not None:
            if state[i] == ISOLATED:
                found.append(Edge(move, ON, self._accepted(state, i, handoff)))
            else:
                found.append(Edge(move, ON, state[:i] + b"\x00" + state[i + 1 :]))
        elif state[i] == STOPPED:
            found.append(Edge(move, ON, state[:i] + b"\x01" + state[i + 1 :]))
        else:
            found.append(Edge(move, ON, state))
