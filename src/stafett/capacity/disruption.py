"""What happened to a plan, and the plans that can follow it. Pure.

A courier is late, a slot was missed, a batch has failed, a resource has closed. What has really
happened stays; what follows from it is planned anew, and each plan says whom it moves and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import msgspec

from stafett.capacity.board import Board, Job
from stafett.capacity.booking import Moment
from stafett.capacity.calendar import DAY_S, Id, Resource, seconds
from stafett.capacity.chain import HOUR_S, Slot, Template
from stafett.capacity.replan import Plan, greedy, solve

Kind = Literal["late", "missed", "failed", "closed"]
# How a plan is named: the best for all, nobody but who is hit, and that at least a day later.
Way = Literal["best", "alone", "later"]


class Cause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happened. `late`: the chain's `link` ends only `at`. `missed`, `failed`: `link` is done
    again, from `at` on at the earliest. `closed`: a calendar of one's own has changed, and what
    stands in `resource` no longer fits it.
    """

    kind: Kind
    chain: Id | None = None
    link: Id | None = None
    at: Moment | None = None
    resource: Id | None = None


def wrong(cause: Cause) -> list[tuple[str, str, str]]:
    """Return what is wrong with a cause: field, what, what to do."""
    wanted = ("resource",) if cause.kind == "closed" else ("chain", "link", "at")
    found = []
    for field in ("chain", "link", "at", "resource"):
        given = getattr(cause, field) is not None
        if given != (field in wanted):
            what = "is missing" if not given else f"says nothing of what is {cause.kind}"
            found.append((field, what, f"give {', '.join(wanted)}"))
    return found


def struck(
    cause: Cause, template: Template, chain: str, slots: Sequence[Slot], urgency: int,
    deadline: int | None,
) -> Job:  # fmt: skip
    """Return the chain to which it happened, as what is left to be planned.

    Raises ValueError: the link is not one of the chain's, or it ends before it begins.
    """
    names = [slot.link for slot in slots]
    if cause.link not in names or cause.at is None:
        raise ValueError(f"{cause.link!r} is not one of {', '.join(names)}")
    n, at, really = names.index(cause.link), seconds(cause.at), list(slots)
    if cause.kind == "late":
        if at <= slots[n].begins:
            raise ValueError(f"{cause.link} begins only after that")
        kept, not_before = n + 1, 0
        really[n] = msgspec.structs.replace(slots[n], ends=at)
    else:
        kept, not_before = n, at
        if n:
            # The link's time counts from when what came before is ready for it again.
            ready = at - round(template.links[n].lead_min_h * HOUR_S)
            ends = max(slots[n - 1].ends, ready)
            really[n - 1] = msgspec.structs.replace(slots[n - 1], ends=ends)
    return Job(chain, template, tuple(really), urgency, deadline, cause.kind, kept, not_before)


class Follows(NamedTuple):
    """What follows: which links of which chains no longer hold, and the plans, the best first."""

    hits: dict[str, tuple[str, ...]]
    plans: list[tuple[Way, Plan]]


def follows(
    jobs: Sequence[Job], resources: Sequence[Resource], where: Mapping[str, Sequence[str]],
    standing: Sequence[Slot], now: int, limit_s: float,
) -> Follows:  # fmt: skip
    """Return what follows for `jobs`; the plans differ from one another.

    `standing` holds what no plan moves, and the links of a struck chain that stay.
    """
    stay = [slot for job in jobs for slot in job.slots[: job.kept]]
    fixed = [*standing, *stay]

    def board(of: Sequence[Job]) -> Board:
        return Board(resources, of, where, fixed)

    hits = {chain: links for chain, links in board(jobs).unfit.items() if links}
    if not hits:
        return Follows({}, [])
    alone = greedy(jobs, board(jobs), now)
    found: list[tuple[Way, Plan]] = [
        ("best", solve(jobs, board(jobs), now, limit_s)), ("alone", alone)
    ]  # fmt: skip
    one = next((job for job in jobs if job.why and job.chain in alone.after), None)
    if one is not None and len(hits) == 1:
        pivot = hits[one.chain][0]
        first = next(s.begins for s in alone.after[one.chain] if s.link == pivot)
        later = replace(one, not_before=first - first % DAY_S + DAY_S)
        others = [later if job is one else job for job in jobs]
        found.append(("later", greedy(others, board(others), now)))
    distinct: list[tuple[Way, Plan]] = []
    for way, plan in found:
        same = any(_seen(plan) == _seen(other) for _, other in distinct)
        if not same and (way != "later" or not plan.unplaced):
            distinct.append((way, plan))
    return Follows(hits, distinct)


def _seen(plan: Plan) -> frozenset[tuple[str, str, str, int]]:
    """Return what people see of a plan: a place is not told by its unit."""
    return frozenset(
        (chain, s.link, s.resource, s.begins) for chain, slots in plan.after.items() for s in slots
    )
