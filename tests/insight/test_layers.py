"""Layers: equal to lme4, honest in its shares, and plain about what it cannot tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from stafett.insight.layers import (
    Factor,
    NotIdentifiableError,
    bootstrap_shares,
    boundary_tests,
    design,
    factor_shares,
    fit,
    layer_shares,
)
from stafett.insight.layers.reml import Reml

LME4 = Path(__file__).parent / "lme4"
LAYER = {
    "patient": "biological",
    "operator": "operational",
    "team": "operational",
    "site": "institutional",
}


def expected(name: str) -> Any:
    """Return what lme4 answered (made by lme4/make.R)."""
    return json.loads((LME4 / "expected.json").read_text())[name]


def model(name: str, covariates: tuple[str, ...] = ()) -> Any:
    """Return the design of one of the data sets that lme4 was given."""
    factors = [Factor(f, LAYER[f]) for f in expected(name)["factors"]]
    return design(pl.read_csv(LME4 / f"{name}.csv"), "y", factors, covariates)


def simulated(
    n: int, sizes: dict[str, tuple[int, float]], seed: int, residual: float = 1.0
) -> pl.DataFrame:
    """Return crossed data with known standard deviations per factor."""
    rng = np.random.default_rng(seed)
    y = rng.normal(0, residual, n)
    columns: dict[str, Any] = {}
    for name, (levels, sd) in sizes.items():
        codes = rng.integers(0, levels, n)
        y = y + rng.normal(0, sd, levels)[codes]
        columns[name] = [f"{name}{code}" for code in codes]
    return pl.DataFrame({**columns, "y": y})


@pytest.mark.parametrize(
    ("name", "covariates"), [("crossed", ("x",)), ("nested", ()), ("singular", ())]
)
def test_the_fit_equals_lme4s(name: str, covariates: tuple[str, ...]) -> None:
    """Standard deviations, fixed effects, their errors and the criterion agree to four digits."""
    want = expected(name)
    got = fit(model(name, covariates))
    assert got.criterion == pytest.approx(want["criterion"], abs=1e-5)
    assert got.sd == pytest.approx(want["sd"], rel=1e-4, abs=1e-9)
    assert got.residual_sd == pytest.approx(want["sigma"], rel=1e-4)
    assert got.beta == pytest.approx(want["beta"], rel=1e-4)
    assert got.beta_se == pytest.approx(want["se"], rel=1e-4)
    # The search stops where the criterion no longer moves in its eighth decimal.
    assert got.max_gradient < 5e-3


@pytest.mark.parametrize(("name", "covariates"), [("crossed", ("x",)), ("nested", ())])
def test_shrunken_estimates_equal_lme4s(name: str, covariates: tuple[str, ...]) -> None:
    """The sites' effects and their conditional standard deviations agree with ranef()."""
    want = expected(name)
    d = model(name, covariates)
    effects, spread = fit(d).estimates()[-1]
    order = [d.labels[-1].index(label) for label in want["labels"]]
    assert effects[order] == pytest.approx(want["effects"], abs=2e-4)
    assert spread[order] == pytest.approx(want["effects_sd"], rel=5e-4)


@pytest.mark.parametrize(("name", "covariates"), [("crossed", ("x",)), ("nested", ())])
def test_the_boundary_statistic_equals_lme4s(name: str, covariates: tuple[str, ...]) -> None:
    """Dropping the site costs in the criterion what it costs in lme4; p is halved on the edge."""
    want = expected(name)
    last = boundary_tests(fit(model(name, covariates)))[-1]
    statistic = want["criterion_without_last"] - want["criterion"]
    assert last.statistic == pytest.approx(statistic, abs=1e-4)
    assert 0 < last.p < 0.5


def test_a_singular_fit_is_said() -> None:
    """A factor without variation is exactly zero, and the note says so in words."""
    got = fit(model("singular"))
    assert got.sd[1] == 0
    assert any("operator (operational) is estimated as none" in note for note in got.notes)


