"""Comparison, validation and levers: intervals, pairing, and answers known beforehand."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.resources import files

import msgspec
import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.design.capital.map import gains
from stafett.design.capital.reading import load as load_capital
from stafett.design.compare import compare
from stafett.design.effort import levers
from stafett.design.estimate import difference, estimate
from stafett.design.experiment import Design, Plan, run
from stafett.design.levers import fewer_errors, scaled, set_to, spread, training, with_network
from stafett.design.reading import System
from stafett.design.validate import validate


def test_an_estimate_has_students_interval() -> None:
    """Four values: mean, and t(0.975, 3) = 3.182 standard errors to each side."""
    e = estimate([1.0, 2.0, 3.0, 4.0])
    assert e.mean == 2.5
    assert e.high - e.mean == pytest.approx(3.182 * math.sqrt(5 / 3) / 2, rel=1e-3)
    assert not estimate([-1.0, 1.0, 0.5]).clear
    assert difference([2.0, 3.0, 4.1], [1.0, 2.0, 3.0]).clear
    assert math.isnan(estimate([math.nan]).mean)


def test_common_random_numbers_narrow_a_difference(four: dict[str, System], small: Plan) -> None:
    """The paired interval is narrower than that of two unrelated runs."""
    n = four["sweden"].network
    shorter = msgspec.structs.replace(
        n.work["H12c"], median=scaled(n.work["H12c"].median, 0.8)
    )  # fmt: skip
    better = with_network(
        four["sweden"], msgspec.structs.replace(n, work={**n.work, "H12c": shorter})
    )
    r = run({"a": Design(four["sweden"]), "b": Design(better)}, small)
    a, b = r.values("a", "collected_to_infused"), r.values("b", "collected_to_infused")
    paired = difference(b, a)
    crossed = difference(b[1:] + b[:1], a)
    assert paired.clear and paired.mean < 0
    assert paired.high - paired.low < 0.8 * (crossed.high - crossed.low)


def test_a_constraint_made_binding_is_where_the_pressure_is(
    four: dict[str, System], small: Plan
) -> None:
    """Take lines away from one of two equal systems: its pressure is manufacturing capacity."""
    n = four["uk"].network
    line = n.pools["line"]
    assert line.places is not None
    few = msgspec.structs.replace(line, places=scaled(line.places, 0.6))
    starved = msgspec.structs.replace(n, network="starved", pools={**n.pools, "line": few})
    systems = {"uk": four["uk"], "starved": with_network(four["uk"], starved)}
    c = compare(systems, Plan(10, 1.0, 0.75, 7))
    assert c.pressure["starved"].pressure in ("manufacturing capacity", "time to make")
    gain = c.marginal["starved"]["manufacturing capacity"]["treated_share"]
    assert gain.clear
    assert gain.mean > 3 * c.marginal["uk"]["manufacturing capacity"]["treated_share"].mean
    assert c.pressure["uk"].relieved in ("manufacturing capacity", "time to make")
    assert c.against_first["starved"]["treated_share"].high < 0
    assert c.scale["uk"]["20x"].mean < c.scale["uk"]["2x"].mean
    assert c.missing == 0


def test_validation_says_no_when_the_simulation_is_wrong(
    four: dict[str, System], small: Plan
) -> None:
    """Double the growing time: vein to vein leaves its published range, and the row says so."""
    n = four["us"].network
    slow = msgspec.structs.replace(n.work["H12c"], median=scaled(n.work["H12c"].median, 2.5))
    wrong = with_network(four["us"], msgspec.structs.replace(n, work={**n.work, "H12c": slow}))
    few = Plan(3, 1.0, 0.5)
    right = {r.published.measure: r for r in validate({"us": four["us"]}, few).rows}
    bad = {r.published.measure: r for r in validate({"us": wrong}, few).rows}
    assert right["collected_to_infused"].inside
    assert not bad["collected_to_infused"].inside
    assert all(math.isfinite(r.simulated.mean) for r in right.values())


def test_effort_is_shared_out_and_groups_are_compared(four: dict[str, System], small: Plan) -> None:
    """Each group helps Sweden; the difference of the groups is the difference of their effects."""
    o = levers({"sweden": four["sweden"]}, small, 1.4)["sweden"]
    for group in ("component", "interface"):
        assert o.groups[group]["treated_share"].clear, group
        assert o.groups[group]["treated_share"].mean > 0
    gap = o.interfaces_minus_components["treated_share"].mean
    parts = [o.groups[g]["treated_share"].mean for g in ("interface", "component")]
    assert gap == pytest.approx(parts[0] - parts[1])
    whole, half = (x["errors made at interfaces"]["treated_share"].mean for x in (o.levers, o.half))
    assert whole > half > 0


def test_two_levers_that_do_the_same_work_give_less_than_their_sum(
    four: dict[str, System], small: Plan
) -> None:
    """Six pairs of the four best; each pair's interaction is what it gives beyond both alone."""
    o = levers({"sweden": four["sweden"]}, small, 1.4)["sweden"]
    best = sorted(o.levers, key=lambda x: -o.levers[x]["treated_share"].mean)[:4]
    assert len(o.interactions) == 6
    assert {x for pair in o.interactions for x in pair.split(" × ")} == set(best)
    sums = [v["treated_share"] for v in o.interactions.values()]
    assert min(e.mean for e in sums) < 0
    assert all(e.low <= e.mean <= e.high for e in sums)


