"""What the record says an organisation contributed, and what it would owe or earn.

The game is read off the record: its organisations are the actors, its handoffs the interfaces. An
organisation sees the journeys it takes part in, and of the statements only its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from stafett.design.incentives.contract import Contract
from stafett.design.incentives.game import Actor, Game, Interface
from stafett.design.incentives.settle import (
    Contribution,
    Facts,
    Statement,
    Unsettled,
    by_interface,
    facts_of,
    statements,
)
from stafett.design.incentives.workbench import bounds
from stafett.eventlog import EventLog
from stafett.service.learning_work import _from_record

PAYER = "payer"
LATEST = 2**62  # a position beyond every event
LOST, BETA, COST = 0.06, 0.97, 10.0  # assumptions, as in the built-in game: see its file
POOL = 0.6  # of the value, shared equally by the organisations; the payer keeps the rest


@dataclass(frozen=True)
class Settlement:
    """One organisation's view."""

    facts: Facts
    interfaces: list[Contribution]  # those it gives or receives at
    targets: dict[str, float]
    statement: Statement
    organisations: int


def settled(url: str, organisation: str, value: float, rate: float) -> Settlement:
    """`own`, of the record at `url` as the organisation may read it."""
    return own(_from_record(url, LATEST, organisation, None), organisation, value, rate)


def own(log: EventLog, organisation: str, value: float, rate: float) -> Settlement:
    """Settle the journeys that an organisation sees under a pool with a handoff bond at `rate`.

    `value` is what a success is worth, thousand US dollars. Raises Unsettled where there is nothing
    to settle.
    """
    if not (0 < value <= 1e5 and 0 <= rate <= 1):
        raise Unsettled("the value must be above 0 and the rate between 0 and 1")
    names = {
        p: p.split(" / ")[0]
        for side in ("giver", "receiver")
        for p in log.frame[side].cast(pl.String).drop_nulls().unique().to_list()
    }
    facts = facts_of(log, parties=names)
    game = game_of(facts, value)
    actors = [a.name for a in game.actors if a.name != PAYER]
    if organisation not in actors:
        raise Unsettled("your organisation took part in no closed handoff yet")
    shares = {a: POOL / len(actors) for a in actors}
    contract = Contract("bond", shares=shares, bond=rate)
    best = bounds(game).best
    mine = {f.name for f in game.interfaces if organisation in (f.giver, f.receiver)}
    r, _ = game.reliabilities(best)
    every = statements(facts, contract, game, best)
    return Settlement(
        facts,
        [c for c in by_interface(facts) if c.name in mine],
        {f.name: x for f, x in zip(game.interfaces, r, strict=True)},
        next(s for s in every if s.party == organisation),
        len(actors),
    )


def game_of(facts: Facts, value: float) -> Game:
    """The game of a record: each interface between those who most often met there."""
    pairs = (
        facts.rows.drop_nulls(["giver", "receiver"])
        .group_by("interface", "giver", "receiver", maintain_order=True)
        .len()
        .sort("len", descending=True, maintain_order=True)
        .unique("interface", keep="first", maintain_order=True)
    )
    seen = {name: (g, r) for name, g, r, _ in pairs.iter_rows()}
    faces = tuple(
        Interface(n, seen[n][0], seen[n][1] if seen[n][0] != seen[n][1] else None, LOST, BETA)
        for n in facts.interfaces
        if n in seen
    )
    touched = {w for f in faces for w in (f.giver, f.receiver) if w is not None}
    others = set(facts.rows["giver"].drop_nulls()) | set(facts.rows["receiver"].drop_nulls())
    if others - touched:
        raise Unsettled(
            f"{', '.join(sorted(others - touched))} gave or received only where others usually do"
        )
    actors = (*(Actor(w, COST) for w in sorted(touched)), Actor(PAYER, COST))
    return Game(value, actors, faces, PAYER)
