"""From a log back to the figures that made it: durations, errors, attrition, and all together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from click.testing import CliRunner

from stafett.cli.main import main
from stafett.design.assumptions import numbers
from stafett.design.calibrate import durations as du
from stafett.design.calibrate import errors as er
from stafett.design.calibrate.fit import fit
from stafett.design.calibrate.overlay import overlay
from stafett.design.compile import compile_system
from stafett.design.reading import System, load
from stafett.design.record import record

SEEDS = range(3)


@pytest.mark.parametrize("family", ["lognormal", "weibull"])
def test_censored_durations_give_back_their_figures(family: du.Family) -> None:
    """A third cut short: the interval holds the truth in about 95 of 100 samples."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(100):
        if family == "lognormal":
            t = np.exp(1.0 + 0.5 * rng.standard_normal(150))
        else:
            t = math.e * rng.weibull(2.0, 150)  # log T = 1 + W / 2
        cut = rng.exponential(6.0, 150)
        f = du.fit(du.Durations(np.minimum(t, cut), t <= cut), family)
        _, low, high = f.interval(0)
        held += low <= math.e <= high
    print(f"{family}: {held} of 100 intervals hold the median (seed 5)")
    assert 87 <= held <= 100


def test_an_uncensored_lognormal_has_its_closed_form() -> None:
    """Mean and standard deviation of the logarithms."""
    t = np.array([1.0, 2.0, 3.0, 7.0, 0.5])
    f = du.fit(du.Durations(t, np.ones(5, bool)))
    assert f.beta[0] == pytest.approx(np.log(t).mean(), abs=1e-5)
    assert f.sigma == pytest.approx(np.log(t).std(), rel=1e-4)


def test_what_is_not_censored_as_it_was_is_biased() -> None:
    """Power: leave the pieces cut short out, and the median comes out too small."""
    rng = np.random.default_rng(6)
    t, cut = np.exp(1 + 0.5 * rng.standard_normal(4000)), rng.exponential(3.0, 4000)
    ended = t <= cut
    right = du.fit(du.Durations(np.minimum(t, cut), ended)).interval(0)
    naive = du.fit(du.Durations(t[ended], np.ones(ended.sum(), bool))).interval(0)
    assert right[1] < math.e < right[2]
    assert naive[2] < math.e


def test_the_wrong_family_is_said_not_to_fit() -> None:
    """Weibull data: lognormal is beyond its limit, and Weibull has the better criterion."""
    t = np.random.default_rng(7).weibull(1.5, 400) + 1e-9
    times = du.Durations(t, np.ones(400, bool))
    wrong, right = du.fit(times), du.fit(times, "weibull")
    assert du.distance(times, wrong) > du.critical(400, "lognormal")
    assert du.distance(times, right) < du.critical(400, "weibull")
    assert right.aic < wrong.aic - 10


def test_too_few_to_say_is_said() -> None:
    """Two that ended are no distribution; four findings no rate."""
    with pytest.raises(ValueError, match="2 ended"):
        du.fit(du.Durations(np.array([1.0, 2.0, 3.0]), np.array([True, True, False])))
    empty = er.Findings(np.ones(3), np.ones((3, 3)), np.zeros((3, 3)), np.ones(3), 0.5)
    with pytest.raises(ValueError, match="3 findings"):
        er.fit(empty)


def test_rate_and_detection_are_told_apart_with_most_origins_unrecorded() -> None:
    """Twelve handoffs, 20 % of late origins recorded: three figures within three errors."""
    rng = np.random.default_rng(8)
    j, n, rate, here, later, recorded = 12, 3000, 0.05, 0.6, 0.15, 0.2
    known, unknown = np.zeros((j, j)), np.zeros(j)
    for i in range(j):
        for _ in range(rng.binomial(n, rate)):
            if rng.random() < here:
                known[i, i] += 1
                continue
            for k in range(i + 1, j):
                if rng.random() < later:
                    if rng.random() < recorded:
                        known[i, k] += 1
                    else:
                        unknown[k] += 1
                    break
    d = er.fit(er.Findings(np.full(j, float(n)), np.ones((j, j)), known, unknown, recorded))
    truth = np.array([math.log(rate), math.log(here / 0.4), math.log(later / 0.85)])
    z = (d.theta - truth) / np.sqrt(np.diag(d.covariance))
    print("z:", z.round(2), "seed 8")
    assert np.all(np.abs(z) < 3)
    assert d.values[1] == pytest.approx(here, abs=0.12)


@pytest.fixture(scope="module")
def truth() -> System:
    """The system whose logs are fitted."""
    return load("spain")


def _values(system: System) -> dict[tuple[str, ...], float]:
    found = {p: n.value for p, n in numbers(system.network)}
    return found | {("interfaces", *p): n.value for p, n in numbers(system.interfaces)}


