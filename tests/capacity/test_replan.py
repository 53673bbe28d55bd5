"""Replanning: few are moved, those who lose least; never worse than naive."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from small_network import resource
from stafett.capacity.board import Board, Job
from stafett.capacity.calendar import DAY_S, Calendar, Change, Resource, moment
from stafett.capacity.chain import broken, templates
from stafett.capacity.replan import Plan, greedy, solve
from stafett.capacity.search import Blocked, earliest

HOUR = 3600
START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
TEMPLATE = templates()["autologous-car-t"]
WHERE = {
    "apheresis": ["chair"], "pickup": ["van"], "manufacture": ["suite"],
    "quality-control": ["qc"], "return": ["van"], "bed": ["bed"],
}  # fmt: skip


def network(units: int) -> list[Resource]:
    """Return a network with so many suites."""
    grid = {"chair": 120, "van": 120}  # coarse, so that the search is short
    names = ("chair", "van", "suite", "qc", "bed")
    return [
        resource(r, units=units if r == "suite" else 60, step_minutes=grid.get(r, 60))
        for r in names
    ]


def filled(
    resources: Sequence[Resource], count: int, every_h: float, draw: random.Random
) -> list[Job]:
    """Book chains one after the other, as they would have been."""
    board = Board(resources, (), WHERE)
    jobs = []
    for n in range(count):
        begin = START + round(n * every_h) * HOUR
        found = earliest(TEMPLATE, board.of(TEMPLATE), begin, begin + 60 * DAY_S)
        assert not isinstance(found, Blocked)
        board.put(found)
        jobs.append(Job(f"chain-{n:03}", TEMPLATE, tuple(found), draw.choice((1, 2, 3))))
    return jobs


def closed(resources: Sequence[Resource], begin: int, days: int, open_: int) -> list[Resource]:
    """Return the network with only so many suites open for a while."""
    change = Change(moment(begin), moment(begin + days * DAY_S), open_, "down")
    return [
        msgspec.structs.replace(r, changes=(change,)) if r.id == "suite" else r for r in resources
    ]


def sound(plan: Plan, jobs: Sequence[Job], resources: Sequence[Resource]) -> None:
    """Fail if a plan gives a unit twice, breaks a lead time, or is where it is closed."""
    calendars = {r.id: Calendar(r) for r in resources}
    for chain, slots in plan.after.items():
        assert broken(TEMPLATE, slots) == [], chain
        for s in slots:
            assert calendars[s.resource].fits(s.unit, s.begins, s.ends), (chain, s)
            calendars[s.resource].put(s.unit, s.begins, s.ends)
    assert plan.after.keys() | {c for c, _ in plan.unplaced} == {j.chain for j in jobs}


def test_a_plan_is_sound_and_no_worse_than_the_naive_one() -> None:
    """On random networks with suites down: whole chains, no unit twice, cost at most greedy's."""
    seed = random.SystemRandom().randrange(1 << 30)
    print("seed", seed)
    draw = random.Random(seed)
    moved = 0
    for _ in range(4):
        units = draw.randint(2, 4)
        resources = network(units)
        jobs = filled(resources, draw.randint(8, 16), 7 * 24 / units * 1.1, draw)
        at = START + draw.randint(4, 15) * DAY_S
        down = closed(resources, at, draw.randint(3, 7), draw.randint(0, units - 1))
        plain = greedy(jobs, Board(down, jobs, WHERE), START)
        plan = solve(jobs, Board(down, jobs, WHERE), START, 3.0)
        for one in (plain, plan):
            sound(one, jobs, down)
        assert plan.cost <= plain.cost, seed
        assert plan.bound <= plan.cost and 0 <= plan.gap <= 1
        moved += len(plan.moves)
    assert moved > 0


def test_the_urgent_patient_takes_the_place_and_the_plan_says_why() -> None:
    """One suite is down for the urgent patient; the only place in time is that of one who can wait:
    the naive plan places nobody there, the solver moves the other and says for whom."""
    resources = network(2)
    board = Board(resources, (), WHERE)
    first = earliest(TEMPLATE, board.of(TEMPLATE), START, START + DAY_S)
    assert not isinstance(first, Blocked)
    board.put(first)
    second = earliest(TEMPLATE, board.of(TEMPLATE), START, START + DAY_S)
    assert not isinstance(second, Blocked)
    assert second[2].unit == 1
    deadline = second[-1].begins + DAY_S
    urgent = Job("urgent", TEMPLATE, tuple(second), 1, deadline)
    jobs = [Job("calm", TEMPLATE, tuple(first), 3), urgent]
    down = closed(resources, second[2].begins, 30, 1)
    plain = greedy(jobs, Board(down, jobs, WHERE), START)
    assert [chain for chain, _ in plain.unplaced] == ["urgent"]
    plan = solve(jobs, Board(down, jobs, WHERE), START, 5.0)
    sound(plan, jobs, down)
    assert plan.unplaced == () and plan.optimal and plan.gap == 0
    why = {m.chain: (m.why, m.about) for m in plan.moves}
    assert why == {"urgent": ("closed", ("suite",)), "calm": ("room", ("urgent",))}


def test_what_has_begun_is_not_moved() -> None:
    """Who is in the suite when it closes cannot be moved: a person must decide."""
    resources = network(1)
    jobs = filled(resources, 1, 1, random.Random(1))
    at = jobs[0].slots[2].begins
    down = closed(resources, at + DAY_S, 1, 0)
    plan = solve(jobs, Board(down, jobs, WHERE), at + HOUR, 1.0)
    assert plan.moves == () and plan.unplaced[0][0] == "chain-000"
    assert "begun" in plan.unplaced[0][1]


def test_nothing_to_do_moves_nobody() -> None:
    """Where everything still fits the plan is empty and costs nothing."""
    resources = network(2)
    jobs = filled(resources, 4, 30, random.Random(1))
    plan = solve(jobs, Board(resources, jobs, WHERE), START, 1.0)
    assert plan.moves == () and plan.unplaced == () and plan.cost == 0 and plan.gap == 0
