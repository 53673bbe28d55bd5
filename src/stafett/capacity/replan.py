"""Replan after something closes: move as few patients as possible, and say why each is moved.

Every chain gets a choice of places: where it is (if that still fits), and whole chains found by the
search around its pivot, the link whose resource is short. CP-SAT (OR-Tools) chooses one for each so
that no unit is given twice. The cost of a move is 1000 times the patient's weight, and the weight
again for each day that the last link begins later; who cannot be placed costs UNPLACED weights. The
search has a time limit; `bound` is proven for the places considered, so `gap` speaks of them alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stafett.capacity.board import Board, Job, cost, started
from stafett.capacity.calendar import DAY_S
from stafett.capacity.chain import Slot
from stafett.capacity.search import Blocked, earliest

BEGUN = "-"  # no link has this name
A_DAY = 4  # of them on one day
PLACES = 48  # considered for each chain


@dataclass(frozen=True)
class Move:
    """A patient who is moved, and why.

    `closed` (about a resource), `room` (made for other chains), or what happened to the chain
    itself (about its link).
    """

    chain: str
    before: tuple[Slot, ...]
    after: tuple[Slot, ...]
    why: str
    about: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is proposed. `unplaced`: for whom nothing was found, with the reason.

    `cost` and `bound` are in the units above; `gap` is (cost - bound) / cost.
    """

    moves: tuple[Move, ...]
    unplaced: tuple[tuple[str, str], ...]
    cost: int
    bound: int
    seconds: float
    optimal: bool
    method: str
    considered: int = 0
    after: Mapping[str, tuple[Slot, ...]] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """How far the plan may be from the best one, at most."""
        return 0.0 if self.cost == 0 else (self.cost - self.bound) / self.cost


def _find(job: Job, board: Board, now: int, pivot: str, at: Slot | None) -> list[Slot] | Blocked:
    """Return the chain with its pivot `at` a place (or anywhere), changed as little as may be."""
    fixed: dict[str, Sequence[Slot]] = {s.link: [s] for s in job.slots[: started(job, now)]}
    if at is not None:
        fixed[pivot] = [at]
    first = job.slots[0]
    if first.link in fixed and first.link != pivot:
        begin = end = first.begins
    else:
        span = max(s.ends for s in job.slots) - first.begins
        begin = max(now, job.not_before, first.begins - 7 * DAY_S)
        end = max(first.begins, job.not_before) + 2 * span
    if at is not None and pivot != first.link and first.link not in fixed:
        # How far the first link may be from the pivot is given by the lead times between them.
        low = high = at.begins
        names = [link.name for link in job.template.links]
        for n in range(names.index(pivot), 0, -1):
            link, before = job.template.links[n], job.template.links[n - 1]
            low -= round(link.lead_max_h * 3600) + before.seconds
            high -= round(link.lead_min_h * 3600) + before.seconds
        begin, end = max(begin, low), min(end, high)
    keep = {s.link: s for s in job.slots}
    if board.unfit[job.chain] and board.unfit[job.chain][0] in fixed and at is None:
        return Blocked(BEGUN, begin, end, True)
    if begin > end:
        return Blocked(pivot, begin, end, True)
    return earliest(
        job.template, board.of(job.template), begin, end, keep=keep, fixed=fixed,
        deadline=job.deadline,
    )  # fmt: skip


def greedy(jobs: Sequence[Job], board: Board, now: int) -> Plan:
    """Move only whom it hits, the most urgent first, each to its first place. The naive plan."""
    began = time.perf_counter()
    after: dict[str, tuple[Slot, ...]] = {
        j.chain: j.slots for j in jobs if not board.unfit[j.chain]
    }
    hit = sorted((j for j in jobs if board.unfit[j.chain]), key=lambda j: (j.urgency, j.chain))
    unplaced = []
    for job in hit:
        found = _find(job, board, now, board.unfit[job.chain][0], None)
        if isinstance(found, Blocked):
            unplaced.append((job.chain, _why_not(job, board, found)))
        else:
            after[job.chain] = tuple(found)
            board.put(found)
    for job in hit:
        if job.chain in after:
            board.take(after[job.chain])
    total = sum(cost(job, after.get(job.chain)) for job in jobs)
    took = time.perf_counter() - began
    moves = _moves(jobs, board, after)
    return Plan(moves, tuple(unplaced), total, 0, took, False, "greedy", 0, after)


