"""The profiled REML criterion of a linear mixed model and its gradient, in blocks.

Model: y = Xβ + Σ_k Z_k b_k + ε with b_k ~ N(0, σ_k² I), ε ~ N(0, σ² I); θ_k = σ_k/σ. With
Λ = diag(θ), M = ΛZ'ZΛ + I and V = I + ZΛ²Z', the criterion (−2 log restricted likelihood, σ and β
profiled out) is log|M| + log|X'V⁻¹X| + (n−p)(1 + log(2πr²/(n−p))): Bates, Mächler, Bolker and
Walker, J. Stat. Softw. 67(1), 2015, equations 39-42. The block of the largest factor is diagonal
and is eliminated on paper, so that only the remaining levels meet a dense Cholesky.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from stafett.insight.layers.design import Codes, Design, Floats

GRAM_BYTES = 400_000_000


@dataclass(frozen=True)
class Cross:
    """Z'WZ in blocks: `d` (q1,) the eliminated factor, `c` (q1, qR) sparse, `r` (qR, qR) dense."""

    d: Floats
    c: sparse.csr_matrix
    r: Floats
    values: Floats | None = None
    grams: Floats | None = None

    def gram(self, weight: Callable[[Floats], Floats]) -> Floats:
        """Return C' diag(weight(d)) C, (qR, qR).

        Without row weights `d` are counts, of which few differ: the products are then made once
        for each count, and this is a sum of a few dense matrices.
        """
        if self.values is None or self.grams is None:
            return np.asarray((self.c.T @ sparse.diags(weight(self.d)) @ self.c).toarray())
        return np.asarray((weight(self.values) @ self.grams).reshape(self.r.shape))

    def with_grams(self) -> Cross:
        """Return the same with the products made, where they fit into `GRAM_BYTES`."""
        values, which = np.unique(self.d, return_inverse=True)
        if len(values) * self.r.size * 8 > GRAM_BYTES:
            return self
        grams = np.empty((len(values), self.r.size))
        for i in range(len(values)):
            part = self.c[which == i]
            grams[i] = (part.T @ part).toarray().ravel()
        return Cross(self.d, self.c, self.r, values, grams)


@dataclass(frozen=True)
class Solved:
    """What one evaluation leaves; `spherical` is M⁻¹ΛZ'(y−Xβ) in its two blocks."""

    criterion: float
    gradient: Floats
    beta: Floats
    r2: float
    spherical: tuple[Floats, Floats]
    beta_covariance: Floats


class Blocks:
    """The order of elimination: the largest factor first, the others side by side behind it."""

    def __init__(self, codes: tuple[Codes, ...], levels: tuple[int, ...]) -> None:
        self.first = int(np.argmax(levels))
        self.rest = [k for k in range(len(levels)) if k != self.first]
        self.codes, self.levels = codes, levels
        self.sizes = [levels[k] for k in self.rest]
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        n = len(codes[0])
        columns = [codes[k] + self.offsets[i] for i, k in enumerate(self.rest)]
        rows = np.arange(n)
        self.z1 = sparse.csr_matrix(
            (np.ones(n), (rows, codes[self.first])), (n, levels[self.first])
        )
        self.zr = sparse.csr_matrix(
            (
                np.ones(n * len(columns)),
                (np.tile(rows, len(columns)), np.concatenate([*columns, []]).astype(np.int64)),
            ),
            (n, int(self.offsets[-1])),
        )

    def cross(self, weights: Floats | None = None) -> Cross:
        """Return Z'WZ; `weights` (n,) is ones when None."""
        n = self.z1.shape[0]
        w = np.ones(n) if weights is None else weights
        weighted = sparse.diags(w)
        c = sparse.csr_matrix(self.z1.T @ weighted @ self.zr)
        r = (self.zr.T @ weighted @ self.zr).toarray()
        d: Floats = np.bincount(self.codes[self.first], w, self.levels[self.first]).astype(float)
        return Cross(d, c, r)

    def spread(self, theta: Floats) -> Floats:
        """Return θ repeated over the remaining levels, (qR,)."""
        return np.repeat(theta[self.rest], self.sizes)

    def by_factor(self, remaining: Floats) -> Floats:
        """Sum a vector over the remaining levels (qR,) factor by factor, (K−1,)."""
        return np.array(
            [remaining[a:b].sum() for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]
        )


