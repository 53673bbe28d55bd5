"""The small-sample error of a fixed effect: a textbook case, and derivatives by differences."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from stafett.insight.layers import Factor, Fit, design, fit
from stafett.insight.layers.contrast import TooManyGroupsError, contrast
from stafett.insight.layers.design import Floats
from stafett.insight.trials import wedge

BLOCKS, TREATMENTS = 7, 4


def blocks(seed: int) -> pl.DataFrame:
    """Return a complete randomised block experiment: each treatment once in each block."""
    rng = np.random.default_rng(seed)
    block = rng.normal(0, 2, BLOCKS)
    return pl.DataFrame(
        [
            {"block": f"b{b}", "treatment": f"t{t}", "y": block[b] + t + rng.normal()}
            for b in range(BLOCKS)
            for t in range(TREATMENTS)
        ]
    )


def uneven(seed: int) -> Fit:
    """Return a fit in which nothing is balanced: sites of 3 to 11 rows, shifts across them."""
    rng = np.random.default_rng(seed)
    site = np.repeat(np.arange(6), [3, 5, 6, 8, 9, 11])
    shift = rng.integers(0, 4, len(site))
    changed = rng.integers(0, 2, len(site))
    y = rng.normal(0, 1, 6)[site] + rng.normal(0, 0.8, 4)[shift] + 0.5 * changed
    rows = pl.DataFrame(
        {
            "site": [f"s{i}" for i in site], "shift": [f"n{i}" for i in shift],
            "changed": changed, "y": y + rng.normal(0, 1, len(site)),
        }
    )  # fmt: skip
    return fit(
        design(rows, "y", [Factor("site", "institutional"), Factor("shift", "operational")],
               ["changed"])
    )  # fmt: skip


def test_a_block_experiment_has_the_textbooks_degrees() -> None:
    """A treatment against another: (blocks − 1)(treatments − 1) degrees, error √(2s²/blocks)."""
    rows = blocks(1)
    found = contrast(fit(design(rows, "y", [Factor("block", "operational")], ["treatment"])), 1)
    table = rows.pivot("treatment", index="block", values="y").drop("block").to_numpy()
    rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    freedom = (BLOCKS - 1) * (TREATMENTS - 1)
    assert found.freedom == pytest.approx(freedom, rel=1e-6)
    assert found.se == pytest.approx(np.sqrt(2 * (rest**2).sum() / freedom / BLOCKS), rel=1e-5)
    assert found.estimate == pytest.approx((table[:, 1] - table[:, 0]).mean())


def naive(fitted: Fit, at: int) -> tuple[float, float]:
    """Return error and degrees from n×n matrices, derivatives of Φ taken by differences."""
    d = fitted.design
    parts = [(c[:, None] == c).astype(float) for c in d.codes] + [np.eye(d.n)]
    variances = fitted.variances

    def phi(s: Floats) -> float:
        inverse = np.linalg.inv(sum(a * g for a, g in zip(s, parts, strict=True)))
        return float(np.linalg.inv(d.x.T @ inverse @ d.x)[at, at])

    inverse = np.linalg.inv(sum(a * g for a, g in zip(variances, parts, strict=True)))
    p = inverse - inverse @ d.x @ np.linalg.inv(d.x.T @ inverse @ d.x) @ d.x.T @ inverse
    w = np.linalg.inv([[np.trace(p @ g @ p @ h) / 2 for g in parts] for h in parts])
    e = np.diag(np.maximum(1e-3 * variances, 1e-4))  # one variance may be estimated as none
    k = range(len(parts))
    slope = np.array([(phi(variances + e[i]) - phi(variances - e[i])) / 2 / e[i, i] for i in k])
    bend = np.array([[(phi(variances + e[i] + e[j]) - phi(variances + e[i] - e[j])
                       - phi(variances - e[i] + e[j]) + phi(variances - e[i] - e[j]))
                      / 4 / e[i, i] / e[j, j] for i in k] for j in k])  # fmt: skip
    at_rest = phi(variances)
    return float(np.sqrt(at_rest - (w * bend).sum())), 2 * at_rest**2 / float(slope @ w @ slope)


@pytest.mark.parametrize("seed", range(3))
def test_uneven_data_meet_the_definition(seed: int) -> None:
    """Error and degrees equal those of the definition, from dense matrices and differences."""
    fitted = uneven(seed)
    found = contrast(fitted, 1)
    se, freedom = naive(fitted, 1)
    assert found.se == pytest.approx(se, rel=1e-5)
    assert found.freedom == pytest.approx(freedom, rel=1e-4)
    assert found.se > fitted.beta_se[1]


def test_a_very_large_wedge_is_judged_on_the_safe_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the dense matrices' reach the degrees are the sites less two."""
    monkeypatch.setattr("stafett.insight.layers.contrast.MOST_GROUPS", 10)
    with pytest.raises(TooManyGroupsError, match="different rows"):
        contrast(uneven(0), 1)
    rng = np.random.default_rng(1)
    rows = [
        {"site": f"s{s}", "period": f"p{p}", "changed": int(p > s), "outcome": rng.normal()}
        for s in range(5) for p in range(6) for _ in range(3)
    ]  # fmt: skip
    assert wedge(pl.DataFrame(rows)).freedom == 3
