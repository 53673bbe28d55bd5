"""The rule by which freed slots are offered: published, deterministic, explained for each patient.

    score = urgency[class] + per_week * min(weeks waited, weeks_cap) + completion * probability

The highest score is offered first; of equals, who has been listed longest, then by identifier. The
weights are data. What they are is a decision of people, not of this module: what centres say they
weigh (time on the list, few other options, disease burden, how likely the patient is to complete
collection and infusion) is published: Kourelis 2023, 17 centres in the United States.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec

from stafett.capacity.calendar import Id, Patient

Urgency = Literal["1", "2", "3"]  # 1: cannot wait a week more; 2: weeks; 3: months
WEEK = timedelta(weeks=1)
# Deaths while waiting, per week: read as a constant hazard from published waits and outcomes in
# myeloma (Kourelis 2023: 25 % over 5.5 months; Tully: 75 % in a year). Both ends are shown.
HAZARD_PER_WEEK = (0.012, 0.027)
Weight = Annotated[float, msgspec.Meta(ge=0, le=1000)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The weights. All are points; none is negative."""

    urgency: dict[Urgency, Weight]
    per_week: Weight
    weeks_cap: Annotated[float, msgspec.Meta(ge=0, le=520)]
    completion: Weight


FIRST = Rule(urgency={"1": 60, "2": 30, "3": 0}, per_week=1.5, weeks_cap=26, completion=20)


class Waiting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A patient on the list, by pseudonym. `completion`: probability to complete the therapy.

    `group` is what effects are also shown by (a region, an age band); it never enters the score.
    """

    patient: Patient
    organisation: str
    template: Id
    listed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    urgency: Urgency
    completion: Annotated[float, msgspec.Meta(ge=0, le=1)]
    group: Annotated[str, msgspec.Meta(max_length=60)] = ""
    ready_from: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Term(msgspec.Struct, frozen=True):
    """One part of a score: `amount` (a class, weeks, a probability) and the points it gives."""

    name: Literal["urgency", "waited", "completion"]
    amount: float
    points: float


class Ranked(msgspec.Struct, frozen=True):
    """A patient's place under a rule, with what it is made of."""

    place: int
    waiting: Waiting
    points: float
    terms: tuple[Term, ...]


def wrong(rule: Rule) -> list[tuple[str, str, str]]:
    """Return what is wrong with a rule: field, what, what to do."""
    found = []
    if rule.urgency.keys() != {"1", "2", "3"}:
        found.append(("urgency", f"has {sorted(rule.urgency)}", "give points for 1, 2 and 3"))
    elif not rule.urgency["1"] >= rule.urgency["2"] >= rule.urgency["3"]:
        found.append(("urgency", "a less urgent class has more points", "let 1 have the most"))
    return found


def score(rule: Rule, one: Waiting, at: datetime) -> tuple[Term, ...]:
    """Return the parts of a patient's score at a moment."""
    weeks = max(0.0, (at - one.listed_at) / WEEK)
    counted = min(weeks, rule.weeks_cap)
    return (
        Term("urgency", float(one.urgency), rule.urgency[one.urgency]),
        Term("waited", round(weeks, 2), round(rule.per_week * counted, 3)),
        Term("completion", one.completion, round(rule.completion * one.completion, 3)),
    )


def rank(rule: Rule, waiting: Iterable[Waiting], at: datetime) -> list[Ranked]:
    """Return the list in the order in which a slot is offered now."""
    scored = [(one, score(rule, one, at)) for one in waiting]
    points = {id(one): round(sum(t.points for t in terms), 3) for one, terms in scored}
    scored.sort(key=lambda s: (-points[id(s[0])], s[0].listed_at, s[0].patient))
    return [
        Ranked(n, one, points[id(one)], terms) for n, (one, terms) in enumerate(scored, start=1)
    ]


