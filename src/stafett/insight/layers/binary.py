"""Yes-or-no outcomes: a logistic mixed model by Laplace's approximation or adaptive quadrature.

With few outcomes per level Laplace's approximation understates that level's standard deviation
(0.49 for 0.60 with five outcomes per patient, METHODS.md). So no share is told from here before
`bias_check` has simulated from the fit and fitted again. With a single factor, adaptive
Gauss-Hermite quadrature (`nodes` > 1) removes most of the bias.

Model and approximation: Bates et al., J. Stat. Softw. 67(1), 2015 (glmer); quadrature: Pinheiro and
Bates, J. Comput. Graph. Stat. 4(1), 1995.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special

from stafett.insight.layers.design import Design, Floats, NotIdentifiableError
from stafett.insight.layers.reml import Blocks, Factorised

LOGISTIC_VARIANCE = float(np.pi**2 / 3)  # of the latent residual, on the logit scale
SEPARATED = 20.0  # a fitted logit beyond this is a probability of 1 in 5e8: no finite estimate
CAVEAT = (
    "Estimated by Laplace's approximation, which understates the variation between units that were "
    "seen only a few times; see the check by simulation before reading it as a share."
)


@dataclass(frozen=True)
class BinaryFit:
    """A fitted logistic mixed model; `sd` (K,) in logits, `deviance` is −2 log likelihood."""

    design: Design
    sd: Floats
    beta: Floats
    deviance: float
    nodes: int
    notes: tuple[str, ...] = ()

    def latent_shares(self) -> dict[str, float]:
        """Return each factor's share of the variance on the logit scale (residual π²/3)."""
        total = float((self.sd**2).sum()) + LOGISTIC_VARIANCE
        shares = {
            f.name: float(s**2) / total for f, s in zip(self.design.factors, self.sd, strict=True)
        }
        return {**shares, "unexplained": LOGISTIC_VARIANCE / total}


@dataclass(frozen=True, slots=True)
class BiasCheck:
    """For each factor the mean of refitted over true SD in data simulated from the fit."""

    ratio: dict[str, float]
    draws: int

    def sentence(self) -> str:
        """Say in words what the check found."""
        if not self.ratio:
            return "No source of variation is large enough for the method's bias to matter."
        worst = min(self.ratio, key=lambda name: self.ratio[name])
        value = self.ratio[worst]
        if value > 0.9:
            return f"{self.draws} simulated data sets give the variation back within a tenth."
        return (
            f"In {self.draws} data sets simulated from this fit the method gives only "
            f"{value:.0%} back of the variation of {worst}: its share is understated and "
            "should not be quoted."
        )


class _Laplace:
    """The deviance of one design as a function of (θ, β); the modes of u are a warm start."""

    def __init__(self, design: Design, nodes: int) -> None:
        self.design, self.blocks = design, Blocks(design.codes, design.levels)
        self.u = (
            np.zeros(design.levels[self.blocks.first]),
            np.zeros(int(self.blocks.offsets[-1])),
        )
        self.nodes = nodes
        self.x, self.w = np.polynomial.hermite.hermgauss(nodes)

    def eta(self, theta: Floats, beta: Floats, u: tuple[Floats, Floats]) -> Floats:
        b = self.blocks
        return np.asarray(
            self.design.x @ beta + b.z1 @ (theta[b.first] * u[0]) + b.zr @ (b.spread(theta) * u[1])
        )

    def penalised(self, theta: Floats, beta: Floats, u: tuple[Floats, Floats]) -> float:
        eta = self.eta(theta, beta, u)
        return float(
            2 * (np.logaddexp(0, eta) - self.design.y * eta).sum() + (u[0] @ u[0]) + (u[1] @ u[1])
        )

    def __call__(self, theta: Floats, beta: Floats) -> float:
        b, y, u = self.blocks, self.design.y, self.u
        value = self.penalised(theta, beta, u)
        for _ in range(100):
            mu = special.expit(self.eta(theta, beta, u))
            f = Factorised(b, b.cross(np.maximum(mu * (1 - mu), 1e-12)), theta)
            slope = (
                theta[b.first] * (b.z1.T @ (y - mu)) - u[0],
                b.spread(theta) * (b.zr.T @ (y - mu)) - u[1],
            )
            one, rest = f.solve(slope[0][:, None], slope[1][:, None])
            size = 1.0
            while True:
                trial = (u[0] + size * one[:, 0], u[1] + size * rest[:, 0])
                new = self.penalised(theta, beta, trial)
                if new <= value + 1e-12 * abs(value) or size < 1e-6:
                    break
                size /= 2
            done = float(slope[0] @ one[:, 0] + slope[1] @ rest[:, 0]) < 1e-12
            u, value = trial, new
            if done:
                break
        self.u = u
        if self.nodes == 1:
            return value + f.log_det
        return self._quadrature(theta, beta, f)

    def _quadrature(self, theta: Floats, beta: Floats, f: Factorised) -> float:
        """Sum over nodes placed around each level's mode; one factor only."""
        base, code = self.design.x @ beta, self.design.codes[0]
        spread = np.sqrt(2 / f.d)
        logs = np.empty((self.nodes, len(spread)))
        for j, (x, w) in enumerate(zip(self.x, self.w, strict=True)):
            u = self.u[0] + spread * x
            eta = base + theta[0] * u[code]
            fit = np.bincount(code, self.design.y * eta - np.logaddexp(0, eta), len(spread))
            logs[j] = fit - u**2 / 2 + np.log(w) + x**2
        integral = special.logsumexp(logs, axis=0) + np.log(spread) - 0.5 * np.log(2 * np.pi)
        return float(-2 * integral.sum())