@settings(deadline=None)
@given(
    theta=st.lists(st.floats(0, 3), min_size=3, max_size=3),
)
def test_the_gradient_is_the_slope(theta: list[float]) -> None:
    """The analytic gradient agrees with central differences wherever it is asked."""
    reml = Reml(model("crossed", ("x",)))
    at = np.array(theta) + 0.01
    slope = [
        (reml.at(at + e).criterion - reml.at(at - e).criterion) / 2e-5 for e in 1e-5 * np.eye(3)
    ]
    assert reml.at(at).gradient == pytest.approx(slope, rel=1e-4, abs=1e-3)


def test_the_criterion_equals_the_naive_one() -> None:
    """The blocks agree with the determinant and inverse of the whole covariance matrix."""
    d = design(
        simulated(60, {"a": (9, 1.0), "b": (4, 0.5)}, seed=5),
        "y",
        [Factor("a", "biological"), Factor("b", "institutional")],
    )
    theta = np.array([0.7, 1.3])
    z = [np.eye(q)[c] for c, q in zip(d.codes, d.levels, strict=True)]
    v = np.eye(d.n) + sum(t**2 * zk @ zk.T for t, zk in zip(theta, z, strict=True))
    inverse = np.linalg.inv(v)
    a = d.x.T @ inverse @ d.x
    residual = d.y - d.x @ np.linalg.solve(a, d.x.T @ inverse @ d.y)
    r2, dof = residual @ inverse @ residual, d.n - 1
    naive = (
        np.linalg.slogdet(v)[1] + np.linalg.slogdet(a)[1] + dof * (1 + np.log(2 * np.pi * r2 / dof))
    )
    assert Reml(d).at(theta).criterion == pytest.approx(naive, rel=1e-12)
    slope = approx_fprime(theta, lambda t: Reml(d).at(t).criterion, 1e-7)
    assert Reml(d).at(theta).gradient == pytest.approx(slope, abs=1e-4)


def test_the_truth_lies_within_the_profile_interval() -> None:
    """With many levels the biological share of 50 % is found and its interval holds it."""
    frame = simulated(
        1500, {"patient": (300, 1.2), "operator": (40, 0.4), "site": (30, 0.6)}, seed=11
    )
    d = design(frame, "y", [Factor(f, LAYER[f]) for f in ("patient", "operator", "site")])
    shares = {s.name: s for s in layer_shares(fit(d))}
    truth = {"biological": 1.44, "operational": 0.16, "institutional": 0.36, "unexplained": 1.0}
    for name, variance in truth.items():
        share = shares[name]
        assert share.low < variance / sum(truth.values()) < share.high
        assert share.low < share.share < share.high
    assert sum(s.share for s in shares.values()) == pytest.approx(1)


def test_the_profile_costs_the_quantile_at_its_ends() -> None:
    """At the ends of a 95 % interval the criterion lies 3.84 above its minimum."""
    from stafett.insight.layers.shares import _Profile

    fitted = fit(model("crossed", ("x",)))
    share = factor_shares(fitted)[0]
    profile = _Profile(Reml(fitted.design), fitted, [0])
    for end in (share.low, share.high):
        value, _ = profile(np.log(end / (1 - end)), profile.initial)
        assert value - fitted.criterion == pytest.approx(3.841, abs=0.1)


def test_bootstrap_and_profile_agree() -> None:
    """Two roads to an interval: their ends differ by less than a third of its width."""
    fitted = fit(model("crossed", ("x",)))
    profile = {s.name: s for s in layer_shares(fitted)}["biological"]
    boot = {s.name: s for s in bootstrap_shares(fitted, draws=99, seed=3)}["biological"]
    width = profile.high - profile.low
    assert abs(profile.low - boot.low) < width / 3
    assert abs(profile.high - boot.high) < width / 3


def test_the_interval_of_nothing_begins_at_zero() -> None:
    """A layer without variation has an interval that starts at 0 and still has an upper end."""
    fitted = fit(model("singular"))
    share = {s.name: s for s in layer_shares(fitted)}["operational"]
    assert share.share == 0 == share.low
    assert 0 < share.high < 0.5


def test_aliased_factors_are_said() -> None:
    """Of two factors that group the rows alike one stays, and the note says so."""
    frame = simulated(200, {"patient": (40, 1.0), "site": (5, 0.5)}, seed=2)
    frame = frame.with_columns(pl.col("site").str.replace("site", "team").alias("team"))
    d = design(frame, "y", [Factor(f, LAYER[f]) for f in ("patient", "site", "team")])
    assert [f.name for f in d.factors] == ["patient", "site"]
    assert any("the two cannot be told apart" in note for note in d.notes)


