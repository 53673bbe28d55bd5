"""The error and the degrees of freedom of one fixed effect in a small sample.

The usual error takes the fitted variances for the true ones, and with few sites it is too small.
Kenward and Roger, Biometrics 53, 1997, 983-997: with V = Σ_i σ_i² G_i, Φ = (X'V⁻¹X)⁻¹ and W the
inverse of the expected restricted information on the σ_i²,

    P_i = −X'V⁻¹G_iV⁻¹X,  Q_ij = X'V⁻¹G_iV⁻¹G_jV⁻¹X,
    Φ_A = Φ + 2 Φ Σ_ij W_ij (Q_ij − P_iΦP_j) Φ,
    ν = 2 (l'Φl)² / Σ_ij W_ij (l'ΦP_iΦl)(l'ΦP_jΦl),

where for a single contrast l their scale factor is 1, so that l'β̂ / √(l'Φ_A l) is taken for a
Student's t with ν degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stafett.insight.layers.design import Design, Floats
from stafett.insight.layers.fit import Fit

MOST_GROUPS = 3_000  # the matrices are dense in the groups: 72 MB each at 3,000


class TooManyGroupsError(ValueError):
    """More different rows than the dense matrices take: no small sample."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """An `estimate` with its corrected error `se` and `freedom`, the degrees of Student's t."""

    estimate: float
    se: float
    freedom: float


def contrast(fitted: Fit, at: int) -> Contrast:
    """Return coefficient `at` of `fitted` with its small-sample error and degrees of freedom.

    Raises:
        TooManyGroupsError: more than `MOST_GROUPS` different rows.
    """
    x, parts, alone = _grouped(fitted.design)
    variances = fitted.variances
    inverse = np.linalg.inv(np.tensordot(variances, np.array(parts), 1))
    phi = np.linalg.inv(x.T @ inverse @ x)
    turned = [inverse @ g for g in parts]
    vx = inverse @ x
    first = [-(x.T @ t @ vx) for t in turned]
    k = len(parts)
    second = [[(g.T @ vx).T @ inverse @ (h @ vx) for h in parts] for g in parts]
    information = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            information[i, j] = (
                float((turned[i] * turned[j].T).sum())
                - 2 * float((phi * second[i][j]).sum())
                + float(((phi @ first[i]) * (phi @ first[j]).T).sum())
            )
    information[-1, -1] += alone / variances[-1] ** 2
    # Variances may differ by many orders of magnitude; scaled, none is taken for rounding.
    scale = 1 / np.sqrt(np.diag(information))
    w = 2 * np.outer(scale, scale) * np.linalg.pinv(information * np.outer(scale, scale))
    line = phi[at]
    slopes = np.array([line @ p @ line for p in first])
    variance = float(phi[at, at])
    bias = sum(
        w[i, j] * float(line @ (second[i][j] - first[i] @ phi @ first[j]) @ line)
        for i in range(k)
        for j in range(k)
    )
    return Contrast(
        float(fitted.beta[at]),
        float(np.sqrt(variance + 2 * max(bias, 0.0))),  # below zero by rounding alone
        2 * variance**2 / float(slopes @ w @ slopes),
    )


def _grouped(design: Design) -> tuple[Floats, list[Floats], int]:
    """Return X (G, p), each G_i (G, G) with the residual's last, and the rows without effects.

    Rows that agree in X and in every factor differ by their residual alone. Turned so that each
    such group leaves √n times its mean, the other n − G rows have X = 0 and variance σ².
    """
    keys = np.column_stack([design.x, *design.codes])
    unique, which = np.unique(keys, axis=0, return_inverse=True)
    if len(unique) > MOST_GROUPS:
        raise TooManyGroupsError(f"{len(unique):,} different rows are more than {MOST_GROUPS:,}")
    root = np.sqrt(np.bincount(which.ravel(), minlength=len(unique)).astype(float))
    p = design.x.shape[1]
    parts = [
        np.where(unique[:, p + k, None] == unique[:, p + k], np.outer(root, root), 0.0)
        for k in range(len(design.codes))
    ]
    return unique[:, :p] * root[:, None], [*parts, np.eye(len(unique))], design.n - len(unique)