class Factorised:
    """M = ΛZ'WZΛ + I, factorised at θ."""

    def __init__(self, blocks: Blocks, cross: Cross, theta: Floats) -> None:
        self.t1 = float(theta[blocks.first])
        self.tr = blocks.spread(theta)
        self.cross = cross
        self.d = 1 + self.t1**2 * cross.d
        t = self.t1**2
        self.q = cross.r - cross.gram(lambda n: t / (1 + t * n))
        s = self.tr[:, None] * self.q * self.tr
        s[np.diag_indices_from(s)] += 1
        self.chol = linalg.cholesky(s, lower=True, overwrite_a=True, check_finite=False)
        self.log_det = float(np.log(self.d).sum() + 2 * np.log(np.diag(self.chol)).sum())

    def solve(self, one: Floats, rest: Floats) -> tuple[Floats, Floats]:
        """Return M⁻¹ of a right-hand side given in its two blocks, (q1, m) and (qR, m)."""
        c, t1, tr = self.cross.c, self.t1, self.tr[:, None]
        d = self.d[:, None]
        wr = linalg.cho_solve(
            (self.chol, True), rest - tr * (c.T @ (t1 * one / d)), check_finite=False
        )
        return (one - t1 * (c @ (tr * wr))) / d, wr

    def inverse_of_rest(self) -> Floats:
        """Return the block of M⁻¹ for the remaining levels (qR, qR)."""
        if not len(self.tr):
            return np.zeros((0, 0))
        inverse, info = linalg.lapack.dpotri(self.chol, lower=1)
        if info:
            raise linalg.LinAlgError("singular")
        whole: Floats = inverse + inverse.T  # the upper triangle of `chol` is zero and stays so
        whole[np.diag_indices_from(whole)] /= 2
        return whole

    def inverse_diagonal(self) -> tuple[Floats, Floats]:
        """Return the diagonal of M⁻¹ in its two blocks."""
        s = self.inverse_of_rest()
        b = sparse.csr_matrix(self.t1 * self.cross.c @ sparse.diags(self.tr))
        extra = np.asarray(b.multiply(b @ s).sum(axis=1)).ravel() if len(self.tr) else 0.0
        return 1 / self.d + extra / self.d**2, np.diag(s)

    def log_det_gradient(self, blocks: Blocks) -> Floats:
        """Return ∂log|M|/∂θ_k = 2θ_k tr(Z_k'V⁻¹Z_k), (K,), without dividing by θ."""
        s = self.inverse_of_rest()
        gradient = np.empty(len(blocks.levels))
        t = self.t1**2
        inner = self.cross.gram(lambda n: (1 + t * n) ** -2) * self.tr * self.tr[:, None]
        trace = (self.cross.d / self.d).sum() - float((s * inner).sum())
        gradient[blocks.first] = 2 * self.t1 * trace
        gradient[blocks.rest] = 2 * blocks.by_factor((self.q * self.tr * s).sum(axis=1))
        return gradient


class Reml:
    """The criterion of one design as a function of θ (K,), each θ_k ≥ 0."""

    def __init__(self, design: Design) -> None:
        self.blocks = Blocks(design.codes, design.levels)
        self.cross = self.blocks.cross().with_grams()
        self.n, self.p = design.x.shape
        # Orthonormal columns and a centred outcome keep digits that X'X and y'y would lose.
        self.q, self.r = np.linalg.qr(design.x)
        self.log_det_r = 2 * float(np.log(np.abs(np.diag(self.r))).sum())
        self.set_outcome(design.y)

    def set_outcome(self, y: Floats) -> None:
        """Take another outcome (n,) on the same design."""
        self.ols = self.q.T @ y
        u = np.column_stack([self.q, y - self.q @ self.ols])
        self.uu = u.T @ u
        self.u1, self.ur = self.blocks.z1.T @ u, self.blocks.zr.T @ u

    def at(self, theta: Floats, *, gradient: bool = True) -> Solved:
        """Evaluate the criterion, its gradient and the solutions at `theta`."""
        b, p, dof = self.blocks, self.p, self.n - self.p
        f = Factorised(b, self.cross, theta)
        one, rest = f.t1 * self.u1, f.tr[:, None] * self.ur
        w1, wr = f.solve(one, rest)
        inner = self.uu - one.T @ w1 - rest.T @ wr
        chol = linalg.cho_factor(inner[:p, :p], lower=True)
        beta = linalg.cho_solve(chol, inner[:p, p])
        r2 = max(float(inner[p, p] - inner[:p, p] @ beta), 1e-300)
        log_det_a = 2 * float(np.log(np.diag(chol[0])).sum()) + self.log_det_r
        criterion = f.log_det + log_det_a + dof * (1 + np.log(2 * np.pi * r2 / dof))
        slope = np.zeros(len(b.levels))
        contrast = np.concatenate([-beta, [1.0]])
        if gradient:
            a_inverse = linalg.cho_solve(chol, np.eye(p))
            c, l1, lr = self.cross.c, f.t1 * w1, f.tr[:, None] * wr
            g1 = self.u1 - self.cross.d[:, None] * l1 - c @ lr
            gr = self.ur - c.T @ l1 - self.cross.r @ lr

            def both(g: Floats) -> Floats:
                h = g[:, :p]
                fixed: Floats = np.einsum("ij,jk,ik->i", h, a_inverse, h)
                fixed += dof / r2 * (g @ contrast) ** 2
                return fixed

            lost = np.empty_like(slope)
            lost[b.first] = both(g1).sum()
            lost[b.rest] = b.by_factor(both(gr))
            slope = f.log_det_gradient(b) - 2 * theta * lost
        back = linalg.solve_triangular(self.r, np.eye(p))
        covariance = back @ linalg.cho_solve(chol, np.eye(p)) @ back.T * r2 / dof
        return Solved(
            float(criterion), slope, back @ (self.ols + beta), r2,
            (w1 @ contrast, wr @ contrast), covariance,
        )  # fmt: skip
