"""Contributions are Shapley values; statements balance; names that do not fit are said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from stafett.cli.main import main
from stafett.design.incentives.contract import Contract
from stafett.design.incentives.game import Actor, Game, Interface
from stafett.design.incentives.settle import (
    Unsettled,
    by_interface,
    by_party,
    facts_of,
    statements,
)
from stafett.design.incentives.shapley import exact, lost_by, sampled, shares_of_journeys
from stafett.design.incentives.workbench import bounds
from stafett.eventlog import SCHEMA, EventLog
from stafett.service.settlement import Settlement, settlement_csv
from stafett.service.settlement_work import own

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = st.floats(-100, 100)
GAMES = st.integers(1, 6).flatmap(lambda n: st.lists(NUMBERS, min_size=2**n, max_size=2**n))


@given(GAMES)
@settings(max_examples=40, deadline=None)
def test_efficiency_all_is_shared(worths: list[float]) -> None:
    """Values add up to what all together are worth."""
    v = np.array(worths)
    assert exact(v).sum() == pytest.approx(v[-1] - v[0], abs=1e-6)


@given(GAMES, st.data())
@settings(max_examples=40, deadline=None)
def test_symmetry_and_dummy(worths: list[float], data: st.DataObject) -> None:
    """Who adds nothing gets nothing; two who are alike get the same."""
    n = (len(worths) - 1).bit_length()
    v = np.array(worths)
    masks = np.arange(len(v))
    i = data.draw(st.integers(0, n - 1))
    idle = v[masks & ~(1 << i)]
    assert exact(idle)[i] == pytest.approx(0, abs=1e-9)
    if n > 1:
        j = (i + 1) % n
        a, b = (masks >> i) & 1, (masks >> j) & 1
        swapped = (masks & ~((1 << i) | (1 << j))) | (a << j) | (b << i)
        same = exact((v + v[swapped]) / 2)
        assert same[i] == pytest.approx(same[j], abs=1e-6)


@given(GAMES)
@settings(max_examples=40, deadline=None)
def test_additivity(worths: list[float]) -> None:
    """The value of a sum of games is the sum of the values."""
    v = np.array(worths)
    w = v[::-1].copy()
    assert np.allclose(exact(v + w), exact(v) + exact(w), atol=1e-6)


def test_airport_and_gloves() -> None:
    """Littlechild, Owen 1973: each stretch is shared by those who need it; a rare glove gets most.

    Costs 1, 2, 4: 1/3, 5/6, 17/6. One left and two right gloves: 2/3, 1/6, 1/6.
    """
    costs = [1.0, 2.0, 4.0]
    runway = np.array(
        [max([costs[i] for i in range(3) if m >> i & 1], default=0) for m in range(8)]
    )
    assert exact(runway) == pytest.approx([1 / 3, 5 / 6, 17 / 6])
    pairs = np.array([min(m & 1, (m >> 1 & 1) + (m >> 2 & 1)) for m in range(8)], dtype=float)
    assert exact(pairs) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_exact_by_coalitions_is_the_closed_form_and_sampling_comes_near() -> None:
    """5,000 journeys over 8 interfaces (seed 3), three ways."""
    rng = np.random.default_rng(3)
    failed = rng.random((5000, 8)) < np.linspace(0.01, 0.2, 8)
    worth = lost_by(failed)
    whole = exact(worth)
    assert whole == pytest.approx(shares_of_journeys(failed), rel=1e-9)
    mean, error = sampled(lambda m: float(worth[m]), 8, 200, 3)
    assert np.all(np.abs(mean - whole) < 4 * error + 1e-9)


def log_of(seed: int = 4, journeys: int = 400) -> EventLog:
    """Journeys hospital > courier > plant > hospital with some failures, one still open."""
    rng = np.random.default_rng(seed)
    path = [("pickup", "hospital", "courier", 0.1), ("receipt", "courier", "plant", 0.05),
            ("infusion", "plant", "hospital", 0.08)]  # fmt: skip
    rows = []
    for j in range(journeys):
        for k, (name, giver, receiver, q) in enumerate(path):
            bad = rng.random() < q
            at = BEGIN + timedelta(days=j, hours=k)
            lost = bad and name == "infusion"
            rows.append({
                "case": f"J{j}", "activity": name, "kind": "handoff", "giver": giver,
                "receiver": receiver, "enqueue": at, "start": at,
                "end": None if j == 0 and name == "infusion" else at + timedelta(minutes=5),
                "outcome": "lost" if lost else "deviation" if bad else "ok",
                "detected_at": None, "deviation": None,
                "origin": "pickup" if bad and name == "receipt" and j % 2 else None,
                "row": len(rows) + 1,
            })  # fmt: skip
    return EventLog(pl.DataFrame(rows, schema=SCHEMA))


def game() -> Game:
    """The same chain as a game, with a payer."""
    actors = tuple(Actor(n, 10) for n in ("hospital", "courier", "plant", "payer"))
    faces = (
        Interface("pickup", "hospital", "courier", 0.2),
        Interface("receipt", "courier", "plant", 0.2),
        Interface("infusion", "plant", "hospital", 0.2),
    )
    return Game(300.0, actors, faces, "payer")


def test_contributions_add_up_to_the_journeys_lost() -> None:
    """Over interfaces and over parties; a recorded origin takes the failure there."""
    facts = facts_of(log_of())
    faces = by_interface(facts)
    journeys = facts.failed["case"].n_unique()
    assert sum(c.journeys_lost for c in faces) == pytest.approx(journeys)
    assert sum(c.journeys_lost for c in by_party(facts)) == pytest.approx(journeys)
    moved = {c.name: c.failed for c in faces}
    surfaced = facts.rows.filter(~pl.col("ok"))["interface"].to_list()
    assert moved["receipt"] < surfaced.count("receipt")
    assert facts.journeys == 399 and facts.open == 1


@pytest.mark.parametrize(
    "contract",
    [
        Contract("pool", shares={"hospital": 0.2, "courier": 0.1, "plant": 0.3}),
        Contract("bond", shares={"hospital": 0.2, "courier": 0.1, "plant": 0.3}, bond=0.4),
        Contract("fees", fees={"plant": {"receipt": 90}}, penalties={"pickup": 5}),
        Contract("boss", integrator="plant", subrate=0.2, bears={"plant": 4}),
    ],
)
def test_statements_balance(contract: Contract) -> None:
    """What some earn others pay, to the cent, under every kind of contract."""
    g = game()
    found = statements(facts_of(log_of()), contract, g, bounds(g).best)
    assert {s.party for s in found} == {a.name for a in g.actors}
    assert sum(s.total for s in found) == pytest.approx(0, abs=1e-6)
    assert any(abs(s.total) > 1 for s in found)


def test_more_failures_at_a_handoff_cost_its_two_sides() -> None:
    """Under a bond, a pickup that fails more often costs hospital and courier, not the plant."""
    g = game()
    frame = log_of().frame
    first = (pl.col("activity") == "pickup") & (pl.col("row") > 300)
    worse = EventLog(
        frame.with_columns(
            pl.when(first).then(pl.lit("deviation")).otherwise(pl.col("outcome").cast(pl.String))
            .cast(pl.Categorical).alias("outcome")
        )
    )  # fmt: skip
    bond = Contract("bond", shares={"hospital": 0.2, "courier": 0.1}, bond=1.0)
    best = bounds(g).best
    a, b = (
        {s.party: s.total for s in statements(facts_of(x), bond, g, best)}
        for x in (log_of(), worse)
    )
    assert b["hospital"] < a["hospital"] and b["courier"] < a["courier"]
    assert b["plant"] > a["plant"]


@pytest.mark.parametrize("form", ["pool", "bond", "penalties"])
def test_a_record_in_which_nothing_failed_is_settled(form: str) -> None:
    """Nobody lost a journey, and each statement is there: a young record is mostly so."""
    frame = log_of(journeys=5).frame
    well = EventLog(
        frame.with_columns(pl.lit("ok").cast(pl.Categorical).alias("outcome"),
                           pl.lit(None).cast(pl.Categorical).alias("origin"))
    )  # fmt: skip
    assert [c.journeys_lost for c in by_interface(facts_of(well))] == [0.0, 0.0, 0.0]
    found = own(well, "hospital", 500.0, form, 0.1)  # type: ignore[arg-type]
    assert found.counted is not None and found.counted.successes == found.counted.journeys == 4
    assert found.statement is not None and found.statement.total > 0


def test_a_log_with_nothing_to_settle_says_so() -> None:
    """No closed journey, no recorded outcome: words, not zeros."""
    log = log_of(journeys=3)
    unrecorded = log.frame.with_columns(pl.lit(None).cast(pl.Categorical).alias("outcome"))
    with pytest.raises(Unsettled, match="no handoff has a recorded outcome"):
        facts_of(EventLog(unrecorded))
    still = log.frame.with_columns(pl.lit(None).cast(SCHEMA["end"]).alias("end"))
    with pytest.raises(Unsettled, match="no journey of this log is closed"):
        facts_of(EventLog(still))


def test_the_command_says_which_names_to_map_and_settles(tmp_path: Path) -> None:
    """Unknown names are status 2 with the way out; mapped, the statement comes as JSON."""
    file = tmp_path / "record.jsonl"
    lines = []
    hands = (("H1", "Lund", "Van"), ("H2", "Van", "Plant"))
    for j in range(30):
        for k, (name, giver, receiver) in enumerate(hands):
            bad, at = (j + k) % 5 == 0, BEGIN + timedelta(days=j, hours=k)
            for what, who, minutes in (("Released", giver, 0), ("Accepted", receiver, 20)):
                lines.append({
                    "type": what, "occurred_at": (at + timedelta(minutes=minutes)).isoformat(),
                    "by": {"person": "p", "organisation": who, "role": "r"}, "round": 1,
                    "handoff": name, "giver": "r", "receiver": "r", "with_deviation": bad,
                    "deviations": [], "stream": f"J{j}",
                })  # fmt: skip
    file.write_text("\n".join(
        json.dumps({"stream": e.pop("stream"), "body": {"event": e}}) for e in lines
    ))  # fmt: skip
    run = CliRunner().invoke
    told = run(main, ["incentives", "settle", str(file), "--contract", "bond"])
    assert told.exit_code == 2 and "--interface" in told.output
    args = ["--interface", "H1=pickup", "--interface", "H2=receipt"]
    told = run(main, ["incentives", "settle", str(file), "--contract", "bond", *args])
    assert told.exit_code == 2 and "--party" in told.output
    for name, actor in (("Lund", "hospital"), ("Van", "courier"), ("Plant", "manufacturer")):
        args += ["--party", f"{name} / r={actor}"]
    told = run(main, ["incentives", "settle", str(file), "--contract", "bond", "--json", *args])
    assert told.exit_code == 0, told.output
    body = json.loads(told.output)
    assert sum(s["total"] for s in body["statements"]) == pytest.approx(0, abs=1e-6)
    plain = run(main, ["incentives", "settle", str(file), "--contract", "bond", *args])
    assert plain.exit_code == 0 and "hospital" in plain.output


@pytest.mark.parametrize("form", ["pool", "bond", "penalties"])
def test_an_organisation_sees_its_own_statement_under_the_contract_that_it_chose(form: str) -> None:
    """A pool is shared alike; a bond or a penalty comes on top, at its own interfaces only."""
    log = log_of()
    found: Settlement = own(log, "hospital", 500.0, form, 0.1)  # type: ignore[arg-type]
    assert found.statement is not None and found.counted is not None
    assert found.statement.party == "hospital" and found.counted.journeys > 0
    mine = {c.name for c in found.interfaces}
    touched = {x.interface for x in found.statement.lines if x.interface}
    assert mine and set(found.targets) == mine
    if form == "pool":
        assert not touched
    if form == "penalties":
        assert touched <= mine
    assert f"total,,,,,,{found.statement.total}" in settlement_csv(found)
    with pytest.raises(Unsettled, match="took part in no closed handoff"):
        own(log, "stranger", 500.0, form, 0.1)  # type: ignore[arg-type]
