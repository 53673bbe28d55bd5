"""Settlement: from a real log, whose interfaces lost how much, and what a contract makes of it.

A handoff fails where its recorded outcome is not `ok`; a recorded origin moves the failure to the
interface it names. A journey that lost something is shared equally by the interfaces that failed in
it: the Shapley value of the journeys lost. Each interface's part is halved between its giver and
receiver. Journeys still open, and handoffs without an outcome, are left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from stafett.design.incentives.contract import Contract, check, terms
from stafett.design.incentives.game import Game, Vector
from stafett.design.incentives.shapley import shares_of_journeys
from stafett.design.incentives.statement import Contribution, Line, Statement
from stafett.eventlog import EventLog

ENDED_BADLY = ("lost", "failed", "withdrawn")
LEFT_OUT = "-"  # an interface or a party that the contract does not know, on purpose


class Unsettled(ValueError):
    """The log and the contract do not fit; the message says what to map."""


@dataclass(frozen=True)
class Facts:
    """What a log says: rows of closed handoffs, and journeys."""

    rows: pl.DataFrame  # case, interface, giver, receiver, ok, origin
    journeys: int
    successes: int
    open: int
    unrecorded: int
    failed: pl.DataFrame  # case, interface: each failure once, at its origin

    @property
    def interfaces(self) -> list[str]:
        """The interfaces seen, in the order of the log."""
        return self.rows["interface"].unique(maintain_order=True).to_list()


def facts_of(
    log: EventLog,
    interfaces: Mapping[str, str] | None = None,
    parties: Mapping[str, str] | None = None,
) -> Facts:
    """Read the facts; names are replaced as the maps say, LEFT_OUT drops an interface."""
    frame = log.frame.with_columns(pl.col("case", "activity", "outcome", "giver", "receiver",
                                          "origin").cast(pl.String))  # fmt: skip
    open_ = frame.filter((pl.col("outcome") == "open") | pl.col("end").is_null())["case"].unique()
    closed = frame.filter(~pl.col("case").is_in(open_.implode()))
    if closed.is_empty():
        raise Unsettled("no journey of this log is closed: there is nothing to settle yet")
    bad = closed.filter(pl.col("outcome").is_in(ENDED_BADLY))["case"].n_unique()
    journeys = closed["case"].n_unique()
    rows = closed.filter(pl.col("kind") == "handoff").with_columns(
        pl.col("activity").replace(dict(interfaces or {})).alias("interface"),
        pl.col("origin").replace(dict(interfaces or {})),
        pl.col("giver").replace(dict(parties or {})),
        pl.col("receiver").replace(dict(parties or {})),
    )
    rows = rows.filter(pl.col("interface") != LEFT_OUT)
    if rows.is_empty():
        raise Unsettled("the log has no handoff between two groups: there is nothing to settle")
    unrecorded = rows.filter(pl.col("outcome").is_null()).height
    rows = rows.filter(pl.col("outcome").is_not_null()).select(
        "case", "interface", "giver", "receiver", "origin", (pl.col("outcome") == "ok").alias("ok")
    )
    if rows.is_empty():
        raise Unsettled("no handoff has a recorded outcome: nobody can be told from another")
    known = rows["interface"].unique()
    failed = (
        rows.filter(~pl.col("ok"))
        .with_columns(
            pl.when(pl.col("origin").is_in(known.implode()))
            .then("origin").otherwise("interface").alias("interface")
        )
        .select("case", "interface").unique(maintain_order=True)
    )  # fmt: skip
    return Facts(rows, journeys, journeys - bad, len(open_), unrecorded, failed)


def matrix(facts: Facts) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Journeys with a failure, by interfaces."""
    names = facts.interfaces
    cases = facts.failed["case"].unique(maintain_order=True)
    place = dict(zip(cases.to_list(), range(len(cases)), strict=True))
    where = {n: k for k, n in enumerate(names)}
    found = np.zeros((len(cases), len(names)), dtype=np.bool_)
    for case, interface in facts.failed.select("case", "interface").iter_rows():
        found[place[case], where[interface]] = True
    return found


