"""What contracts and capital ask of the simulation, and executors of one's own."""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.design.compare import compare
from stafett.design.compile import compile_system
from stafett.design.experiment import Plan
from stafett.design.levers import LEVERS, demand
from stafett.design.marginal import marginal, reliabilities
from stafett.design.reading import System, load, names
from stafett.simulation import simulate

PLAN = Plan(4, 1.0, 0.5, 3)


def test_marginal_effects_are_told_for_every_lever_and_divided_by_a_price(
    four: dict[str, System],
) -> None:
    """More lines help a crowded Sweden and cost; twice the price, half the patients for it."""
    found = {m.lever: m for m in marginal(demand(four["sweden"], 1.6), PLAN, 0.7)}
    assert set(found) == {x.name for x in LEVERS}
    lines = found["manufacturing capacity"]
    assert lines.treated.clear and lines.treated.mean > 0 and lines.cost.mean > 0
    assert lines.per_money(100).mean == pytest.approx(2 * lines.per_money(200).mean)
    with pytest.raises(ValueError, match="above 0"):
        lines.per_money(0)


def test_reliabilities_are_chances_in_the_order_of_the_journey(four: dict[str, System]) -> None:
    """One for each handoff, between 0.5 and 1."""
    found = reliabilities(four["uk"], PLAN)
    assert tuple(found) == compile_system(four["uk"]).handoffs
    assert all(0.5 < e.mean <= 1 for e in found.values())


def test_another_executor_gives_the_same_comparison(four: dict[str, System]) -> None:
    """A process, as a cluster would: equal to the last bit to threads of this machine."""
    one = {"spain": four["spain"]}
    plan = Plan(2, 0.5, 0.25, 3)
    here = compare(one, plan)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = compare(one, plan, executor=pool)
    assert repr(here) == repr(there)


@pytest.mark.parametrize("name", names())
def test_every_built_in_network_simulates_whole_journeys(name: str) -> None:
    """All who are referred come to a named end of their protocol, and most are treated."""
    c = compile_system(load(name))
    s, _ = simulate(c.model, Plan(1, 4.0, 0.5).horizon, 2)
    assert s.open == 0 and s.ended.sum() == s.arrivals.sum()
    treated = sum(
        int(n)
        for o, n in zip(c.model.outcomes, s.ended, strict=True)
        if c.system.protocol.outcomes[o].treated
    )
    assert treated > 0.4 * s.arrivals.sum()


def test_every_built_in_protocol_has_a_network() -> None:
    """The five protocols of the catalogue, Spain at the point of care."""
    assert {load(n).network.protocol for n in names()} == {
        "autologous-car-t",
        "point-of-care-car-t",
        "allogeneic",
        "in-vivo-aav",
        "tissue-engineered",
    }
    assert load("spain").network.protocol == "point-of-care-car-t"


def test_compare_takes_every_network_of_a_protocol() -> None:
    """`--protocol` chooses; one that has none is a sentence that names those there are."""
    args = ["design", "compare", "--replications", "2", "--years", "0.5", "--protocol"]
    told = CliRunner().invoke(main, [*args, "in-vivo-aav"])
    assert told.exit_code == 0 and "sweden-aav" in told.output
    wrong = CliRunner().invoke(main, [*args, "magic"])
    assert wrong.exit_code == 2 and "tissue-engineered" in wrong.output


SPAIN = (files("stafett") / "catalogue" / "networks" / "sweden.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("pattern", "put", "words"),
    [
        (r"places: \{value: [\d.]+, low: [\d.]+", "places: {value: -2, low: -3", "above 0"),
        (r"chair: \{value: 2, low: 1", "chair: {value: 0, low: 0", "no place in pool"),
        (r"TRANSPORT_OUT:\n", "TRANSPORT_SIDEWAYS:\n", "no activity|no lane"),
        (r"(H12c=failed: \{value: )[\d.]+, low: [\d.]+, high: [\d.]+", r"\g<1>1.7, low: 0, high: 2",
         "no probability"),
        (r"(H12c:\n    median: \{value: )[\d.]+", r"\g<1>7 days", "number, not text"),
        (r"(per_year: \{value: )115, low: 80", r"\g<1>-5, low: -80", "above 0"),
        (r"owner: stockholm\n    share", "owner: atlantis\n    share", "no owner"),
        (r"courier: carrier", "courier: nowhere", "no organisation"),
        (r"(dies: \{value: )[\d.]+, low: [\d.]+", r"\g<1>-0.1, low: -1", "below 0"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_file_and_line(
    tmp_path: Path, pattern: str, put: str, words: str
) -> None:
    """Capacities, lanes, probabilities, units, sites: FILE:LINE, what, and status 2."""
    text, n = re.subn(pattern, put, SPAIN, count=1)
    assert n == 1, "the pattern finds nothing: mend the test"
    file = tmp_path / "wrong.yaml"
    file.write_text(text, "utf-8")
    told = CliRunner().invoke(main, ["design", "check", str(file)])
    assert told.exit_code == 2, told.output
    flat = told.output.replace("\n", " ")
    assert re.search(r"wrong\.yaml:\d+:\d+", flat), flat
    assert re.search(words, flat), flat