def test_training_helps_those_who_are_strangers(four: dict[str, System], small: Plan) -> None:
    """Fewer errors in Sweden, whose pairs meet 20 times a year; none where they always do."""
    strangers, train = four["sweden"], partial(training, effort=1.0)
    habits = msgspec.structs.replace(
        strangers.network.habits, pair_cases=set_to(strangers.network.habits.pair_cases, 1e5)
    )
    familiar = with_network(strangers, msgspec.structs.replace(strangers.network, habits=habits))
    found = run(
        {"before": Design(strangers), "after": Design(strangers, change=train),
         "always": Design(familiar), "still": Design(familiar, change=train)}, small,
    )  # fmt: skip
    made = {n: found.values(n, "errors_per_journey") for n in found.figures}
    assert difference(made["after"], made["before"]).high < 0
    assert made["always"] == made["still"]


def test_the_spread_of_an_effort_is_the_sum_of_its_parts(four: dict[str, System]) -> None:
    """Four interface levers share an effort of 0.8: errors fall by e^-0.2, as with 0.2 alone."""
    spread_ = spread(four["uk"], "interface", 0.8).interfaces.kinds["timing"].rate.value
    alone = fewer_errors(four["uk"], 0.2).interfaces.kinds["timing"].rate.value
    assert spread_ == pytest.approx(alone)


def test_the_command_compares_and_prints_json(tmp_path) -> None:
    """Two systems, few replications: a table for people, JSON for programs; the same twice."""
    args = ["design", "compare", "sweden", "spain", "--replications", "4", "--years", "0.5"]
    kept = ["--store", str(tmp_path / "runs.jsonl")]
    one = CliRunner().invoke(main, [*args, "--json", *kept])
    assert one.exit_code == 0, one.output
    c = json.loads(one.output)
    assert set(c["figures"]) == {"sweden", "spain"}
    assert c["figures"]["sweden"]["treated_share"]["low"] < 100
    assert CliRunner().invoke(main, [*args, "--json"]).output == one.output
    told = CliRunner().invoke(main, [*args, *kept])
    # With four replications it says where the pressure is, or that no lever is clear.
    for name in ("sweden", "spain"):
        assert f"{name}: the pressure is on" in told.output or f"{name}: no lever" in told.output
    assert "assumptions" in told.output


def test_the_commands_refuse_what_they_cannot_read() -> None:
    """Exit status 2 and a sentence."""
    for args in (["compare", "atlantis"], ["check", "atlantis"], ["levers", "uk", "uk"]):
        result = CliRunner().invoke(main, ["design", *args])
        assert result.exit_code == 2, args
        assert "Error" in result.output


def test_an_unstable_queue_is_said_with_its_load_and_the_line_of_its_places(tmp_path) -> None:
    """A tenth of the lines: `check` says no; what runs it says on standard error what it runs."""
    good = (files("stafett") / "catalogue" / "networks" / "uk.yaml").read_text("utf-8")
    bad = good.replace("places: {value: 8.5, low: 5,", "places: {value: 1, low: 0.5,")
    file = tmp_path / "starved.yaml"
    file.write_text(bad)
    line = bad[: bad.index("places: {value: 1, low: 0.5,")].count("\n") + 1
    said = rf"starved\.yaml:{line}:\d+: line \(all\): offered load [1-9]\d\d%, unstable"
    result = CliRunner().invoke(main, ["design", "check", str(file)])
    assert result.exit_code == 1
    assert re.search(said, result.output), result.output
    few = ["--replications", "2", "--years", "0.1", "--json"]
    run = CliRunner().invoke(main, ["design", "validate", str(file), *few])
    assert re.search(said, run.stderr), run.stderr
    assert json.loads(run.stdout)
    assert CliRunner().invoke(main, ["design", "check", "uk"]).exit_code == 0


