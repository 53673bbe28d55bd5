"""A replan as it is kept and shown: what no longer holds, the options, and who must accept one.

What is kept names every chain that a plan moves. What an organisation is shown names those that it
is in; of the others it is told how many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from stafett.capacity.board import Job
from stafett.capacity.booking import Chain, Place, place_of, slots_of
from stafett.capacity.chain import HOUR_S, Slot
from stafett.capacity.disruption import Cause, Follows, Way
from stafett.capacity.replan import Plan

Status = Literal["open", "chosen", "applied", "declined", "overtaken", "ended"]


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A chain with the links that no longer hold."""

    chain: str
    patient: str
    organisations: list[str]
    links: list[str]


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A chain that an option moves, why, and how much later its last link begins.

    `why`: what happened, `closed` (`about` a resource) or `room` (`about` the chains it makes room
    for). `seen` is the version that the option rests on.
    """

    chain: str
    patient: str
    organisation: str
    organisations: list[str]
    seen: int
    why: str
    about: list[str]
    before: list[Place]
    after: list[Place]
    units_before: list[int]
    units: list[int]
    later_h: float


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A chain for which an option finds no place: a person decides."""

    chain: str
    patient: str
    organisations: list[str]
    why: str


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One plan. `others`, `others_left`: chains it moves, or leaves, that are not yours to see.

    `needs` are the organisations that must accept it: all in the chains that it moves. `cost` and
    `bound` are in weights (see `board`); `optimal` and the gap speak of the places considered.
    """

    way: Way
    moves: list[Moved]
    left: list[Left]
    needs: list[str]
    cost: int
    bound: int
    optimal: bool
    seconds: float
    considered: int
    others: int = 0
    others_left: int = 0


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a replan when it is made; it never changes."""

    template: str
    network: str
    cause: Cause
    hits: list[Hit]
    options: list[Option]


class Replan(msgspec.Struct, frozen=True, kw_only=True):
    """A replan as one organisation sees it. `accepted`: organisation -> person."""

    id: str
    organisation: str
    template: str
    network: str
    cause: Cause
    hits: list[Hit]
    other_hits: int
    options: list[Option]
    chosen: int | None
    needs: list[str]
    accepted: dict[str, str]
    status: Status
    reason: str
    version: int
    at: datetime
    ends: datetime


def kept(
    cause: Cause, template: str, network: str, found: Follows, jobs: Mapping[str, Job],
    chains: Mapping[str, Chain], owners: Mapping[str, str],
) -> Kept:  # fmt: skip
    """Return what is kept of what follows. `owners`: resource -> organisation."""
    hits = [
        Hit(
            chain=id_,
            patient=chains[id_].patient,
            organisations=chains[id_].organisations,
            links=list(links),
        )
        for id_, links in found.hits.items()
    ]
    options = [_option(way, plan, jobs, chains, owners) for way, plan in found.plans]
    return Kept(template=template, network=network, cause=cause, hits=hits, options=options)


def _option(
    way: Way, plan: Plan, jobs: Mapping[str, Job], chains: Mapping[str, Chain],
    owners: Mapping[str, str],
) -> Option:  # fmt: skip
    moves = []
    for move in plan.moves:
        chain = chains[move.chain]
        old = slots_of(chain)
        # What stays has its own times; the plan reckoned with what became of them.
        new = [*old[: jobs[move.chain].kept], *move.after[jobs[move.chain].kept :]]
        there = {owners[slot.resource] for slot in new}
        moves.append(
            Moved(
                chain=chain.id,
                patient=chain.patient,
                organisation=chain.organisation,
                organisations=sorted({*chain.organisations, *there}),
                seen=chain.version,
                why=move.why,
                about=list(move.about),
                before=[place_of(slot) for slot in old],
                after=[place_of(slot) for slot in new],
                units_before=[slot.unit for slot in old],
                units=[slot.unit for slot in new],
                later_h=(new[-1].begins - old[-1].begins) / HOUR_S,
            )
        )
    left = [
        Left(
            chain=id_,
            patient=chains[id_].patient,
            organisations=chains[id_].organisations,
            why=why,
        )
        for id_, why in plan.unplaced
    ]
    needs = sorted({name for move in moves for name in move.organisations})
    return Option(
        way=way,
        moves=moves,
        left=left,
        needs=needs,
        cost=plan.cost,
        bound=plan.bound,
        optimal=plan.optimal,
        seconds=round(plan.seconds, 2),
        considered=plan.considered,
    )


def shown_to(organisation: str, hits: Sequence[Hit], options: Sequence[Option]) -> tuple[
    list[Hit], int, list[Option]
]:  # fmt: skip
    """Return what an organisation may see of hits (with how many others) and of options."""
    own_hits = [hit for hit in hits if organisation in hit.organisations]
    seen = []
    for option in options:
        moves = [m for m in option.moves if organisation in m.organisations]
        left = [x for x in option.left if organisation in x.organisations]
        mine = {m.chain for m in moves}
        # A chain that room is made for may be another organisation's.
        told = [
            m
            if m.why != "room"
            else msgspec.structs.replace(m, about=[c for c in m.about if c in mine])
            for m in moves
        ]
        seen.append(
            msgspec.structs.replace(
                option,
                moves=told,
                left=left,
                others=len(option.moves) - len(moves),
                others_left=len(option.left) - len(left),
            )
        )
    return own_hits, len(hits) - len(own_hits), seen


def places(move: Moved) -> list[Slot]:
    """Return where a move puts its chain."""
    return [
        Slot(p.link, p.resource, unit, int(p.begins.timestamp()), int(p.ends.timestamp()))
        for p, unit in zip(move.after, move.units, strict=True)
    ]
