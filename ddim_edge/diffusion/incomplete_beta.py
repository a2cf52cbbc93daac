"""The quantiles of the distribution Beta(a, b), without SciPy.

The distribution function is the regularized incomplete beta function, here by its continued fraction (DLMF 8.17.22);
bisection inverts it.
"""

import math

import numpy as np

from ..arrays import Floats

_TERMS = 200
_TINY = 1e-300
_HALVINGS = 60


def beta_quantiles(shares: Floats, a: float, b: float) -> Floats:
    """The x in [0, 1] below which Beta(a, b) has each of ``shares``, float64 (N,) in [0, 1]."""
    low, high = np.zeros_like(shares), np.ones_like(shares)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = beta_distribution(middle, a, b) < shares
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(shares <= 0, 0.0, np.where(shares >= 1, 1.0, (low + high) / 2))


def beta_distribution(x: Floats, a: float, b: float) -> Floats:
    """I_x(a, b): the share of Beta(a, b) below ``x``, float64 (N,) in [0, 1]."""
    # The fraction converges fast below the mean; above it, the mirrored one does.
    mirrored = x > (a + 1) / (a + b + 2)
    near = np.clip(np.where(mirrored, 1 - x, x), _TINY, 1)
    first, second = np.where(mirrored, b, a), np.where(mirrored, a, b)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = np.exp(logarithm + first * np.log(near) + second * np.log1p(-np.minimum(near, 1 - 1e-16)))
    share: Floats = front / first * _fraction(near, first, second)
    return np.where(mirrored, 1 - share, share)


def _fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    """The continued fraction by the modified Lentz method."""
    c = np.ones_like(x)
    d = 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _TERMS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + numerator * d)
            c = _not_zero(1 + numerator / c)
            value = value * c * d
        if np.all(np.abs(c * d - 1) < 1e-15):
            break
    return value


def _not_zero(value: Floats) -> Floats:
    return np.where(np.abs(value) < _TINY, _TINY, value)