def test_demand_that_a_file_adds_to_another_is_said_at_its_own_line(tmp_path) -> None:
    """The places stand in the built-in network that it extends; what is too much stands here."""
    file = tmp_path / "crowd.yaml"
    more = "patients:\n  per_year: {value: 5000, low: 1, high: 9000, assumption: true}\n"
    file.write_text(f"extends: sweden\nnetwork: crowd\n{more}")
    result = CliRunner().invoke(main, ["design", "check", str(file)])
    assert result.exit_code == 1
    assert re.search(
        r"crowd\.yaml:4:3: line \(all\): offered load \d+%, .*5000 patients a year", result.output
    )


@pytest.mark.parametrize(
    ("over", "line", "words"),
    [
        ("labelling: {consequences: {making: {lost: {value: 0.9, low: 0, high: 1, assumption: true}"
         ", rework: {value: 0.9, low: 0, high: 1, assumption: true}}}}", 3, "add up to 2"),
        ("timing: {effect: {digital: {value: -1, low: -1, high: 1, assumption: true}}}", 3,
         "must not be below 0"),
        ("timing: {found_later: {value: 1.1, low: 0, high: 2, assumption: true}}", 3,
         "1.1 is no probability"),
    ],
)  # fmt: skip
def test_an_interface_model_that_cannot_be_is_refused(tmp_path, over, line, words) -> None:
    """Its probabilities and its factors, with the line where the network lays them over."""
    file = tmp_path / "odd.yaml"
    file.write_text(f"extends: sweden\nnetwork: odd\ninterfaces: {{kinds: {{{over}}}}}\n")
    result = CliRunner().invoke(main, ["design", "check", str(file)])
    assert result.exit_code == 2
    assert f"odd.yaml:{line}:" in result.output and words in result.output


def test_every_fault_of_a_file_is_told_at_once_in_the_order_of_its_lines(tmp_path) -> None:
    """Whoever mends one does not meet the next only then."""
    file = tmp_path / "two.yaml"
    file.write_text(
        "extends: sweden\nnetwork: two\nhabits:\n"
        "  digital: {value: 7, low: 0, high: 8, assumption: true}\n"
        "lanes:\n  TRANSPORT_OUT: null\n"
    )
    said = CliRunner().invoke(main, ["design", "check", str(file)]).output
    assert "two.yaml:4:3: a share lies" in said and "two.yaml:5:1: there is no lane" in said
    assert said.index("two.yaml:4") < said.index("two.yaml:5")


def test_an_interrupted_comparison_goes_on_from_its_store(tmp_path) -> None:
    """What was stored is not run again, and the answer is the same."""
    args = ["design", "validate", "spain", "--replications", "3", "--years", "0.5", "--json"]
    plain = CliRunner().invoke(main, args)
    store = ["--store", str(tmp_path / "runs.jsonl")]
    assert CliRunner().invoke(main, [*args, *store]).output == plain.output
    assert (tmp_path / "runs.jsonl").read_bytes().count(b"\n") == 3
    assert CliRunner().invoke(main, [*args, *store]).output == plain.output
    assert (tmp_path / "runs.jsonl").read_bytes().count(b"\n") == 3


def test_what_is_nothing_without_every_replication_is_not_made_of_a_part(
    four: dict[str, System],
) -> None:
    """Ctrl-C on a capital map ends it: it was printed of what there was, and did not say so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            gains(
                {"spain": four["spain"]}, load_capital(), Plan(40, 0.5),
                progress=lambda n: signal.raise_signal(signal.SIGINT) if n else None,
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)


START = "from stafett.cli.main import main; main()"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["validate", "levers", "compare"])
def test_ctrl_c_ends_a_command_with_what_is_finished(command: str, tmp_path) -> None:
    """A real signal: status 130 and how many are missing, with what is finished in the store.

    A run of the same that is smaller reads what is there, and gives what it gives from nothing.
    """
    store = tmp_path / "runs.jsonl"
    args = ["design", command, "sweden-tissue", "spain", "--years", "0.5", "--json"]
    kept = ["--store", str(store), "--workers", "1"]
    # A shell starts what runs in the background with Ctrl-C ignored.
    run = subprocess.Popen(
        [sys.executable, "-c", START, *[a for a in args if a != "--json"], *kept,
         "--replications", "5000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    begun = time.monotonic()
    while not (store.exists() and store.read_bytes().count(b"\n") >= 3):
        # The first run on a machine compiles before.
        assert run.poll() is None and time.monotonic() < begun + 180
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    try:
        _, told = run.communicate(timeout=180)
    finally:
        run.kill()
    assert run.returncode == 130, told[-2000:]
    assert re.search(r"interrupted: \d+ replications are missing", told), told[-2000:]
    had = store.read_bytes().count(b"\n")
    assert had >= 3
    few = ["--replications", "2"]
    again = CliRunner().invoke(main, [*args, *kept, *few])
    assert again.stdout == CliRunner().invoke(main, [*args, *few]).stdout
