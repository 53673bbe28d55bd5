"""Control: is this change or chance? A signal opens a review, not a blame.

XmR limits are mean ± 2.66 times the mean moving range (Wheeler, Understanding Variation, 1993); p
and u charts carry three standard errors; the time between rare events is judged after the power
1/3.6 that makes it nearly normal (Nelson, J. Qual. Technol. 26, 1994); runs are judged by Nelson's
eight rules (J. Qual. Technol. 16, 1984).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MOVING_RANGE = 2.66  # 3 / d2 with d2 = 1.128 for ranges of two
RULES = {
    1: "one point beyond the limits",
    2: "nine points in a row on one side of the centre",
    3: "six points in a row rising or falling",
    4: "fourteen points in a row going up and down in turn",
    5: "two of three points beyond two sigma on one side",
    6: "four of five points beyond one sigma on one side",
    7: "fifteen points in a row within one sigma of the centre",
    8: "eight points in a row beyond one sigma on either side",
}
ALL = tuple(RULES)
CHANCE = 43  # of points by chance alone, one in so many completes one of the eight (simulated)


class ControlError(ValueError):
    """The values cannot be charted; the message says why."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule of `RULES` that the point at `index` completes."""

    index: int
    rule: int

    @property
    def words(self) -> str:
        """The rule in words."""
        return RULES[self.rule]


def in_words(signals: Sequence[Signal], n: int) -> list[str]:
    """Return for each of `n` points the signals that it completes, in words."""
    words: list[list[str]] = [[] for _ in range(n)]
    for signal in signals:
        words[signal.index].append(signal.words)
    return ["; ".join(found) for found in words]


@dataclass(frozen=True)
class Chart:
    """Points (n,), the centre and the limits (n,) around it, and the signals."""

    kind: str
    values: Floats
    centre: Floats
    lower: Floats
    upper: Floats
    signals: tuple[Signal, ...]

    def sentence(self) -> str:
        """Say in words what the chart shows."""
        if not self.signals:
            return f"{len(self.values)} points and no signal: what is seen is chance."
        places = len({s.index for s in self.signals})
        worst = sorted({s.rule for s in self.signals})
        calls = "calls" if places == 1 else "call"
        return (
            f"{places} of {len(self.values)} points {calls} for a review: "
            + "; ".join(RULES[rule] for rule in worst)
            + "."
        )


def xmr(
    values: Sequence[float] | Floats,
    rules: Sequence[int] = (1, 2, 5),
    floor: float | None = None,
) -> Chart:
    """Chart single values in order of time; no limit lies below `floor`, the least possible."""
    x = _checked(values, 3)
    mean, spread = x.mean(), np.abs(np.diff(x)).mean()
    half = MOVING_RANGE * spread
    z = (x - mean) / (half / 3) if spread > 0 else np.zeros_like(x)
    return _chart("XmR", x, np.full_like(x, mean), half, z, rules, floor)


def p_chart(
    events: Sequence[int], trials: Sequence[int], rules: Sequence[int] = (1, 2, 5)
) -> Chart:
    """Chart proportions of unequal groups."""
    k, n = _checked(events, 2), _checked(trials, 2)
    if (n <= 0).any() or (k > n).any() or (k < 0).any():
        raise ControlError("each group needs at least one trial and no more events than trials")
    centre = k.sum() / n.sum()
    return _attribute("p", k / n, centre, np.sqrt(centre * (1 - centre) / n), rules, 1.0)


def u_chart(
    events: Sequence[int], exposure: Sequence[float], rules: Sequence[int] = (1, 2, 5)
) -> Chart:
    """Chart rates of events per unit of exposure."""
    k, n = _checked(events, 2), _checked(exposure, 2)
    if (n <= 0).any() or (k < 0).any():
        raise ControlError("each group needs some exposure and no negative count")
    centre = k.sum() / n.sum()
    return _attribute("u", k / n, centre, np.sqrt(centre / n), rules, np.inf)


def t_chart(times: Sequence[float], rules: Sequence[int] = (1, 2, 5)) -> Chart:
    """Chart the times between rare events (any unit); long is good, short is bad."""
    t = _checked(times, 3)
    if (t < 0).any():
        raise ControlError("a time between events is negative: order the events by time")
    y = t ** (1 / 3.6)
    chart = xmr(y, rules)
    centre, lower, upper = (
        np.maximum(limit, 0) ** 3.6 for limit in (chart.centre, chart.lower, chart.upper)
    )
    return Chart("t", t, centre, lower, upper, chart.signals)


