"""Agreement: how differently do sites judge the same case? Krippendorff's alpha with intervals.

K. Krippendorff, Content Analysis, 2004, chapter 11: α = 1 − observed over expected disagreement,
for any number of judges and with judgements missing. 1 is agreement, 0 is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SCALES = ("nominal", "ordinal", "interval")


class AgreementError(ValueError):
    """The judgements cannot be compared; the message says why."""


@dataclass(frozen=True)
class Agreement:
    """Alpha with its bootstrap interval (units drawn again), and where the disagreement lies.

    `confusions` lists (category, other category, share of all observed disagreement), most first.
    """

    alpha: float
    low: float
    high: float
    units: int
    judgements: int
    confusions: tuple[tuple[str, str, float], ...]


def krippendorff(
    judgements: Sequence[Sequence[str | float | None]],
    *,
    scale: str = "nominal",
    order: Sequence[str | float] | None = None,
    draws: int = 500,
    seed: int = 1,
) -> Agreement:
    """Measure the agreement of `judgements`: one sequence per unit, its judgements by any judges.

    `order` gives the order of an ordinal scale (default: sorted). Units judged fewer than twice
    carry no information and are left out.

    Raises:
        AgreementError: unknown scale, no unit judged twice, or only one category in use.
    """
    if scale not in SCALES:
        raise AgreementError(f"scale {scale!r} is none of {', '.join(SCALES)}")
    units = [[v for v in unit if v is not None] for unit in judgements]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        raise AgreementError("no case was judged by two: agreement cannot be told")
    values = (
        list(order) if order is not None else sorted({v for unit in units for v in unit}, key=_key)
    )
    place = {value: i for i, value in enumerate(values)}
    try:
        counts = np.zeros((len(units), len(values)))
        for i, unit in enumerate(units):
            for value in unit:
                counts[i, place[value]] += 1
    except KeyError as error:
        raise AgreementError(
            f"the judgement {error.args[0]!r} is not in the stated order"
        ) from error
    if (counts.sum(axis=0) > 0).sum() < 2:
        raise AgreementError(
            f"every judgement is {values[int(counts.sum(axis=0).argmax())]!r}: without variation "
            "agreement cannot be told from habit"
        )
    numbers = np.array([float(v) for v in values]) if scale == "interval" else None
    per_unit = _coincidences(counts)
    whole = per_unit.sum(axis=0)
    alpha = _alpha(whole, scale, numbers)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        weights = np.bincount(rng.integers(0, len(units), len(units)), minlength=len(units))
        again = np.tensordot(weights, per_unit, axes=1)
        if (again.sum(axis=0) > 0).sum() > 1:
            drawn.append(_alpha(again, scale, numbers))
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (float("nan"), float("nan"))
    return Agreement(
        alpha, float(low), float(high), len(units), int(counts.sum()),
        _confusions(whole, _distances(whole, scale, numbers), [str(v) for v in values]),
    )  # fmt: skip


def _key(value: str | float) -> tuple[int, float, str]:
    return (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")


def _coincidences(counts: Floats) -> Floats:
    """Return each unit's pairs of judgements, weighted by 1/(m−1): (units, values, values)."""
    m = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :]
    index = np.arange(counts.shape[1])
    pairs[:, index, index] -= counts
    return np.asarray(pairs / (m - 1)[:, None, None])


def _distances(coincidences: Floats, scale: str, numbers: Floats | None) -> Floats:
    """Return the squared differences between categories, by scale."""
    n = coincidences.sum(axis=0)
    size = len(n)
    if scale == "nominal":
        return 1 - np.eye(size)
    if numbers is not None:
        return np.asarray((numbers[:, None] - numbers) ** 2)
    # Ordinal: the judgements lying between two categories, ends counted half.
    cumulative = np.cumsum(n) - n / 2
    return np.asarray((cumulative[:, None] - cumulative) ** 2)


def _alpha(coincidences: Floats, scale: str, numbers: Floats | None) -> float:
    n = coincidences.sum(axis=0)
    distance = _distances(coincidences, scale, numbers)
    observed = (coincidences * distance).sum()
    expected = (np.outer(n, n) * distance).sum() / (n.sum() - 1)
    return float(1 - observed / expected)


def _confusions(
    coincidences: Floats, distance: Floats, names: list[str]
) -> tuple[tuple[str, str, float], ...]:
    weight = np.triu(coincidences * distance, 1)
    total = weight.sum()
    if total == 0:
        return ()
    found = [
        (names[i], names[j], float(weight[i, j] / total))
        for i, j in zip(*np.nonzero(weight), strict=True)
    ]
    return tuple(sorted(found, key=lambda item: -item[2]))


@dataclass(frozen=True, slots=True)
class Change:
    """Alpha after a change minus before it, with a bootstrap interval."""

    before: Agreement
    after: Agreement
    difference: float
    low: float
    high: float


def wording_change(
    before: Sequence[Sequence[str | float | None]],
    after: Sequence[Sequence[str | float | None]],
    *,
    scale: str = "nominal",
    order: Sequence[str | float] | None = None,
    draws: int = 300,
    seed: int = 1,
) -> Change:
    """Compare the agreement on a check before and after its wording was changed."""
    one = krippendorff(before, scale=scale, order=order, seed=seed)
    two = krippendorff(after, scale=scale, order=order, seed=seed)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        ends = []
        for units in (before, after):
            picked = [units[i] for i in rng.integers(0, len(units), len(units))]
            try:
                ends.append(krippendorff(picked, scale=scale, order=order, draws=0).alpha)
            except AgreementError:
                break
        if len(ends) == 2:
            found.append(ends[1] - ends[0])
    low, high = np.quantile(found, [0.025, 0.975]) if found else (float("nan"), float("nan"))
    return Change(one, two, two.alpha - one.alpha, float(low), float(high))