def fit_binary(design: Design, *, nodes: int = 1) -> BinaryFit:
    """Fit a logistic mixed model; `nodes` > 1 asks for adaptive quadrature (one factor only).

    Raises:
        NotIdentifiableError: the outcome is not 0/1, quadrature with several factors, or the
            covariates separate the outcomes perfectly.
    """
    if not np.isin(design.y, (0, 1)).all():
        raise NotIdentifiableError("the outcome is not yes or no (0 or 1) in every row")
    if nodes > 1 and len(design.factors) > 1:
        raise NotIdentifiableError(
            "quadrature takes one factor; use Laplace's approximation (nodes=1)"
        )
    beta = _without_factors(design)
    k = len(design.factors)
    laplace = _Laplace(design, nodes)

    def value(z: Floats) -> float:
        return laplace(z[:k], z[k:])

    start = np.concatenate([np.ones(k), beta])
    best = optimize.minimize(
        value, start, method="L-BFGS-B", jac="3-point",
        bounds=[(0, 50)] * k + [(None, None)] * len(beta),
        options={"ftol": 1e-13, "gtol": 1e-5, "maxiter": 200, "finite_diff_rel_step": 1e-5},
    )  # fmt: skip
    sd, beta = best.x[:k], best.x[k:]
    if float(sd.max()) > SEPARATED:
        name = design.factors[int(sd.argmax())].name
        raise NotIdentifiableError(
            f"within most levels of {name} the outcome never varies (perfect separation): its "
            "variation has no finite estimate"
        )
    zero = [f.name for f, s in zip(design.factors, sd, strict=True) if s < 1e-3]
    notes = [f"{name} is estimated as none." for name in zero]
    if nodes == 1:
        notes.append(CAVEAT)
    return BinaryFit(design, sd, beta, float(best.fun), nodes, (*design.notes, *notes))


def _without_factors(design: Design) -> Floats:
    """Fit a plain logistic regression, and say so if it has no finite answer."""
    x, y = design.x, design.y
    beta = np.zeros(x.shape[1])
    for _ in range(60):
        eta = x @ beta
        if float(np.abs(eta).max()) > SEPARATED:
            raise NotIdentifiableError(
                "the covariates "
                + ", ".join(design.x_names[1:])
                + " tell every outcome exactly (perfect "
                "separation): their effects have no finite estimate; leave one out"
            )
        mu = special.expit(eta)
        step = np.linalg.solve((x.T * (mu * (1 - mu))) @ x, x.T @ (y - mu))
        beta = beta + step
        if float(np.abs(step).max()) < 1e-10:
            break
    return beta


def bias_check(fitted: BinaryFit, *, draws: int = 20, seed: int = 1) -> BiasCheck:
    """Simulate from the fit and fit again: how much of the variation does the method give back?"""
    rng = np.random.default_rng(seed)
    design = fitted.design
    found = []
    for _ in range(draws):
        eta = design.x @ fitted.beta
        for codes, sd, q in zip(design.codes, fitted.sd, design.levels, strict=True):
            eta = eta + rng.normal(0, sd, q)[codes]
        y = (rng.random(design.n) < special.expit(eta)).astype(float)
        found.append(fit_binary(replace(design, y=y), nodes=fitted.nodes).sd)
    mean = np.mean(found, axis=0)
    ratio = {
        f.name: float(m / s)
        for f, m, s in zip(design.factors, mean, fitted.sd, strict=True)
        if s > 1e-3
    }
    return BiasCheck(ratio, draws)