def _why_not(job: Job, board: Board, found: Blocked) -> str:
    if found.link == BEGUN:
        return f"{board.unfit[job.chain][0]} has begun: a person decides"
    return f"{found.link} finds no place"


def solve(jobs: Sequence[Job], board: Board, now: int, limit_s: float = 10.0) -> Plan:
    """Return the best plan found in `limit_s` seconds; never worse than the greedy one."""
    from ortools.sat.python import cp_model  # seconds to load: only who replans waits for it

    began = time.perf_counter()
    plain = greedy(jobs, board, now)
    options = _options(jobs, board, now, plain, began + limit_s / 2)
    model = cp_model.CpModel()
    chosen: dict[tuple[str, int], cp_model.IntVar] = {}
    standing: dict[tuple[str, int], list[tuple[int, int, cp_model.IntVar]]] = defaultdict(list)
    terms = []
    for job in jobs:
        every = options[job.chain]
        here = [model.new_bool_var(f"{job.chain}/{n}") for n in range(len(every))]
        model.add_exactly_one(here)
        for n, (var, slots) in enumerate(zip(here, every, strict=True)):
            chosen[job.chain, n] = var
            terms.append(cost(job, slots) * var)
            model.add_hint(var, slots == plain.after.get(job.chain))
            for slot in slots or ():
                standing[slot.resource, slot.unit].append((slot.begins, slot.ends, var))
    for places in standing.values():
        # Intervals meet if and only if one holds the other's beginning.
        for at in {begins for begins, _, _ in places}:
            meet = [var for begins, ends, var in places if begins <= at < ends]
            if len(meet) > 1:
                model.add_at_most_one(meet)
    model.minimize(sum(terms))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = max(0.1, limit_s - (time.perf_counter() - began))
    solver.parameters.num_workers = 2
    solver.parameters.random_seed = 1
    status = solver.solve(model)
    count = sum(len(every) for every in options.values())
    took = time.perf_counter() - began
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return plain
    after: dict[str, tuple[Slot, ...]] = {}
    for job in jobs:
        for n, slots in enumerate(options[job.chain]):
            if solver.value(chosen[job.chain, n]) and slots is not None:
                after[job.chain] = slots
    unplaced = [
        (job.chain, dict(plain.unplaced).get(job.chain, "others who lose more need its places"))
        for job in jobs
        if job.chain not in after
    ]
    return Plan(
        _moves(jobs, board, after), tuple(unplaced), round(solver.objective_value),
        round(solver.best_objective_bound), took, status == cp_model.OPTIMAL, "cp-sat", count,
        after,
    )  # fmt: skip


def _options(
    jobs: Sequence[Job], board: Board, now: int, plain: Plan, until: float
) -> dict[str, list[tuple[Slot, ...] | None]]:
    """Return the places considered for each chain; the last is nowhere, for those that are hit.

    Those that are hit come first; of the others those near to them, while there is time.
    """
    hit = [job for job in jobs if board.unfit[job.chain]]
    pivots = {board.unfit[job.chain][0] for job in hit}
    heaviest = max((job.weight for job in hit), default=0)
    struck_at = [s.begins for job in hit for s in job.slots if s.link in pivots]
    options: dict[str, list[tuple[Slot, ...] | None]] = {
        job.chain: [None] if board.unfit[job.chain] else [job.slots] for job in jobs
    }

    def far(job: Job) -> tuple[bool, int, str]:
        here = [s.begins for s in job.slots if s.link in pivots]
        least = min((abs(a - b) for a in here for b in struck_at), default=0)
        return not board.unfit[job.chain], least, job.chain

    for job in sorted(jobs, key=far):
        struck = bool(board.unfit[job.chain])
        found: dict[tuple[Slot, ...], None] = {} if struck else {job.slots: None}
        if job.chain in plain.after:
            found[plain.after[job.chain]] = None
        pivot = board.unfit[job.chain][0] if struck else min(pivots, default="")
        begun = {s.link for s in job.slots[: started(job, now)]}
        # Whom nothing hits is moved only for somebody who loses more by waiting.
        movable = pivot not in begun if struck else job.weight < heaviest and not begun
        if movable and (struck or time.perf_counter() < until):
            _add(found, job, board, now, pivot, jobs if struck else (), until)
        options[job.chain] = [*found, *([None] if struck else [])]
    return options


