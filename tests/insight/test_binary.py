"""Logistic mixed models: equal to glmer, honest about their bias."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from stafett.insight.layers import Factor, NotIdentifiableError, design
from stafett.insight.layers.binary import bias_check, fit_binary

LME4 = Path(__file__).parent / "lme4"
PATIENT = Factor("patient", "biological")
SITE = Factor("site", "institutional")


def data() -> pl.DataFrame:
    """Return the data that glmer was given."""
    return pl.read_csv(LME4 / "binary.csv")


@pytest.mark.parametrize(
    ("name", "factors", "nodes"),
    [
        ("binary_laplace", [PATIENT, SITE], 1),
        ("binary_patient_laplace", [PATIENT], 1),
        ("binary_patient_agq15", [PATIENT], 15),
    ],
)
def test_the_fit_equals_glmers(name: str, factors: list[Factor], nodes: int) -> None:
    """Standard deviations, effects and deviance agree to four digits with glmer (nAGQ = nodes)."""
    want: Any = json.loads((LME4 / "expected.json").read_text())[name]
    got = fit_binary(design(data(), "y", factors, ["x"]), nodes=nodes)
    assert got.deviance == pytest.approx(want["deviance"], abs=1e-3)
    assert got.sd == pytest.approx(want["sd"], rel=2e-4)
    assert got.beta == pytest.approx(want["beta"], rel=2e-4)


def test_the_bias_check_catches_laplace() -> None:
    """With three outcomes per patient Laplace gives back too little: it must not be quoted."""
    rng = np.random.default_rng(4)
    patient = np.repeat(np.arange(150), 3)
    p = 1 / (1 + np.exp(-(rng.normal(0, 1.2, 150)[patient] - 1.5)))
    frame = pl.DataFrame({"patient": patient, "y": (rng.random(450) < p).astype(int)})
    fitted = fit_binary(design(frame, "y", [PATIENT]))
    check = bias_check(fitted, draws=10, seed=2)
    assert check.ratio["patient"] < 0.9
    assert "should not be quoted" in check.sentence()
    assert "few times" in fitted.notes[-1]


def test_perfect_separation_is_refused() -> None:
    """A covariate that tells every outcome has no finite effect."""
    frame = pl.DataFrame(
        {"site": ["a", "b", "c", "d"] * 10, "x": range(40), "y": [0] * 20 + [1] * 20}
    )
    with pytest.raises(NotIdentifiableError, match="perfect separation"):
        fit_binary(design(frame, "y", [SITE], ["x"]))


def test_an_outcome_that_is_not_binary_is_refused() -> None:
    """Only 0 and 1 are yes and no."""
    frame = pl.DataFrame({"site": ["a", "b"] * 10, "y": [float(i % 3) for i in range(20)]})
    with pytest.raises(NotIdentifiableError, match="not yes or no"):
        fit_binary(design(frame, "y", [SITE]))