def ahead(first: Ranked, second: Ranked) -> list[tuple[str, float]]:
    """Say why `first` stands before `second`: the parts that differ, the largest first.

    With equal points it is the date of listing, or the identifier: named with 0 points.
    """
    differ = [
        (a.name, round(a.points - b.points, 3))
        for a, b in zip(first.terms, second.terms, strict=True)
        if a.points != b.points
    ]
    if first.points == second.points:
        same = first.waiting.listed_at == second.waiting.listed_at
        return [("identifier" if same else "listed", 0.0)]
    return sorted(differ, key=lambda d: -abs(d[1]))


LEAST = 5  # patients of others in a group that is shown by itself
POOLED = "*"


class Effect(msgspec.Struct, frozen=True):
    """What a rule does to one group in a replay; POOLED is the small ones together.

    `wait_weeks` is the mean from listing to the offer, of those who got one. `reached` is the
    expected number who live to their offer and complete, over the published range of the hazard.
    """

    by: str
    group: str
    patients: int
    offered: int
    wait_weeks: float | None
    reached: tuple[float, float]


def replay(
    rule: Rule,
    waiting: Sequence[Waiting],
    slots: Sequence[datetime],
    since: datetime,
    *,
    reader: str | None = None,
    least: int = LEAST,
) -> list[Effect]:
    """Offer `slots` one after the other to the list as it is; return the effect on each group.

    Nobody joins or leaves meanwhile: two rules are compared on the same list and the same slots.
    A group in which fewer than `least` patients are not the `reader` organisation's own is shown
    only together with others (POOLED), or not at all: what happens to so few is told of nobody.
    """
    left, got = list(waiting), dict[str, datetime]()
    for at in sorted(slots):
        able = [one for one in left if one.ready_from is None or one.ready_from <= at]
        if able:
            first = rank(rule, able, at)[0].waiting
            got[first.patient] = at
            left.remove(first)
    groups: dict[tuple[str, str], list[Waiting]] = {}
    for one in waiting:
        for by in ("all", "urgency", "organisation", "group"):
            name = "" if by == "all" else str(getattr(one, by))
            groups.setdefault((by, name), []).append(one)
    kept = {key: members for key, members in groups.items() if key[0] in ("all", "organisation")}
    for by in ("urgency", "group"):
        mine = {key: members for key, members in groups.items() if key[0] == by}
        kept |= _pooled(by, mine, reader, least)
    return [_effect(by, name, members, got, since) for (by, name), members in sorted(kept.items())]


def _pooled(
    by: str, groups: dict[tuple[str, str], list[Waiting]], reader: str | None, least: int
) -> dict[tuple[str, str], list[Waiting]]:
    """Return the groups of one kind with the small ones put together.

    The total stands beside them, so a small one that is left out alone could be reckoned: the next
    smallest goes with it until there are `least` others' patients in the pool.
    """

    def others(members: list[Waiting]) -> int:
        return sum(one.organisation != reader for one in members)

    order = sorted(groups.items(), key=lambda item: (others(item[1]), item[0]))
    pool: list[Waiting] = []
    kept = dict(order)
    for key, members in order:
        if others(members) == 0:
            continue  # one's own patients
        if others(members) >= least and (not pool or others(pool) >= least):
            break
        pool += kept.pop(key)
    if pool and others(pool) >= least:
        kept[by, POOLED] = pool
    return kept


def _effect(
    by: str, name: str, members: list[Waiting], got: dict[str, datetime], since: datetime
) -> Effect:
    served = [(one, got[one.patient]) for one in members if one.patient in got]
    waits = [(at - one.listed_at) / WEEK for one, at in served]
    low, high = (
        sum(one.completion * math.exp(-hazard * ((at - since) / WEEK)) for one, at in served)
        for hazard in reversed(HAZARD_PER_WEEK)
    )
    return Effect(
        by, name, len(members), len(served),
        round(sum(waits) / len(waits), 2) if waits else None,
        (round(low, 2), round(high, 2)),
    )  # fmt: skip
