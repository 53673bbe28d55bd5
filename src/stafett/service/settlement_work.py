"""A settlement worked out from the record, in the process that computes.

The game is read off the record: its organisations are the actors, its handoffs the interfaces.
"""

from __future__ import annotations

import msgspec
import polars as pl

from stafett.design.incentives.contract import Contract
from stafett.design.incentives.game import Actor, Game, Interface
from stafett.design.incentives.settle import Facts, Unsettled, by_interface, facts_of, statements
from stafett.design.incentives.workbench import bounds
from stafett.eventlog import EventLog, LogUnreadableError
from stafett.service.computing_messages import Task
from stafett.service.learning_work import _from_record
from stafett.service.settlement import (
    BETA,
    COST,
    LOST,
    POOL,
    Counted,
    Form,
    Settlement,
    Settling,
)

PAYER = "payer"


def settled(task: Task) -> Settlement:
    """What a task asks for, of the record as the organisation may read it."""
    wish = msgspec.json.decode(task.wish, type=Settling)
    try:
        log = _from_record(task.url, wish.position, wish.organisation, None)
        return own(log, wish.organisation, wish.value, wish.form, wish.rate)
    except (Unsettled, LogUnreadableError) as no:
        return Settlement(str(no))


def own(log: EventLog, organisation: str, value: float, form: Form, rate: float) -> Settlement:
    """Settle the journeys that an organisation sees under a form of contract.

    Raises Unsettled where there is nothing to settle.
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
    contract = Contract(form, shares=shares)
    if form == "bond":
        contract = Contract(form, shares=shares, bond=rate)
    elif form == "penalties":
        each = {f.name: rate * value for f in game.interfaces if f.receiver is not None}
        contract = Contract(form, shares=shares, penalties=each)
    best = bounds(game).best
    mine = {f.name for f in game.interfaces if organisation in (f.giver, f.receiver)}
    r, _ = game.reliabilities(best)
    every = statements(facts, contract, game, best)
    return Settlement(
        "",
        Counted(facts.journeys, facts.successes, facts.open, facts.unrecorded),
        tuple(c for c in by_interface(facts) if c.name in mine),
        {f.name: x for f, x in zip(game.interfaces, r, strict=True) if f.name in mine},
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