def by_interface(facts: Facts) -> list[Contribution]:
    """Shapley over interfaces; adds up to the journeys that lost something."""
    shares = shares_of_journeys(matrix(facts))
    reached = dict(facts.rows.group_by("interface").len().iter_rows())
    failures = dict(facts.failed.group_by("interface").len().iter_rows())
    return [
        Contribution(n, reached.get(n, 0), failures.get(n, 0), float(s))
        for n, s in zip(facts.interfaces, shares.tolist(), strict=True)
    ]


def by_party(facts: Facts) -> list[Contribution]:
    """Each interface's part halved between those who gave and those who received there."""
    lost: dict[str, float] = {}
    reached: dict[str, int] = {}
    failed: dict[str, int] = {}
    pairs = facts.rows.group_by("interface", "giver", "receiver", maintain_order=True).agg(
        pl.len().alias("n"), (~pl.col("ok")).sum().alias("bad")
    )
    part = {c.name: c.journeys_lost for c in by_interface(facts)}
    bad_at = dict(pairs.group_by("interface").agg(pl.col("bad").sum()).iter_rows())
    all_at = dict(pairs.group_by("interface").agg(pl.col("n").sum()).iter_rows())
    for face, giver, receiver, n, bad in pairs.iter_rows():
        share = bad / bad_at[face] if bad_at[face] else n / all_at[face]
        for who in (giver, receiver):
            name = who or "not recorded"
            lost[name] = lost.get(name, 0.0) + part[face] * share / 2
            reached[name] = reached.get(name, 0) + n
            failed[name] = failed.get(name, 0) + bad
    return [Contribution(w, reached[w], failed[w], lost[w]) for w in sorted(lost)]


def statements(facts: Facts, contract: Contract, game: Game, best: Vector) -> list[Statement]:
    """Each actor's statement; they add up to nothing: the payer pays what the others earn.

    The value of success stays outside (the payer has it; nobody pays it to the payer).
    """
    _fit(facts, game)
    check(contract, game)
    t = terms(contract, game, best)
    faces = {f.name: k for k, f in enumerate(game.interfaces)}
    counted = facts.rows.group_by("interface").agg(pl.len().alias("n"), pl.col("ok").sum())
    seen = {name: (int(n), int(ok)) for name, n, ok in counted.iter_rows()}
    found = []
    for i, a in enumerate(game.actors):
        pool = float(t.pool[i]) - (game.value if a.name == game.payer else 0.0)
        lines = [
            Line("fixed, for each journey", facts.journeys, float(t.fixed[i]) * facts.journeys),
            Line("success of the journey", facts.successes, pool * facts.successes),
        ]
        for name, k in faces.items():
            n, ok = seen.get(name, (0, 0))
            stake, own = float(t.passed[i, k]), float(t.own[i, k])
            amount = stake * (ok - n * float(t.target[k])) + own * (ok - n * t.level)
            lines.append(Line(f"interface {name}", n, amount, name))
        found.append(Statement(a.name, tuple(x for x in lines if abs(x.amount) > 1e-12)))
    return found


def _fit(facts: Facts, game: Game) -> None:
    """Every name of the log is one of the game's; else say which, and how to map them."""
    faces = {f.name for f in game.interfaces}
    actors = {a.name for a in game.actors}
    strange = [n for n in facts.interfaces if n not in faces]
    if strange:
        raise Unsettled(
            f"the contract does not know the interfaces {', '.join(strange)}: say which they are "
            f"with --interface NAME=ONE OF {', '.join(sorted(faces))}, or NAME={LEFT_OUT} to leave "
            "one out"
        )
    seen = set(facts.rows["giver"].drop_nulls()) | set(facts.rows["receiver"].drop_nulls())
    if seen - actors:
        raise Unsettled(
            f"the contract does not know {', '.join(sorted(seen - actors))}: say who they are with "
            f"--party NAME=ONE OF {', '.join(sorted(actors))}"
        )