def _add(
    found: dict[tuple[Slot, ...], None],
    job: Job,
    board: Board,
    now: int,
    pivot: str,
    others: Sequence[Job],
    until: float,
) -> None:
    """Add whole chains around each place of the pivot, nearest first."""
    struck = bool(board.unfit[job.chain])
    if not struck:
        board.take(job.slots)
    for place in _pivots(job, board, now, pivot, others):
        if len(found) >= (PLACES if struck else PLACES // 6) or time.perf_counter() > until:
            break
        chain = _find(job, board, now, pivot, place)
        if not isinstance(chain, Blocked):
            found[tuple(chain)] = None
    if not struck:
        board.put(job.slots)


def _pivots(job: Job, board: Board, now: int, pivot: str, others: Sequence[Job]) -> list[Slot]:
    """Return places for the pivot: free ones by time, and those of patients who lose less."""
    old = next(s for s in job.slots if s.link == pivot)
    length = old.ends - old.begins
    low = max(now, job.ready, old.begins - 3 * DAY_S)
    high = max(old.begins, job.ready) + 28 * DAY_S
    found = [
        Slot(pivot, calendar.resource.id, unit, at, at + length)
        for calendar in board.of(job.template)[pivot]
        for at in calendar.starts(low, high)
        for unit in calendar.units(at, at + length)
    ]
    found += [
        Slot(pivot, s.resource, s.unit, s.begins, s.begins + length)
        for other in others
        if other.weight < job.weight and not board.unfit[other.chain] and started(other, now) == 0
        for s in other.slots
        if s.link == pivot and low <= s.begins <= high
    ]
    if not board.unfit[job.chain]:  # who makes room must leave it
        found = [s for s in found if not _same(s, old)]
    found.sort(key=lambda s: (abs(s.begins - old.begins), s.resource, s.unit))
    # A few places on each day, so that the choice reaches beyond the first day's.
    kept: list[Slot] = []
    by_day: dict[int, int] = defaultdict(int)
    for slot in found:
        by_day[slot.begins // DAY_S] += 1
        if by_day[slot.begins // DAY_S] <= A_DAY:
            kept.append(slot)
    return kept


def _moves(
    jobs: Sequence[Job], board: Board, after: Mapping[str, tuple[Slot, ...]]
) -> tuple[Move, ...]:
    """Return who is moved, each with why."""
    found = []
    for job in jobs:
        new = after.get(job.chain)
        if new is None or new == job.slots:
            continue
        if board.unfit[job.chain] and job.why:
            found.append(Move(job.chain, job.slots, new, job.why, board.unfit[job.chain]))
        elif board.unfit[job.chain]:
            shut = [s.resource for s in job.slots if s.link in board.unfit[job.chain]]
            found.append(Move(job.chain, job.slots, new, "closed", tuple(shut)))
        else:
            now_there = sorted({c for c, slots in after.items() if c != job.chain
                                for a in slots for b in job.slots if _same(a, b)})  # fmt: skip
            found.append(Move(job.chain, job.slots, new, "room", tuple(now_there)))
    return tuple(found)


def _same(a: Slot, b: Slot) -> bool:
    here = (a.resource, a.unit) == (b.resource, b.unit)
    return here and a.begins < b.ends and b.begins < a.ends
