"""The generator, the elementary functions and the distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stafett.simulation import (
    Builder,
    Choice,
    Constant,
    Empirical,
    Erlang,
    Exponential,
    Horizon,
    Lognormal,
    Triangular,
    Uniform,
    Weibull,
    simulate,
)
from stafett.simulation.distributions import Distribution, check
from stafett.simulation.elementary import exp, log, normal_quantile
from stafett.simulation.philox import philox, uniform

FULL = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((FULL,) * 4, (FULL, FULL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers(counter, key, expected) -> None:
    """Random123's kat_vectors for philox4x32-10."""
    words = philox(*(np.uint64(w) for w in counter + key))
    assert tuple(int(w) for w in words) == expected


def test_uniforms_are_uniform_whichever_word_of_the_key_moves() -> None:
    """Kolmogorov-Smirnov over each word of the key, and no correlation of neighbours."""
    for word in range(6):
        key = [np.uint64(3)] * 6
        u = []
        for i in range(4000):
            key[word] = np.uint64(i)
            u.append(uniform(*key))
        assert stats.kstest(u, "uniform").pvalue > 1e-4, word
        assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4 / math.sqrt(4000), word


@settings(deadline=None)  # the first call compiles
@given(st.floats(1e-300, 1e300))
def test_log_is_within_an_ulp(x: float) -> None:
    """Against the C library."""
    assert log(x) == pytest.approx(math.log(x), rel=4e-16, abs=1e-16)


@settings(deadline=None)  # the first call compiles
@given(st.floats(-700, 700))
def test_exp_is_within_an_ulp(x: float) -> None:
    """Against the C library."""
    assert exp(x) == pytest.approx(math.exp(x), rel=4e-16)


@settings(deadline=None)  # the first call compiles
@given(st.floats(1e-15, 1 - 1e-15))
def test_normal_quantile_inverts_the_normal(u: float) -> None:
    """Against scipy."""
    assert normal_quantile(u) == pytest.approx(stats.norm.ppf(u), rel=1e-13, abs=1e-14)


SCIPY = [
    (Exponential(2.0, 1.0), stats.expon(1.0, 2.0)),
    (Uniform(1.0, 3.0), stats.uniform(1.0, 2.0)),
    (Triangular(1.0, 2.0, 5.0), stats.triang(0.25, 1.0, 4.0)),
    (Lognormal(3.0, 0.7, 1.0), stats.lognorm(0.7, 1.0, 3.0)),
    (Weibull(0.8, 2.0), stats.weibull_min(0.8, 0, 2.0)),
    (Erlang(4, 2.0), stats.gamma(4, 0, 0.5)),
]


def drawn(d: Distribution, n: int = 3000) -> list[float]:
    """Draws as the kernel makes them."""
    b = Builder()
    b.attribute("x")
    b.label("in")
    b.draw("x", "x", d)
    b.tally("x", "x")
    b.end("out")
    b.source("all", Constant(1.0), "in")
    _, rows = simulate(b.build(), Horizon(n), 1, log=True)
    assert rows is not None
    return [v for v, k in zip(rows.value, rows.kind, strict=True) if k == 10]


@pytest.mark.parametrize(("d", "exact"), SCIPY, ids=lambda d: type(d).__name__)
def test_draws_follow_their_distribution(d: Distribution, exact) -> None:
    """Kolmogorov-Smirnov against scipy, and the mean that the value claims."""
    x = drawn(d)
    assert stats.kstest(x, exact.cdf).pvalue > 1e-4
    assert d.mean() == pytest.approx(exact.mean())


def test_tables_of_quantiles_and_choices() -> None:
    """An empirical quantile function and a choice among three."""
    x = drawn(Empirical((0.0, 1.0, 10.0)))
    assert np.mean(np.array(x) < 1.0) == pytest.approx(0.5, abs=0.04)
    assert np.mean(x) == pytest.approx(Empirical((0.0, 1.0, 10.0)).mean(), rel=0.06)
    counts = np.bincount(np.array(drawn(Choice((1, 0, 3))), int), minlength=3)
    assert counts[1] == 0
    assert counts[2] / counts.sum() == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize(
    "wrong",
    [
        Exponential(0.0),
        Exponential(math.nan),
        Uniform(2.0, 1.0),
        Triangular(1.0, 5.0, 2.0),
        Lognormal(-1.0, 1.0),
        Weibull(0.0, 1.0),
        Erlang(0, 1.0),
        Empirical((2.0, 1.0)),
        Choice((0.0, 0.0)),
    ],
    ids=str,
)
def test_what_is_no_distribution_is_refused(wrong: Distribution) -> None:
    """The message says which value and why."""
    with pytest.raises(ValueError, match=type(wrong).__name__):
        check(wrong)
