"""The same loop in plain Python: the oracle of the compiled one, and its fallback.

Written separately and for reading: objects, `heapq`, dictionaries, no fusing. It shares with
`kernel` only the tables, the keyed draws and the rule for ties. A few hundred times slower.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

import numpy as np

from stafett.simulation import tables as t
from stafett.simulation.draws import draw, is_open, next_arrival, next_open, pick, pick_first
from stafett.simulation.philox import uniform
from stafett.simulation.replication import Horizon, ModelError

U = np.uint64


@dataclass(eq=False)
class Entity:
    """One entity on its way."""

    number: int
    source: int
    lane: int
    serial: int
    born: float
    pc: int
    attributes: list[float]
    parent: Entity | None = None
    pending: int = 0
    visits: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    faults: set[int] = field(default_factory=set)
    held: list[int] = field(default_factory=list)
    since: float = 0.0
    ticket: int = 0
    late: bool = False


class Twin:
    """One replication. After `run`: `outcomes`, `waits`, `found`, `kept`, `log` and `tallies`."""

    def __init__(self, model: t.Model, horizon: Horizon, seed: int, replication: int = 0) -> None:
        self.model, self.T, self.horizon = model, model.tables, horizon
        self.k0, self.k1 = U(seed), U(replication)
        self.now = 0.0
        self.heap: list[tuple[float, int, int, str, object]] = []
        self.pushed = 0
        self.serial = 0
        self.arrived = [0] * len(self.T.sources)
        self.capacity = [int(self.T.plan_to[off]) for off, _ in self.T.plan]
        self.busy = [0] * len(self.capacity)
        self.queues: list[list[deque[Entity]]] = [
            [deque() for _ in range(t.LEVELS)] for _ in self.capacity
        ]
        self.batches: list[list[Entity]] = [[] for _ in range(model.batches)]
        self.batch_ticket = [0] * model.batches
        self.inside = 0
        self.arrivals = 0
        self.outcomes: defaultdict[str, int] = defaultdict(int)
        self.waits: defaultdict[str, list[float]] = defaultdict(list)
        self.reneged: defaultdict[str, int] = defaultdict(int)
        self.tallies: defaultdict[str, list[float]] = defaultdict(list)
        self.made: defaultdict[str, int] = defaultdict(int)
        self.found: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.kept: defaultdict[str, int] = defaultdict(int)
        self.log: list[tuple[float, int, int, int, int, int, float]] = []

    # ---- time ----------------------------------------------------------------------------------

    def run(self) -> Twin:
        """Go on until nothing is left, or until the horizon."""
        for r, (off, n) in enumerate(self.T.plan):
            if n > 1:
                self._at(float(self.T.plan_at[off + 1]), r, "capacity", (r, 1, 0.0))
        for s in range(len(self.arrived)):
            self._next_arrival(s)
        while self.heap and self.heap[0][0] <= self.horizon.until:
            self.now, _, _, what, whom = heapq.heappop(self.heap)
            getattr(self, f"_on_{what}")(whom)
        return self

    def _at(self, time: float, rank: int, what: str, whom: object) -> None:
        self.pushed += 1
        heapq.heappush(self.heap, (time, rank, self.pushed, what, whom))

    def _resume(self, e: Entity, time: float) -> None:
        self._at(time, (1 << 40) + 2 * e.serial, "resume", e)

    def _next_arrival(self, s: int) -> None:
        T = self.T
        time = next_arrival(
            T.dists, T.points, T.sources, T.rate_at, T.rate, T.rate_period,
            s, self.now, self.k0, self.k1, U(self.arrived[s]),
        )  # fmt: skip
        if time <= self.horizon.arrivals_until:
            self._at(time, (1 << 20) + s, "arrival", s)

    def _note(self, e: Entity, time: float, op: int, kind: int, value: float = 0.0) -> None:
        self.log.append((time, e.source, e.number, e.lane, op, kind, value))

    # ---- events --------------------------------------------------------------------------------

    def _on_capacity(self, whom: tuple[int, int, float]) -> None:
        r, i, base = whom
        off, n = self.T.plan[r]
        self.capacity[r] = int(self.T.plan_to[off + i])
        i += 1
        if i == n:
            i, base = 0, base + float(self.T.plan_period[r])
        time = base + float(self.T.plan_at[off + i])
        if time < math.inf:
            self._at(time, r, "capacity", (r, i, base))
        self._serve(r)

    def _on_arrival(self, s: int) -> None:
        e = Entity(
            self.arrived[s], s, 0, self.serial, self.now, int(self.T.sources[s, 1]),
            [float(x) for x in self.T.start],
        )  # fmt: skip
        self.serial += 1
        self.inside += 1
        self.arrivals += self._counts(e)
        self._note(e, self.now, e.pc, t.ARRIVE)
        self.arrived[s] += 1
        self._next_arrival(s)
        self._walk(e, self.now)

    def _on_resume(self, e: Entity) -> None:
        self._walk(e, self.now)

    def _on_renege(self, whom: tuple[Entity, int]) -> None:
        e, ticket = whom
        if e.ticket != ticket:
            return
        for levels in self.queues:
            for queue in levels:
                if e in queue:
                    queue.remove(e)
        e.ticket += 1
        op = self.T.ops[e.pc]
        if self._counts(e):
            self.reneged[self.model.ops[e.pc]] += 1
        self._note(e, self.now, e.pc, t.RENEGE, float(e.late))
        e.pc = int(op[t.LATE] if e.late else op[t.ALT])
        self._walk(e, self.now)

    def _on_batch(self, whom: tuple[int, int]) -> None:
        b, ticket = whom
        if self.batch_ticket[b] == ticket:
            self._send(b)

    def _counts(self, e: Entity) -> bool:
        return self.horizon.warmup <= e.born < self.horizon.count_until

    # ---- what is shared ------------------------------------------------------------------------

    def _take(self, r: int) -> Entity | None:
        """The next to be served, removed from its queue."""
        for queue in self.queues[r]:
            if queue:
                return queue.pop() if self.T.lifo[r] else queue.popleft()
        return None

    def _serve(self, r: int) -> None:
        """Give free places to those who wait; they go on at this moment."""
        while self.busy[r] < self.capacity[r]:
            e = self._take(r)
            if e is None:
                return
            e.ticket += 1
            self.busy[r] += 1
            e.held.append(r)
            if self._counts(e):
                self.waits[self.model.ops[e.pc]].append(self.now - e.since)
            self._note(e, self.now, e.pc, t.START, float(r))
            e.pc = int(self.T.ops[e.pc, t.NEXT])
            self._walk(e, self.now, granted=True)

    def _give_back(self, e: Entity, r: int, op: int) -> None:
        e.held.remove(r)
        self.busy[r] -= 1
        self._note(e, self.now, op, t.DISCHARGE, float(r))

    def _send(self, b: int) -> None:
        """A batch goes."""
        members, self.batches[b] = self.batches[b], []
        self.batch_ticket[b] += 1
        for m in members:
            self._note(m, self.now, m.pc, t.START, float(b))
            m.pc = int(self.T.ops[m.pc, t.NEXT])
            self._walk(m, self.now, granted=True)

    # ---- draws ---------------------------------------------------------------------------------

    def _key(self, e: Entity, op: int, purpose: int, attempt: int) -> tuple[np.uint64, ...]:
        word = purpose | (e.lane & 255) << 8 | e.source << 16
        return self.k0, self.k1, U(e.number), U(attempt), self.T.stream[op], U(word)

    def _attempt(self, e: Entity, op: int) -> int:
        e.visits[op] += 1
        return e.visits[op] - 1

    def _draw(self, e: Entity, op: int, dist: int, purpose: int) -> float:
        key = self._key(e, op, purpose, self._attempt(e, op))
        return float(draw(self.T.dists, self.T.points, dist, *key))

    def _uniform(self, e: Entity, op: int) -> float:
        return uniform(*self._key(e, op, t.FOR_STEP, self._attempt(e, op)))

    # ---- the walk ------------------------------------------------------------------------------

    def _walk(self, e: Entity, time: float, granted: bool = False) -> None:
        """Carry out operations until the entity must wait."""
        T, a = self.T, e.attributes
        for _ in range(100_000):
            op, row = e.pc, [int(x) for x in T.ops[e.pc]]
            code = row[t.CODE]
            if time > self.horizon.until:
                return self._resume(e, time)
            if code >= t.SEIZE and granted:
                return self._resume(e, time)
            e.pc = row[t.NEXT]
            by = int(a[row[t.B]]) if row[t.B] >= 0 else 0
            match code:
                case t.DELAY:
                    if row[t.A] >= 0:
                        d = self._draw(e, op, row[t.A] + by, t.FOR_STEP)
                    else:
                        d = a[-1 - row[t.A]]
                    d *= a[row[t.C]] if row[t.C] >= 0 else 1.0
                    later = self._cut(e, row, time, time + d)
                    self._note(e, time, op, t.BEGIN)
                    self._note(e, later, op, t.FINISH)
                    if later > time:
                        return self._resume(e, later)
                case t.UNTIL:
                    opens = next_open(
                        T.hours, T.opens, T.closes, T.hours_period, row[t.A] + by, time
                    )
                    later = self._cut(e, row, time, float(opens))
                    if later > time:
                        return self._resume(e, later)
                case t.BRANCH:
                    odds = a[row[t.C]] if row[t.C] >= 0 else 1.0
                    i = pick_first(T.tables, T.cum, row[t.A] + by, odds, self._uniform(e, op))
                    if i >= 0:
                        e.pc = int(T.goto[i])
                case t.SET:
                    self._set(e, op, row, time)
                case t.TEST:
                    right = a[row[t.B]] if row[t.B] >= 0 else float(T.consts[row[t.D]])
                    if not a[row[t.A]] < right:
                        e.pc = row[t.ALT]
                case t.EXPOSE:
                    odds = a[row[t.C]] if row[t.C] >= 0 else 1.0
                    if row[t.D] >= 0 and not is_open(
                        T.hours, T.opens, T.closes, T.hours_period, row[t.D], time
                    ):
                        odds *= float(T.consts[row[t.E]])
                    i = pick(T.tables, T.cum, row[t.A] + by, odds, self._uniform(e, op))
                    if i >= 0:
                        fault = int(T.goto[i])
                        e.faults.add(fault)
                        if self._counts(e):
                            self.made[self.model.faults[fault]] += 1
                        self._note(e, time, op, t.FAULT, float(fault))
                case t.INSPECT:
                    self._inspect(e, op, row, time)
                case t.TALLY:
                    value = time - a[row[t.B]] if row[t.C] == 1 else a[row[t.B]]
                    if self._counts(e):
                        self.tallies[self.model.tallies[row[t.A]]].append(value)
                        self._note(e, time, op, t.PASS, value)
                case t.SEIZE:
                    if not self._seize(e, op, row, row[t.A] + by):
                        return None
                case t.RELEASE:
                    r = row[t.A] + by
                    if r not in e.held:
                        raise ModelError(f"{self.model.ops[op]!r} releases what it does not hold")
                    self._give_back(e, r, op)
                    if any(self.queues[r]):
                        self._serve(r)
                        granted = True
                case t.FREE:
                    if e.held:
                        r = min(e.held)
                        self._give_back(e, r, op)
                        self._serve(r)
                        e.pc, granted = op, True
                case t.OBSERVE:
                    r = row[t.B] + (int(a[row[t.C]]) if row[t.C] >= 0 else 0)
                    waiting = sum(len(q) for q in self.queues[r])
                    a[row[t.A]] = (self.busy[r] + waiting) / max(self.capacity[r], 1)
                case t.FORK:
                    return self._fork(e, row)
                case t.JOIN:
                    assert e.parent is not None
                    e.parent.faults |= e.faults
                    e.parent.pending -= 1
                    if e.parent.pending == 0:
                        self._walk(e.parent, self.now, granted=True)
                    return None
                case t.BATCH:
                    e.pc = op
                    return self._gather(e, op, row)
                case _:
                    return self._end(e, op, row)
        raise ModelError(f"{self.model.ops[e.pc]!r} goes round without time passing")

    def _cut(self, e: Entity, row: list[int], time: float, later: float) -> float:
        """The moment the wait ends; at a deadline before it the entity is sent there."""
        if row[t.DUE] >= 0 and e.attributes[row[t.DUE]] < later:
            e.pc = row[t.LATE]
            return max(time, e.attributes[row[t.DUE]])
        return later

    def _set(self, e: Entity, op: int, row: list[int], time: float) -> None:
        T, a, i = self.T, e.attributes, row[t.A]
        const = float(T.consts[row[t.D]]) if row[t.D] >= 0 and row[t.C] != t.GROUP else 0.0
        other = a[row[t.B]] if row[t.B] >= 0 else const
        match row[t.C]:
            case t.PUT:
                a[i] = const
            case t.ADD:
                a[i] += other
            case t.COPY:
                a[i] = other
            case t.NOW:
                a[i] = time + const
            case t.MINIMUM:
                a[i] = min(a[i], other)
            case t.TIMES:
                a[i] *= other
            case t.RECIPROCAL:
                a[i] = 1.0 / other
            case t.BUCKET:
                a[i] = math.floor(time / const)
            case t.DRAW:
                by = int(a[row[t.B]]) if row[t.B] >= 0 else 0
                a[i] = self._draw(e, op, row[t.E] + by, t.FOR_STEP)
            case t.GROUP:
                second = int(a[row[t.D]]) if row[t.D] >= 0 else 0
                key = (self.k0, self.k1, U(int(other)), U(second), T.stream[op], U(t.FOR_GROUP))
                a[i] = float(draw(T.dists, T.points, row[t.E], *key))

    def _inspect(self, e: Entity, op: int, row: list[int], time: float) -> None:
        if not e.faults:
            return
        T, attempt = self.T, self._attempt(e, op)
        seen = []
        for fault in sorted(e.faults):
            u = uniform(*self._key(e, op, t.FOR_FAULT + fault, attempt))
            if u < T.sense[row[t.A], fault]:
                seen.append(fault)
        for fault in seen:
            e.faults.remove(fault)
            if self._counts(e):
                self.found[self.model.inspections[row[t.A]], self.model.faults[fault]] += 1
            self._note(e, time, op, t.FOUND, float(fault))
        if seen:
            worst = max(seen, key=lambda f: (T.severity[f], -f))
            if row[t.C] >= 0:
                e.attributes[row[t.C]] = worst
            if T.divert[row[t.A], worst] >= 0:
                e.pc = int(T.divert[row[t.A], worst])

    def _seize(self, e: Entity, op: int, row: list[int], r: int) -> bool:
        """Whether the entity goes on at once; else it waits."""
        due = e.attributes[row[t.DUE]] if row[t.DUE] >= 0 else math.inf
        if due <= self.now:
            e.pc = row[t.LATE]
            return True
        self._note(e, self.now, op, t.ENQUEUE, float(r))
        if self.busy[r] < self.capacity[r]:
            self.busy[r] += 1
            e.held.append(r)
            if self._counts(e):
                self.waits[self.model.ops[op]].append(0.0)
            self._note(e, self.now, op, t.START, float(r))
            return True
        e.pc, e.since, e.late = op, self.now, True
        if row[t.E] >= 0:
            patience = self._draw(e, op, row[t.E], t.FOR_PATIENCE)
            if self.now + patience < due:
                due, e.late = self.now + patience, False
                if patience == 0.0:
                    self.reneged[self.model.ops[op]] += self._counts(e)
                    self._note(e, self.now, op, t.RENEGE)
                    e.pc = row[t.ALT]
                    return True
        level = row[t.C]
        if row[t.D] >= 0:
            level = min(max(int(e.attributes[row[t.D]]), 0), t.LEVELS - 1)
        self.queues[r][level].append(e)
        e.ticket += 1
        if due < math.inf:
            self._at(due, (1 << 40) + 2 * e.serial + 1, "renege", (e, e.ticket))
        return False

    def _fork(self, e: Entity, row: list[int]) -> None:
        off = int(self.T.tables[row[t.A], 0])
        e.pending = row[t.C]
        for i in range(row[t.C]):
            child = Entity(
                e.number, e.source, e.lane * 8 + i + 1, self.serial, e.born,
                int(self.T.goto[off + i]), list(e.attributes), e,
            )  # fmt: skip
            self.serial += 1
            self._walk(child, self.now, granted=True)

    def _gather(self, e: Entity, op: int, row: list[int]) -> None:
        b = row[t.A]
        e.since = self.now
        self.batches[b].append(e)
        self._note(e, self.now, op, t.ENQUEUE, float(b))
        if len(self.batches[b]) == 1 and row[t.E] >= 0:
            longest = self._draw(e, op, row[t.E], t.FOR_PATIENCE)
            ticket = self.batch_ticket[b]
            self._at(self.now + longest, (1 << 30) + b, "batch", (b, ticket))
        if len(self.batches[b]) >= row[t.C]:
            self._send(b)

    def _end(self, e: Entity, op: int, row: list[int]) -> None:
        if e.held:
            raise ModelError(f"{self.model.ops[op]!r} is the end of an entity that still holds")
        self.inside -= 1
        if self._counts(e):
            self.outcomes[self.model.outcomes[row[t.A]]] += 1
            for fault in e.faults:
                self.kept[self.model.faults[fault]] += 1
        self._note(e, self.now, op, t.LEAVE, float(row[t.A]))