def test_simulate_then_fit_recovers_what_was_put_in(truth: System) -> None:
    """Coverage of 95 % intervals over seeds, printed by kind of figure."""
    true, c = _values(truth), compile_system(truth)
    held: dict[str, list[int]] = {}
    for seed in SEEDS:
        found = fit(record(c, 900.0, 100 + seed), truth, seed=seed)
        assert found.cases > 250
        for e in found.estimates:
            if e.path not in true:  # the protocol's own usual time
                continue
            kind = e.path[0] if e.path[0] != "interfaces" else e.path[-1]
            held.setdefault(kind, []).append(e.low <= true[e.path] <= e.high)
    for kind, values in held.items():
        print(f"{kind}: {sum(values)} of {len(values)} intervals hold the truth")
    every = [v for values in held.values() for v in values]
    print(f"all: {np.mean(every):.1%} (seeds 100 to {99 + len(SEEDS)})")
    assert {"patients", "work", "results", "habits", "rate", "found_here", "found_later"} <= {*held}
    assert np.mean(every) > 0.88
    for kind in ("rate", "found_here", "patients"):
        assert np.mean(held[kind]) > 0.6, kind


def test_a_log_of_another_system_does_not_give_back_this_one(truth: System) -> None:
    """Power: halve a rate and slow a step in what makes the log; the fit says so."""
    import msgspec

    from stafett.design.levers import fewer_errors, scaled, with_network

    n = truth.network
    slow = msgspec.structs.replace(n.work["GROW"], median=scaled(n.work["GROW"].median, 1.5))
    other = with_network(truth, msgspec.structs.replace(n, work={**n.work, "GROW": slow}))
    other = fewer_errors(other, math.log(3))
    found = fit(record(compile_system(other), 900.0, 3), truth, correct=False)
    assert found.of("work", "GROW", "median").low > n.work["GROW"].median.value
    rate = found.of("interfaces", "kinds", "documentation", "rate")
    assert rate.high < truth.interfaces.kinds["documentation"].rate.value


def test_the_overlay_is_a_network_with_intervals_that_are_carried_through(
    truth: System, tmp_path
) -> None:
    """It reads, its figures cite the fit, and drawing it moves what was estimated and only that."""
    from stafett.design.assumptions import sampled

    found = fit(record(compile_system(truth), 700.0, 4), truth, correct=False)
    file = tmp_path / "fitted.yaml"
    file.write_text(overlay(found, "spain"), "utf-8")
    system = load(str(file))
    number = system.network.work["GROW"].median
    e = found.of("work", "GROW", "median")
    assert number.interval and number.source == "fit" and not number.assumption
    assert number.value == pytest.approx(e.value, rel=1e-3)
    assert "n = " in (number.note or "") and "estimated from" in system.network.sources["fit"].title
    rate = system.interfaces.kinds["timing"].rate
    assert rate.interval and rate.value != truth.interfaces.kinds["timing"].rate.value
    draws = [sampled(system, 1, r).network.work["GROW"].median.value for r in range(200)]
    inside = np.mean([(e.low <= d <= e.high) for d in draws])
    assert 0.9 < inside < 0.99


def test_the_command_fits_and_the_result_can_be_compared(tmp_path) -> None:
    """run, fit, compare: a stranger's three commands; bad input is a sentence and status 2."""
    log, file, plot = (str(tmp_path / n) for n in ("log.csv", "fitted.yaml", "qq.svg"))
    r = CliRunner()
    args = ["design", "run", "sweden-tissue", "--days", "1500", "--out", log]
    assert r.invoke(main, args).exit_code == 0
    args = ["design", "fit", log, "--network", "sweden-tissue", "--out", file, "--plot", plot]
    told = r.invoke(main, [*args, "--raw"])
    assert told.exit_code == 0, told.output
    assert "Goodness of fit" in told.output
    assert "<svg" in (tmp_path / "qq.svg").read_text("utf-8")
    args = ["design", "compare", file, "--replications", "2", "--years", "0.5"]
    both = r.invoke(main, [*args, "--assumptions", "sampled"])
    assert both.exit_code == 0, both.output
    assert "Which conclusions survive" in both.output
    assert r.invoke(main, ["design", "fit", log, "--network", "us"]).exit_code == 2
    (tmp_path / "empty.csv").write_text("case,activity\n")
    bad = r.invoke(main, ["design", "fit", str(tmp_path / "empty.csv"), "--network", "us"])
    assert bad.exit_code == 2 and "Error" in bad.output
    # A log of somebody else's: the error says how to name a column, and the command knows how.
    head, _, rows = (tmp_path / "log.csv").read_text("utf-8").partition("\n")
    first = head.split(",")[0]
    (tmp_path / "theirs.csv").write_text(f"{head.replace(first, 'odd', 1)}\n{rows}", "utf-8")
    theirs = ["design", "fit", str(tmp_path / "theirs.csv"), "--network", "sweden-tissue", "--raw"]
    lost = r.invoke(main, theirs)
    assert lost.exit_code == 2 and "--column" in lost.output, lost.output
    found = r.invoke(main, [*theirs, "--column", f"{first}=odd"])
    assert found.exit_code == 0, found.output
    assert r.invoke(main, [*theirs, "--column", "odd"]).exit_code == 2