def g_chart(cases: Sequence[int]) -> Chart:
    """Chart the number of cases between rare events, with exact geometric limits.

    The limits cut off 0.00135 on either side, as three sigma do for a normal variable.
    """
    x = _checked(cases, 3)
    if (x < 0).any():
        raise ControlError("a number of cases between events is negative")
    p = 1 / (x.mean() + 1)
    tail, ones = 0.00135, np.ones_like(x)
    if p >= 1:
        raise ControlError("there is an event at every case: use a p chart")
    per = np.log1p(-p)
    upper, lower = np.log(tail) / per - 1, max(0.0, np.log1p(-tail) / per - 1)
    median = max(0.0, np.log(0.5) / per - 1)
    signals = [Signal(int(i), 1) for i in np.nonzero((x > upper) | (x < lower))[0]]
    return Chart("g", x, median * ones, lower * ones, upper * ones, tuple(signals))


def _checked(values: Sequence[float] | Sequence[int] | Floats, least: int) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if len(x) < least:
        raise ControlError(f"{len(x)} points are too few for a chart; it needs {least}")
    if not np.isfinite(x).all():
        raise ControlError("a value is missing or not finite")
    return x


def _attribute(
    kind: str, values: Floats, centre: float, se: Floats, rules: Sequence[int], top: float
) -> Chart:
    z = np.divide(values - centre, se, out=np.zeros_like(values), where=se > 0)
    chart = _chart(kind, values, np.full_like(values, centre), 3 * se, z, rules, floor=0.0)
    return Chart(
        kind, values, chart.centre, chart.lower, np.minimum(chart.upper, top), chart.signals
    )


def _chart(
    kind: str, values: Floats, centre: Floats, half: Floats | float, z: Floats,
    rules: Sequence[int],
    floor: float | None,
) -> Chart:  # fmt: skip
    lower = centre - half
    if floor is not None:
        lower = np.maximum(lower, floor)
    return Chart(kind, values, centre, lower, centre + half, nelson(z, rules))


def nelson(z: Floats, rules: Sequence[int] = tuple(RULES)) -> tuple[Signal, ...]:
    """Return the signals in standardised points `z` (n,), each at the point that completes it."""
    side, step = np.sign(z), np.sign(np.diff(z))
    alternate = step[1:] * step[:-1] < 0
    tests: dict[int, Flags] = {
        1: np.abs(z) > 3,
        2: _run(side > 0, 9) | _run(side < 0, 9),
        3: np.append(False, _run(step > 0, 5) | _run(step < 0, 5))[: len(z)],
        4: np.append([False, False], _run(alternate, 12))[: len(z)],
        5: _count(z > 2, 3, 2) | _count(z < -2, 3, 2),
        6: _count(z > 1, 5, 4) | _count(z < -1, 5, 4),
        7: _run(np.abs(z) < 1, 15),
        8: _run(np.abs(z) > 1, 8),
    }  # fmt: skip
    found = [Signal(int(i), rule) for rule in rules for i in np.nonzero(tests[rule])[0]]
    return tuple(sorted(found, key=lambda s: (s.index, s.rule)))


def _run(flags: Flags, length: int) -> Flags:
    """True where `flags` has been true for `length` points in a row."""
    return _count(flags, length, length)


def _count(flags: Flags, window: int, least: int) -> Flags:
    """True at a flagged point that makes `least` of the last `window` flagged."""
    total = np.concatenate([[0], np.cumsum(flags)])
    start = np.maximum(np.arange(1, len(flags) + 1) - window, 0)
    return np.asarray((total[1:] - total[start] >= least) & flags)


@dataclass(frozen=True)
class Cusum:
    """The path (n,) of a risk-adjusted CUSUM, its limit and where it crossed (and restarted)."""

    path: Floats
    limit: float
    crossings: tuple[int, ...]


def cusum(
    failed: Sequence[int] | Sequence[bool],
    expected: Sequence[float] | float,
    *,
    odds_ratio: float = 2.0,
    limit: float = 4.5,
) -> Cusum:
    """Watch failures for the odds rising by `odds_ratio`, case by case in order of time.

    `expected` is each case's own risk (or one for all): Steiner, Cook, Farewell and Treasure,
    Biostatistics 1, 2000. `limit` 4.5 is theirs for surgery, an assumption elsewhere.
    """
    y = np.asarray(failed, dtype=np.float64)
    p = np.broadcast_to(np.asarray(expected, dtype=np.float64), y.shape)
    if ((p <= 0) | (p >= 1)).any():
        raise ControlError("an expected risk is not between 0 and 1")
    score = y * np.log(odds_ratio) - np.log1p(p * (odds_ratio - 1))
    path, crossings, level = np.empty_like(y), [], 0.0
    for i, w in enumerate(score):
        level = max(0.0, level + w)
        path[i] = level
        if level >= limit:
            crossings.append(i)
            level = 0.0
    return Cusum(path, limit, tuple(crossings))