def test_one_site_and_one_row_per_patient_are_said() -> None:
    """One level has no variation to show; one row per level is the residual itself."""
    frame = simulated(100, {"operator": (8, 0.5)}, seed=3)
    frame = frame.with_columns(
        pl.lit("only").alias("site"), pl.int_range(pl.len()).alias("patient")
    )
    d = design(frame, "y", [Factor(f, LAYER[f]) for f in ("patient", "operator", "site")])
    assert [f.name for f in d.factors] == ["operator"]
    assert any("one level (only)" in note for note in d.notes)
    assert any("cannot be told from the residual" in note for note in d.notes)


def test_a_constant_outcome_is_refused() -> None:
    """What does not vary has no shares."""
    frame = simulated(50, {"site": (4, 1.0)}, seed=4).with_columns(pl.lit(3.0).alias("y"))
    with pytest.raises(NotIdentifiableError, match="'y' is 3 in all 50 rows"):
        design(frame, "y", [Factor("site", "institutional")])


def test_levels_whose_rows_are_all_alike_are_refused() -> None:
    """Without a residual the ratios have no bound: the shares would be those of the bound."""
    frame = pl.DataFrame(
        {"site": [f"s{i // 6}" for i in range(48)], "team": [f"t{i % 4}" for i in range(48)],
         "y": [float((i // 6) ** 2) for i in range(48)]}
    )  # fmt: skip
    factors = [Factor("site", "institutional"), Factor("team", "operational")]
    with pytest.raises(NotIdentifiableError, match="each level of site all have the same outcome"):
        fit(design(frame, "y", factors))


def test_missing_values_are_counted() -> None:
    """With 30 % missing the fit goes on without those rows and says what that risks."""
    frame = simulated(400, {"patient": (60, 1.0), "site": (6, 0.5)}, seed=6)
    frame = frame.with_columns(
        pl.when(pl.int_range(pl.len()) % 10 < 3).then(None).otherwise(pl.col("y")).alias("y")
    )
    d = design(frame, "y", [Factor("patient", "biological"), Factor("site", "institutional")])
    assert d.n == 280
    assert "120 of 400 rows (30%) lack a value" in d.notes[0]


def test_a_covariate_that_repeats_another_is_left_out() -> None:
    """A combination of other covariates carries no information of its own."""
    frame = simulated(80, {"site": (5, 1.0)}, seed=7).with_columns(
        pl.int_range(pl.len()).alias("a"), (3 * pl.int_range(pl.len()) + 1).alias("b")
    )
    d = design(frame, "y", [Factor("site", "institutional")], ["a", "b"])
    assert d.x_names == ("(intercept)", "a")
    assert any("covariate b is a combination" in note for note in d.notes)


def test_nested_columns_make_one_factor() -> None:
    """A factor of several columns has the combinations as its levels."""
    frame = pl.DataFrame(
        {"site": ["a", "a", "b", "b"], "team": ["1", "2", "1", "1"], "y": [1.0, 2, 3, 4]}
    )
    d = design(frame, "y", [Factor("team", "operational", ("site", "team"))])
    assert d.labels[0] == ("a × 1", "a × 2", "b × 1")


def test_shrinkage_pulls_the_rarely_seen_further() -> None:
    """Of two sites with the same raw mean the one seen less often is pulled closer."""
    rng = np.random.default_rng(8)
    rows = [("big", 1.5, 60), ("small", 1.5, 3)] + [
        (f"s{i}", m, 30) for i, m in enumerate(rng.normal(0, 1, 12))
    ]
    frame = pl.DataFrame(
        [
            {"site": site, "y": mean + e - noise.mean()}
            for site, mean, count in rows
            for noise in [rng.normal(0, 2, count)]
            for e in noise
        ]
    )
    d = design(frame, "y", [Factor("site", "institutional")])
    effects, spread = fit(d).estimates()[0]
    big, small = d.labels[0].index("big"), d.labels[0].index("small")
    assert 0 < effects[small] < effects[big]
    assert spread[small] > spread[big]
