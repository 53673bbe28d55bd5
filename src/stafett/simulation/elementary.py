"""Logarithm, exponential and the normal quantile in plain arithmetic.

The C library's `log` and `exp` differ in the last bit between machines, and one bit is enough to
swap two events. These use only operations that IEEE 754 rounds exactly, in a fixed order, so a
seed gives the same journeys on every machine. `log` and `exp` follow fdlibm (Sun Microsystems,
"freely granted" licence; error below 1 ulp); the quantile is Wichura's AS 241 (PPND16, 1988,
relative error about 1e-16).
"""

from __future__ import annotations

import math

import numpy as np

from stafett.simulation.compiled import compiled

LN2_HI = 6.93147180369123816490e-01
LN2_LO = 1.90821492927058770002e-10
INV_LN2 = 1.44269504088896338700e00
SQRT_HALF = 0.7071067811865476
CENTRE = 0.425
FAR = 5.0
WITHIN = 690.0


MANTISSA = 0x000FFFFFFFFFFFFF
HALF = 0x3FE0000000000000  # the bits of 0.5


@compiled
def parts(x: float) -> tuple[float, np.int64]:
    """`math.frexp` of a positive normal `x`, from its bits: the library's is a slow call."""
    bits = np.float64(x).view(np.int64)
    return np.int64((bits & MANTISSA) | HALF).view(np.float64), (bits >> 52) - 1022


@compiled
def scaled(y: float, k: int) -> float:
    """`math.ldexp` of a `y` near 1."""
    if -1000 < k < 1000:
        return y * np.int64((k + 1023) << 52).view(np.float64)
    return math.ldexp(y, k)


@compiled
def log(x: float) -> float:
    """Natural logarithm of a positive, finite, normal `x`."""
    m, k = parts(x)
    if m < SQRT_HALF:
        m *= 2.0
        k -= 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    t1 = w * (
        3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01)
    )
    t2 = z * (
        6.666666666666735130e-01
        + w
        * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half = 0.5 * f * f
    return k * LN2_HI - ((half - (s * (half + t1 + t2) + k * LN2_LO)) - f)


@compiled
def exp(x: float) -> float:
    """Exponential of `x`; infinite above 709.78, zero below -745.13."""
    if x > 709.782712893384:
        return math.inf
    if x < -745.1332191019411:
        return 0.0
    y, k = reduced(x)
    return scaled(y, k)


@compiled
def within(x: float) -> float:
    """As `exp`, for an `x` between -`WITHIN` and `WITHIN`: without a jump."""
    y, k = reduced(x)
    return y * np.int64((k + 1023) << 52).view(np.float64)


@compiled
def reduced(x: float) -> tuple[float, int]:
    """(y, k) with exp(x) = y * 2^k and y near 1."""
    k = math.floor(INV_LN2 * x + 0.5)
    hi = x - k * LN2_HI
    lo = k * LN2_LO
    r = hi - lo
    t = r * r
    p = 6.61375632143793436117e-05 + t * (
        -1.65339022054652515390e-06 + t * 4.13813679705723846039e-08
    )
    c = r - t * (1.66666666666666019037e-01 + t * (-2.77777777770155933842e-03 + t * p))
    return 1.0 - ((lo - (r * c) / (2.0 - c)) - hi), k


@compiled
def central(q: float) -> float:
    """The normal quantile at `q` + 1/2, for `q` within `CENTRE` of 0."""
    r = 0.180625 - q * q
    num = 2509.0809287301226727
    for a in (
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.387132872796366608,
    ):
        num = num * r + a
    den = 5226.495278852545925
    for b in (
        28729.085735721942674,
        39307.89580009271061,
        21213.794301586595867,
        5394.1960214247511077,
        687.1870074920579083,
        42.313330701600911252,
        1.0,
    ):
        den = den * r + b
    return q * num / den


@compiled
def tail(r: float) -> float:
    """The normal quantile (without its sign) where -log of the probability outside is r^2."""
    r -= 1.6
    num = 7.7454501427834140764e-4
    for a in (
        0.0227238449892691845833,
        0.24178072517745061177,
        1.27045825245236838258,
        3.64784832476320460504,
        5.7694972214606914055,
        4.6303378461565452959,
        1.42343711074968357734,
    ):
        num = num * r + a
    den = 1.05075007164441684324e-9
    for b in (
        5.475938084995344946e-4,
        0.0151986665636164571966,
        0.14810397642748007459,
        0.68976733498510000455,
        1.6763848301838038494,
        2.05319162663775882187,
        1.0,
    ):
        den = den * r + b
    return num / den


@compiled
def far_tail(r: float) -> float:
    """As `tail`, for `r` above `FAR`."""
    r -= 5.0
    num = 2.01033439929228813265e-7
    for a in (
        2.71155556874348757815e-5,
        0.0012426609473880784386,
        0.026532189526576123093,
        0.29656057182850489123,
        1.7848265399172913358,
        5.4637849111641143699,
        6.6579046435011037772,
    ):
        num = num * r + a
    den = 2.04426310338993978564e-15
    for b in (
        1.4215117583164458887e-7,
        1.8463183175100546818e-5,
        7.868691311456132591e-4,
        0.0148753612908506148525,
        0.13692988092273580531,
        0.59983220655588793769,
        1.0,
    ):
        den = den * r + b
    return num / den


@compiled
def normal_quantile(u: float) -> float:
    """The z with P(Z <= z) = u for a standard normal Z; `u` strictly between 0 and 1."""
    q = u - 0.5
    if abs(q) <= CENTRE:
        return central(q)
    r = math.sqrt(-log(u if q < 0.0 else 1.0 - u))
    z = tail(r) if r <= FAR else far_tail(r)
    return -z if q < 0.0 else z
