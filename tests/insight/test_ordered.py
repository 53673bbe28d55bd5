"""Graded outcomes: two grades are the logistic model, three give the truth back; bias is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from stafett.insight.layers import Factor, NotIdentifiableError, design
from stafett.insight.layers.binary import fit_binary
from stafett.insight.layers.ordered import _Graded, fit_graded, graded_shares

LME4 = Path(__file__).parent / "lme4"
PATIENT = Factor("patient", "biological")
SITE = Factor("site", "institutional")


def exactly(rng: np.random.Generator, sd: float, size: int) -> np.ndarray[Any, Any]:
    """Draw effects whose realised standard deviation is `sd`."""
    drawn = rng.normal(0, 1, size)
    return np.asarray((drawn - drawn.mean()) / drawn.std() * sd)


def grades(seed: int = 1, n: int = 4000) -> pl.DataFrame:
    """Return three grades that vary by patient (SD 0.8 logits), site (0.6) and with x (0.7)."""
    rng = np.random.default_rng(seed)
    patient, site, x = rng.integers(0, 200, n), rng.integers(0, 40, n), rng.normal(0, 1, n)
    latent = 0.7 * x + exactly(rng, 0.8, 200)[patient] + exactly(rng, 0.6, 40)[site]
    y = np.searchsorted([0.0, 1.5], latent + rng.logistic(0, 1, n))
    return pl.DataFrame({"patient": patient, "site": site, "x": x, "y": y})


def test_two_grades_equal_glmers_quick_fit() -> None:
    """glmer with nAGQ = 0: deviance, standard deviations and effects to three digits or more."""
    want: Any = json.loads((LME4 / "expected.json").read_text())["binary_together"]
    model = design(pl.read_csv(LME4 / "binary.csv"), "y", [PATIENT, SITE], ["x"])
    got = fit_graded(model)
    assert got.deviance == pytest.approx(want["deviance"], abs=1e-3)
    assert got.sd == pytest.approx(want["sd"], rel=5e-4)
    assert [-got.cuts[0], got.beta[0]] == pytest.approx(want["beta"], rel=5e-4)
    assert fit_binary(model).deviance < got.deviance < fit_binary(model).deviance + 3


def test_the_truth_comes_back() -> None:
    """Standard deviations, cuts and effect of a large simulated data set (seed 1)."""
    found = fit_graded(design(grades(), "y", [PATIENT, SITE], ["x"]))
    assert found.sd == pytest.approx([0.8, 0.6], abs=0.12)
    assert found.beta == pytest.approx([0.7], abs=0.06)
    assert np.diff(found.cuts) == pytest.approx([1.5], abs=0.08)


def test_at_the_mode_no_direction_leads_down() -> None:
    """The slope of the penalised likelihood in the cuts and effects is nothing, by differences."""
    graded = _Graded(design(grades(n=400), "y", [PATIENT, SITE], ["x"]))
    theta = np.array([0.5, 0.5])
    graded(theta)
    for k in range(len(graded.fixed)):
        step = np.zeros(len(graded.fixed))
        step[k] = 1e-4
        up = graded.penalised(theta, graded.fixed + step, graded.u)
        down = graded.penalised(theta, graded.fixed - step, graded.u)
        assert abs(up - down) / 2e-4 < 1e-2


def test_shares_have_intervals_and_add_up() -> None:
    """Estimates lie inside; shares sum to one; the check gives most of the variation back."""
    found = fit_graded(design(grades(n=1500), "y", [PATIENT, SITE], ["x"]))
    shares, check = graded_shares(found, draws=8, also={"site": [1]})
    layers = [s for s in shares if s.name != "site"]
    assert sum(s.share for s in layers) == pytest.approx(1)
    assert all(s.low <= s.share <= s.high for s in shares)
    assert next(s for s in shares if s.name == "site").share == layers[1].share
    assert all(0.7 < ratio < 1.2 for ratio in check.ratio.values())


def test_grades_with_a_gap_and_separation_are_refused() -> None:
    """0 and 2 are no grades; a covariate that tells every outcome has no finite effect."""
    frame = pl.DataFrame(
        {"site": ["a", "b", "c", "d"] * 10, "x": range(40), "y": [0] * 20 + [1] * 20}
    )
    with pytest.raises(NotIdentifiableError, match="not graded"):
        fit_graded(design(frame.with_columns(pl.col("y") * 2), "y", [SITE]))
    with pytest.raises(NotIdentifiableError, match="perfect separation"):
        fit_graded(design(frame, "y", [SITE], ["x"]))
